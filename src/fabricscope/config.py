"""The settings of a running collector: each declared once, read from `fabricscope.toml`.

A setting has the name of its option, with `_` for `-`. What was given on the command line goes
before the file, the file before what is declared here.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fabricscope.errors import ConfigError

__all__ = ["DEFAULT", "GIVEN", "LiveSettings", "Settled", "settle"]

GIVEN: Final = "command line"
DEFAULT: Final = "default"
MAX_PROCESSES: Final = 64
_MAX_BYTES: Final = 4 << 20

_Names = Annotated[dict[str, str], Field(max_length=100_000)]


class LiveSettings(BaseModel):
    """What `fabricscope live` and `replay` do. Times as 30d, sizes as 20G; empty: not wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    interface: tuple[str, ...] = Field((), strict=False, description="mirror ports of this host")
    filter: str = Field("", description="what the kernel lets through, as tcpdump")
    listen: tuple[str, ...] = Field((), strict=False, description="erspan, vxlan, gre, sflow")
    sflow_port: int = Field(6343, ge=0, description="UDP port of sFlow")
    counters: str = Field("", description="ports of this host, by commas, or all")
    gnmi: tuple[str, ...] = Field((), strict=False, description="switches that stream counters")
    processes: int = Field(1, ge=1, le=MAX_PROCESSES, description="that share the packets")
    ring: int = Field(128, ge=16, le=65_536, description="MiB of each port's ring")
    hardware_time: bool = Field(False, description="take the network card's timestamps")
    user: str = Field("", description="become this user once the ports are open")
    store: str = Field("", description="DIR or influx://HOST/DB")
    collector: str = Field("", description="name in the store; empty: the host's")
    keep: str = Field("30d", description="how long seconds are kept")
    max_size: str = Field("", description="most that the store may take")
    topology: str = Field("", description="fabric that names links, ports and rates")
    link_rate: float = Field(100.0, gt=0, description="Gb/s of links whose rate is not known")
    duration: float = Field(0.0, ge=0, description="seconds after which it ends; 0: never")
    rules: str = Field("", description="file of rules over live data")
    no_default_rules: bool = Field(False, description="without the built-in rules")
    metrics: str = Field("", description="HOST:PORT of the Prometheus endpoint")
    otel: str = Field("", description="URL that metrics are pushed to over OTLP")
    quiet: bool = Field(False, description="no terminal view")
    taps: _Names = Field({}, description="link and direction of a tap, as leaf1-spine1:up")
    hosts: _Names = Field({}, description="host or link of an address")
    ports: _Names = Field({}, description="link and direction of a port with counters")
    rates: dict[str, float] = Field({}, description="Gb/s of a link")


class Settled(NamedTuple):
    """The settings in force, and where each came from: GIVEN, the file's name, or DEFAULT."""

    settings: LiveSettings
    sources: dict[str, str]


def settle(path: str, given: Mapping[str, Any]) -> Settled:
    """Return the settings of the file at `path` (empty: none) under those in `given`.

    Tables such as `taps` are joined entry by entry. Raises ConfigError with the file and the key.
    """
    read = _read(path) if path else {}
    merged = dict(read)
    for name, value in given.items():
        known = read.get(name)
        merged[name] = {**known, **value} if isinstance(known, dict) else value
    try:
        settings = LiveSettings.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, path, given)) from None
    sources = dict.fromkeys(LiveSettings.model_fields, DEFAULT)
    sources |= dict.fromkeys(read, path)
    for name in given:
        both = isinstance(read.get(name), dict) and read[name]
        sources[name] = f"{path}, {GIVEN}" if both else GIVEN
    return Settled(settings, sources)


def _read(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"--config {path}: {(error.strerror or 'cannot be read').lower()}; name a TOML file"
        ) from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"--config {path}: longer than 4 MiB; is this a configuration file?")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error or 'nested too deeply'}; correct it") from None


def _explain(error: ValidationError, path: str, given: Mapping[str, Any]) -> str:
    """Return what is wrong with the first setting that is, where, and what to do."""
    first = error.errors(include_url=False)[0]
    keys = [str(part) for part in first["loc"]]
    name = keys[0] if keys else ""
    option = f"--{name.replace('_', '-')}"
    where = option if name in given else f"{path}: {'.'.join(keys)}"
    if first["type"] == "extra_forbidden":
        import difflib

        close = difflib.get_close_matches(name, LiveSettings.model_fields, 1)
        hint = f"did you mean {close[0]}?" if close else "see docs/fabricscope.toml"
        return f"{where}: there is no such setting; {hint}"
    wrong = first["msg"][:1].lower() + first["msg"][1:]
    return f"{where}: {wrong}, not {_shown(first['input'])}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
