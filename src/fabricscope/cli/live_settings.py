"""What the settings mean: times and sizes, names of links, and how `--check` shows them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rich.console import Console

from fabricscope.cli.screen import Screen
from fabricscope.config import DEFAULT, LiveSettings, Settled
from fabricscope.errors import ConfigError
from fabricscope.pipeline.live.naming import DIRECTIONS, Naming, Place, naming_of
from fabricscope.recorder import Retention
from fabricscope.topology.files import read_fabric

__all__ = ["naming_from", "parse_bytes", "parse_pairs", "parse_seconds", "retention", "show"]

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_UNITS_BYTES: Final = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def parse_seconds(text: str) -> float:
    """Return the seconds of a time such as 30d, 12h or 90s. Raises ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if not found:
        raise ConfigError(f"{text!r} is no time; write a number with s, m, h, d or w, as 30d")
    return float(found[1]) * _UNITS_S[found[2]]


def parse_bytes(text: str) -> int:
    """Return the bytes of a size such as 20G or 500M (decimal). Raises ConfigError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.strip().upper())
    if not found:
        raise ConfigError(f"{text!r} is no size; write a number with K, M, G or T, as 20G")
    return int(float(found[1]) * _UNITS_BYTES[found[2]])


def parse_pairs(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return the names and values of repeated options NAME=VALUE. Raises ConfigError."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"{option} {text}: write NAME=LINK, as {option} eth2=leaf1-spine1")
        pairs[name] = value
    return pairs


def retention(settings: LiveSettings) -> Retention:
    """Return how long rows stay. Raises ConfigError for what is no time or no size."""
    return Retention(
        keep_ns=int(parse_seconds(settings.keep) * 1e9) if settings.keep else None,
        max_bytes=parse_bytes(settings.max_size) if settings.max_size else None,
    )


def naming_from(settings: LiveSettings) -> Naming:
    """Return the names that the topology and the settings give.

    Raises FabricError for a topology that cannot be read, ConfigError for a direction that is none.
    """
    if settings.topology:
        fabric = read_fabric(Path(settings.topology), settings.link_rate).fabric
        naming = naming_of(fabric, settings.link_rate)
    else:
        naming = Naming(default_rate_gbps=settings.link_rate)
    links = dict(naming.hosts)
    for address, name in settings.hosts.items():
        naming.hosts[address] = links.get(name, name)
    naming.taps |= {name: _place("taps", name, text) for name, text in settings.taps.items()}
    naming.ports |= {name: _place("ports", name, text) for name, text in settings.ports.items()}
    naming.rates |= settings.rates
    return naming


def _place(table: str, name: str, text: str) -> Place:
    link, colon, direction = text.rpartition(":")
    if not colon:
        return Place(text)
    if direction not in DIRECTIONS or not link:
        raise ConfigError(
            f"{table}.{name} = {text!r}: a link, and behind a colon one of {', '.join(DIRECTIONS)}"
        )
    return Place(link, direction)


def show(settled: Settled, console: Console) -> None:
    """Print each setting with its value and where it came from, as TOML."""
    screen = Screen(console)
    values = settled.settings.model_dump()
    lines = {name: f"{name} = {_toml(value)}" for name, value in values.items()}
    width = max(len(line) for line in lines.values())
    for name, line in lines.items():
        source = settled.sources[name]
        style = "dim" if source == DEFAULT else ""
        screen.line((f"{line:<{min(width, 60)}}  # {source}", style))


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
