"""Signature files: their text parsed and checked into `Signature` values.

A file is a protocol family: tables `[[protocol]]`, each with any number of `[[protocol.match]]`.
Conditions are in the language of `checks`. Everything that is wrong raises ConfigError with the
file, the line, the key and the reason. Reading files and compiling to arrays are elsewhere.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fabricscope.analyzers.dpi.checks import Check, CheckError, excerpt, parse_check
from fabricscope.errors import ConfigError
from fabricscope.records import PROTOCOLS

TRANSPORTS: Final = ("tcp", "udp", "rdma", "sctp")
"""`rdma` matches the payload of RDMA SENDs."""

MAX_PROTOCOLS: Final = 4_096
MAX_MATCHES: Final = 8_192
MAX_CHECKS: Final = 32
MAX_COLLECT: Final = 32

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PROTOCOL_KEYS: Final = {
    "name", "title", "category", "tcp_ports", "udp_ports", "ip_protocols", "ethertypes",
    "decoded", "collect", "watch", "gives_way", "match",
}  # fmt: skip
_MATCH_KEYS: Final = {
    "transport", "payload", "reply", "require_reply", "port_required", "confidence",
}  # fmt: skip


@dataclass(frozen=True)
class Match:
    """One way to recognise a protocol: conditions on one direction, and on the other's reply.

    With `require_reply` the first direction alone is not enough; with `port_required` the match
    counts only on one of the protocol's ports. `confidence` is that of one direction alone.
    """

    transports: tuple[str, ...]
    payload: tuple[Check, ...]
    reply: tuple[Check, ...]
    require_reply: bool
    port_required: bool
    confidence: float


@dataclass(frozen=True)
class Signature:
    """A protocol of the catalogue.

    `collect` is how many payload packets of a recognised flow are kept for its detail; `watch`:
    all of the flow is read, because it announces other flows. `gives_way`: the protocol only opens
    the way for another one on the same flow, which then takes the name.
    """

    name: str
    title: str
    category: str
    tcp_ports: tuple[int, ...]
    udp_ports: tuple[int, ...]
    ip_protocols: tuple[int, ...]
    ethertypes: tuple[int, ...]
    decoded: tuple[str, ...]
    collect: int
    watch: bool
    gives_way: bool
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class _Place:
    """Where in which file an entry stands, to say so in errors."""

    file: str
    text: str
    protocol: int
    match: int = -1

    def error(self, key: str, reason: str) -> ConfigError:
        """Return the error for `key` of this entry."""
        line = self._line(key)
        return ConfigError(f"{self.file}, line {line}: {key}: {reason}")

    def _line(self, key: str) -> int:
        """Return the line of `key`, or of the entry's header where the key is absent."""
        protocol = match = -1
        header = 1
        for number, line in enumerate(self.text.splitlines(), 1):
            stripped = line.strip()
            if stripped.startswith("[["):
                if stripped.startswith("[[protocol.match]]"):
                    match += 1
                elif stripped.startswith("[[protocol]]"):
                    protocol, match = protocol + 1, -1
                if (protocol, match) == (self.protocol, self.match):
                    header = number
            elif (protocol, match) == (self.protocol, self.match) and re.match(
                rf"{re.escape(key)}\s*=", stripped
            ):
                return number
        return header


