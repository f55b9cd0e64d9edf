"""Scenarios read from TOML and from options, with errors that name the file and the key."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from fabricscope.errors import ConfigError, FabricError
from fabricscope.topology.scenario import Scenario

__all__ = ["Source", "build_scenario", "override", "parse_setting", "read_content", "write_schema"]

MAX_FILE_BYTES: Final = 1 << 22
_TYPE_NAMES: Final = ("bool", "constrained-int", "float", "int", "str")


class Source:
    """Where the parts of a scenario were written, for messages.

    file: the scenario's file, empty where there is none. options: the option that a top-level key
    came from, where it did.
    """

    def __init__(self, file: str = "", options: Mapping[str, str] | None = None) -> None:
        """Remember the places."""
        self.file = file
        self.options = dict(options or {})

    def place(self, key: str) -> str:
        """Return in words where the dotted `key` was written."""
        option = self.options.get(key.split(".", 1)[0])
        if option:
            return option
        return f"{self.file}: {key}" if self.file else key

    def error(self, key: str, message: object) -> FabricError:
        """Return the error that says where and what."""
        return FabricError(f"{self.place(key)}: {message}")

    @property
    def folder(self) -> Path:
        """Return the folder that relative paths start from."""
        return Path(self.file).parent if self.file else Path()


def read_content(path: str) -> dict[str, Any]:
    """Return the keys of a TOML file. Raises FabricError with file and reason."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise FabricError(
            f"{path} cannot be read: {error.strerror}; name a scenario file"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise FabricError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes; it is no scenario")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise FabricError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise FabricError(f"{path} is not TOML: {error}; correct it") from None


def build_scenario(content: Mapping[str, Any], source: Source) -> Scenario:
    """Return the scenario that the keys make. Raises FabricError naming file and key."""
    try:
        return Scenario.model_validate(content)
    except ConfigError as error:
        key, _, reason = str(error).partition(": ")
        raise source.error(key, reason) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = _key(first["loc"])
        reason = _reason(first, key)
        raise source.error(key or "the scenario", reason) from None


def override(content: dict[str, Any], key: str, value: object, source: Source) -> None:
    """Set a dotted key (`nic.ack_timeout`, `recovery.0.profile`, `recovery.dpfr.sampler`).

    A number selects an entry of a list, a name the recovery scheme, whose parameters follow.
    Raises FabricError.
    """
    node: Any = content
    *parents, last = key.split(".")
    try:
        for part in parents:
            node = _enter(node, part)
        if isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value
    except (ValueError, IndexError, TypeError, AttributeError, KeyError, StopIteration):
        raise FabricError(f"{source.place(key)}: there is no such key; see --schema") from None


def _enter(node: Any, part: str) -> Any:
    """Return what is below `part`, made where it is missing."""
    if isinstance(node, list):
        if part.isdecimal():
            place = int(part)
        else:
            place = next(n for n, entry in enumerate(node) if _called(entry) == part)
        if isinstance(node[place], str):
            node[place] = {"name": node[place]}
        entry = node[place]
        return entry if part.isdecimal() else entry.setdefault("parameters", {})
    return node.setdefault(part, {})


def _called(entry: Any) -> str:
    return entry if isinstance(entry, str) else str(entry.get("label") or entry.get("name"))


def parse_setting(text: str, option: str) -> tuple[str, list[object]]:
    """Return key and values of `KEY=V1,V2`, each as TOML, or as text where it is none.

    Raises FabricError.
    """
    key, separator, values = text.partition("=")
    if not separator or not key or not values:
        raise FabricError(f"{option} {text[:80]!r} is not KEY=VALUE, such as nic.mtu=4096")
    return key, [_value(part) for part in _split(values)]


def _split(values: str) -> list[str]:
    """Return the parts between commas that stand outside brackets."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(values):
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            parts.append(values[start:place])
            start = place + 1
    return [*parts, values[start:]]


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _key(location: tuple[int | str, ...]) -> str:
    """Return the dotted key of a pydantic location, without the types that it names in between."""
    return ".".join(
        str(part)
        for part in location
        if isinstance(part, int)
        or (part.replace("-", "_").isidentifier() and part not in _TYPE_NAMES)
    )


def _reason(error: Any, key: str) -> str:
    """Return pydantic's message as part of one sentence."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return (
            f"there is no key {key.rpartition('.')[2]!r} here; see `fabricscope simulate --schema`"
        )
    if error["type"] == "missing":
        return "is missing; give it"
    written = error.get("input")
    shown = f" {written!r}" if isinstance(written, str | int | float) else ""
    return f"{message[:1].lower()}{message[1:]}" + (
        f" (it is{shown})" if shown and repr(written) not in message else ""
    )


def write_schema() -> dict[str, Any]:
    """Return the JSON schema of scenario files."""
    schema = Scenario.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