def parse_signatures(text: str, file: str) -> list[Signature]:
    """Return the protocols of one signature file; `file` is its name for errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: this is not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{file}: this is not valid TOML: nested too deeply") from None
    unknown = sorted(set(document) - {"protocol"})
    if unknown:
        raise _Place(file, text, -1).error(unknown[0], "unknown key; expected [[protocol]] tables")
    protocols = document.get("protocol")
    if not isinstance(protocols, list) or not protocols:
        raise ConfigError(f"{file}, line 1: protocol: expected at least one [[protocol]] table")
    parsed: list[Signature] = []
    names: set[str] = set()
    for index, entry in enumerate(protocols):
        place = _Place(file, text, index)
        parsed.append(_parse_protocol(entry, place))
        if parsed[-1].name in names:
            raise place.error(
                "name",
                f"{parsed[-1].name} is in this file already; put all its [[protocol.match]] there",
            )
        names.add(parsed[-1].name)
    return parsed


def merge_signatures(families: Iterable[list[Signature]]) -> list[Signature]:
    """Return all protocols in order; a later one replaces an earlier one of the same name."""
    merged: dict[str, Signature] = {}
    for family in families:
        for signature in family:
            merged[signature.name] = signature
    if len(merged) > MAX_PROTOCOLS:
        raise ConfigError(f"signatures: at most {MAX_PROTOCOLS} protocols can be loaded")
    if sum(len(signature.matches) for signature in merged.values()) > MAX_MATCHES:
        raise ConfigError(f"signatures: at most {MAX_MATCHES} matches can be loaded")
    return list(merged.values())


def _parse_protocol(entry: Any, place: _Place) -> Signature:
    if not isinstance(entry, dict):
        raise place.error("protocol", "expected a table")
    _reject_unknown(entry, _PROTOCOL_KEYS, place)
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise place.error("name", "expected 1 to 40 lower-case letters, digits and _")
    matches = entry.get("match", [])
    if not isinstance(matches, list):
        raise place.error("match", "expected [[protocol.match]] tables")
    decoded = _strings(entry, "decoded", place, PROTOCOLS)
    return Signature(
        name=name,
        title=_string(entry, "title", name, place),
        category=_string(entry, "category", "other", place),
        tcp_ports=_numbers(entry, "tcp_ports", 0xFFFF, place),
        udp_ports=_numbers(entry, "udp_ports", 0xFFFF, place),
        ip_protocols=_numbers(entry, "ip_protocols", 0xFF, place),
        ethertypes=_numbers(entry, "ethertypes", 0xFFFF, place),
        decoded=decoded,
        collect=_number(entry, "collect", 0, MAX_COLLECT, place),
        watch=_flag(entry, "watch", place),
        gives_way=_flag(entry, "gives_way", place),
        matches=tuple(
            _parse_match(match, _Place(place.file, place.text, place.protocol, index))
            for index, match in enumerate(matches)
        ),
    )


def _parse_match(entry: Any, place: _Place) -> Match:
    if not isinstance(entry, dict):
        raise place.error("match", "expected a table")
    _reject_unknown(entry, _MATCH_KEYS, place)
    transports = entry.get("transport")
    names = [transports] if isinstance(transports, str) else transports
    if not isinstance(names, list) or not names or any(n not in TRANSPORTS for n in names):
        raise place.error("transport", f"expected one or more of {', '.join(TRANSPORTS)}")
    confidence = entry.get("confidence", 0.9)
    if isinstance(confidence, bool) or not isinstance(confidence, int | float):
        raise place.error("confidence", "expected a number from 0.1 to 1")
    if not 0.1 <= confidence <= 1:
        raise place.error("confidence", "expected a number from 0.1 to 1")
    payload = _checks(entry, "payload", place)
    if not payload:
        raise place.error("payload", "expected at least one condition")
    reply = _checks(entry, "reply", place)
    require_reply = _flag(entry, "require_reply", place)
    if require_reply and not reply:
        raise place.error("require_reply", "there are no conditions under reply")
    return Match(
        transports=tuple(names),
        payload=payload,
        reply=reply,
        require_reply=require_reply,
        port_required=_flag(entry, "port_required", place),
        confidence=float(confidence),
    )


def _reject_unknown(entry: dict[str, Any], known: set[str], place: _Place) -> None:
    for key in entry:
        if key not in known:
            raise place.error(key, f"unknown key; expected one of {', '.join(sorted(known))}")


def _checks(entry: dict[str, Any], key: str, place: _Place) -> tuple[Check, ...]:
    texts = entry.get(key, [])
    if not isinstance(texts, list) or any(not isinstance(text, str) for text in texts):
        raise place.error(key, "expected a list of strings, a condition each")
    if len(texts) > MAX_CHECKS:
        raise place.error(key, f"at most {MAX_CHECKS} conditions are allowed")
    checks = []
    for text in texts:
        try:
            checks.append(parse_check(text))
        except CheckError as error:
            raise place.error(key, f"in {excerpt(text)!r}: {error}") from None
    return tuple(checks)


def _string(entry: dict[str, Any], key: str, default: str, place: _Place) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str) or not 1 <= len(value) <= 80:
        raise place.error(key, "expected text of 1 to 80 characters")
    return value


def _strings(
    entry: dict[str, Any], key: str, place: _Place, allowed: tuple[str, ...]
) -> tuple[str, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list) or any(value not in allowed for value in values):
        raise place.error(key, f"expected a list of {', '.join(allowed)}")
    return tuple(values)


def _number(entry: dict[str, Any], key: str, low: int, high: int, place: _Place) -> int:
    value = entry.get(key, low)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise place.error(key, f"expected a whole number from {low} to {high}")
    return value


def _numbers(entry: dict[str, Any], key: str, high: int, place: _Place) -> tuple[int, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list) or len(values) > 64:
        raise place.error(key, "expected a list of at most 64 numbers")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= high:
            raise place.error(key, f"expected whole numbers from 0 to {high}")
    return tuple(values)


def _flag(entry: dict[str, Any], key: str, place: _Place) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise place.error(key, "expected true or false")
    return value
