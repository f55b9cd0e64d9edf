"""Rules and where their alerts go, parsed from TOML text and checked.

The format is shown in `docs/examples/rules.toml`. Every error is a `ConfigError` that names the
file, the line, the key and the reason. Reading files and delivering alerts are in the pipeline.
"""

import difflib
import ipaddress
import math
import re
import tomllib
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fabricscope.analyzers.behaviours import BEHAVIOURS
from fabricscope.analyzers.findings.finding import SEVERITIES
from fabricscope.analyzers.policy.metrics import metrics_of, texts_of
from fabricscope.errors import ConfigError
from fabricscope.records import TABLES

MAX_RULES: Final = 1_000
MAX_VALUES: Final = 256
MAX_TEXT: Final = 256
SHOWN_WORDS: Final = 12
DEFAULT_ALERTS: Final = 1_000
MAX_ALERTS: Final = 100_000
EXPORTS: Final = ("nftables", "acl")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_RULE_KEYS: Final = ("name", "description", "table", "severity", "match", "tags", "alert",
                     "export", "max_alerts")  # fmt: skip
_DESTINATION_KEYS: Final = {
    "json": ("type", "file"),
    "syslog": ("type", "address"),
    "webhook": ("type", "url", "timeout_s", "retries"),
}
_PORT_KEYS: Final = ("port", "src_port", "dst_port")
_ADDRESS_KEYS: Final = ("host", "src", "dst")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Rule:
    """One rule. All conditions must hold; of the values of one condition, any.

    texts: patterns with `*` and `?` by column; subject: the same on what a row is about;
    addresses: prefixes by `host` (either end), `src`, `dst`; ports: the same with `port`; metrics:
    ranges by name (`metrics.metrics_of`); with_tags: set by an earlier rule.
    """

    name: str
    table: str = "flows"
    description: str = ""
    severity: str = "warning"
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    subject: tuple[str, ...] = ()
    addresses: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    ports: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)
    metrics: Mapping[str, Range] = field(default_factory=dict)
    with_tags: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    alert: tuple[str, ...] = ()
    export: str = ""
    max_alerts: int = DEFAULT_ALERTS


@dataclass(frozen=True)
class Destination:
    """Where alerts go: a file of JSON lines (`-`: standard output), syslog, or a web server.

    target: the file, `host:port` or socket path, or URL; timeout_s, retries: of the web server.
    """

    name: str
    type: str
    target: str
    timeout_s: float = 5.0
    retries: int = 2


@dataclass(frozen=True)
class RuleSet:
    """The rules of one file in their order, and the destinations that they name."""

    rules: tuple[Rule, ...]
    destinations: tuple[Destination, ...] = ()


@dataclass(frozen=True)
class _Place:
    """Where an entry stands: its `header`, such as `[[rule]]`, and the number among its like.

    part: the table inside the entry that keys are looked for in, "" for the entry itself.
    """

    file: str
    text: str
    header: str
    index: int = 0
    part: str = ""

    def error(self, key: str, reason: str) -> ConfigError:
        return ConfigError(f"{self.file}, line {self._line(key)}: {key}: {reason}")

    def _line(self, key: str) -> int:
        """Return the line that sets `key` in the entry, or of its header where none does."""
        found, inside, count, part = 1, not self.header, -1, ""
        wanted = re.compile(rf"(^|[\s{{,.])[\"']?{re.escape(key)}[\"']?\s*=")
        for number, line in enumerate(self.text.splitlines(), 1):
            stripped = line.split("#", 1)[0].strip()
            if stripped.startswith("[") and stripped.endswith("]") and "=" not in stripped:
                part = stripped.strip("[] ").partition(".")[2]
                if stripped == self.header:
                    count += 1
                    inside, part = count == self.index, ""
                    found = number if inside else found
                elif inside and self.header == "[[rule]]" and part:
                    found = number if part in (self.part, key) else found
                else:
                    inside = False
                continue
            # `match.bytes = ...` and `match = { bytes = ... }` stand in the entry itself.
            here = part or (stripped.split("=")[0].split(".")[0].strip(" \"'") == "match") * "match"
            if inside and here in (self.part, key) and wanted.search(stripped):
                return number
        return found


def parse_rules(text: str, file: str) -> RuleSet:
    """Return the rules in the TOML `text`; `file` is its name for errors. Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: this is not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{file}: this is not valid TOML: nested too deeply") from None
    top = _Place(file, text, "")
    for key in document:
        if key not in ("rule", "destination"):
            known = _near(key, ("rule", "destination"))
            tables = (f"[{key}]", f"[[{key}]]")
            lines = enumerate((line.strip() for line in text.splitlines()), 1)
            line = next((number for number, line in lines if line.startswith(tables)), 0)
            at = top if not line else replace(top, text="\n" * (line - 1) + f"{key} =")
            raise at.error(key, f"unknown key{known}")
    entries = document.get("rule")
    if not isinstance(entries, list) or not entries:
        raise top.error("rule", "expected at least one [[rule]] table")
    if len(entries) > MAX_RULES:
        raise top.error("rule", f"at most {MAX_RULES} rules can be loaded")
    given = document.get("destination", {})
    if not isinstance(given, dict):
        raise top.error("destination", "expected tables named [destination.NAME]")
    destinations = tuple(
        _destination(name, entry, _Place(file, text, f"[destination.{name}]"))
        for name, entry in given.items()
    )
    rules: list[Rule] = []
    for index, entry in enumerate(entries):
        place = _Place(file, text, "[[rule]]", index)
        rule = _rule(entry, place, [destination.name for destination in destinations])
        if any(rule.name == other.name for other in rules):
            raise place.error("name", f"{rule.name} is the name of an earlier rule; change one")
        earlier = {tag for other in rules for tag in other.tags if other.table == rule.table}
        for tag in rule.with_tags:
            if tag not in earlier:
                reason = f"no earlier rule of table {rule.table} sets the tag {tag}"
                raise replace(place, part="match").error("tag", reason + _near(tag, earlier))
        rules.append(rule)
    return RuleSet(tuple(rules), destinations)


def _near(word: str, words: Collection[str]) -> str:
    """Return the end of a sentence that suggests what may have been meant."""
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close or not words:
        return f"; did you mean {close[0]}?" if close else ""
    return f"; known: {', '.join(sorted(words)[:SHOWN_WORDS])}"


def _reject_unknown(entry: Mapping[str, Any], known: Collection[str], place: _Place) -> None:
    for key in entry:
        if key not in known:
            raise place.error(key, f"unknown key{_near(key, known)}")


def _destination(name: str, entry: Any, place: _Place) -> Destination:
    if not isinstance(entry, dict):
        raise place.error(name, "expected a table [destination.NAME]")
    if not _NAME.fullmatch(name):
        raise place.error(name, "expected a name of letters, digits, '.', '_' and '-'")
    kind = _string(entry, "type", "", place)
    if kind not in _DESTINATION_KEYS:
        raise place.error("type", f"{kind!r} is no destination{_near(kind, _DESTINATION_KEYS)}")
    _reject_unknown(entry, _DESTINATION_KEYS[kind], place)
    key = _DESTINATION_KEYS[kind][1]
    target = _string(entry, key, "/dev/log" if kind == "syslog" else "", place)
    if not target or "\0" in target:
        raise place.error(key, f"a destination of type {kind} needs it")
    if kind == "webhook":
        try:
            url = urllib.parse.urlsplit(target)
            usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise place.error(key, "expected a URL that starts with http:// or https://")
    if kind == "syslog" and not target.startswith("/"):
        host, _, port = target.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise place.error(key, "expected a socket path such as /dev/log, or host:port")
    return Destination(
        name,
        kind,
        target,
        timeout_s=_number(entry, "timeout_s", 5.0, 0.1, 60.0, place),
        retries=int(_number(entry, "retries", 2, 0, 10, place)),
    )


def _rule(entry: Any, place: _Place, destinations: Collection[str]) -> Rule:
    if not isinstance(entry, dict):
        raise place.error("rule", "expected a table")
    _reject_unknown(entry, _RULE_KEYS, place)
    name = _string(entry, "name", "", place)
    if not _NAME.fullmatch(name):
        raise place.error("name", "expected 1 to 64 letters, digits, '.', '_' and '-'")
    table = _string(entry, "table", "flows", place)
    if table not in TABLES:
        raise place.error("table", f"there is no table {table}{_near(table, TABLES)}")
    severity = _string(entry, "severity", "warning", place)
    if severity not in SEVERITIES:
        raise place.error("severity", f"{severity!r} is none{_near(severity, SEVERITIES)}")
    alert = _strings(entry, "alert", place)
    for destination in alert:
        if destination not in destinations:
            reason = f"there is no [destination.{destination}]{_near(destination, destinations)}"
            raise place.error("alert", reason)
    tags = _strings(entry, "tags", place)
    for tag in tags:
        if not _NAME.fullmatch(tag):
            raise place.error("tags", f"{tag!r} has other than letters, digits, '.', '_' and '-'")
    export = _string(entry, "export", "", place)
    if export and export not in EXPORTS:
        raise place.error("export", f"{export!r} is no format{_near(export, EXPORTS)}")
    if export and table == "findings":
        raise place.error("export", "findings have no addresses; match flows or queue_pairs")
    if not (alert or tags or export):
        raise place.error("name", "the rule does nothing; give it tags, alert or export")
    match = entry.get("match")
    if not isinstance(match, dict) or not match:
        raise place.error("match", "expected a table [rule.match] with at least one condition")
    return Rule(
        name=name,
        table=table,
        description=_string(entry, "description", "", place),
        severity=severity,
        tags=tags,
        alert=alert,
        export=export,
        max_alerts=int(_number(entry, "max_alerts", DEFAULT_ALERTS, 1, MAX_ALERTS, place)),
        **_conditions(match, table, replace(place, part="match")),
    )


def _conditions(match: Mapping[str, Any], table: str, place: _Place) -> dict[str, Any]:
    """Return the fields of a `Rule` that its [rule.match] makes."""
    columns = {column.name for column in TABLES[table]}
    texts_known, metrics_known = texts_of(table), metrics_of(table)
    address_keys = _ADDRESS_KEYS if "src" in columns else ()
    port_keys = _PORT_KEYS if "src_port" in columns else ()
    texts: dict[str, tuple[str, ...]] = {}
    addresses: dict[str, tuple[Network, ...]] = {}
    ports: dict[str, tuple[Range, ...]] = {}
    metrics: dict[str, Range] = {}
    result: dict[str, Any] = {}
    for key, value in match.items():
        if key == "tag":
            result["with_tags"] = _strings(match, key, place)
        elif key == "subject":
            result["subject"] = _strings(match, key, place)
        elif key in address_keys:
            addresses[key] = _networks(match, key, place)
        elif key in port_keys:
            ports[key] = _port_ranges(match, key, place)
        elif key in texts_known:
            texts[key] = _strings(match, key, place)
            if key == "behaviour":
                _check_words(texts[key], BEHAVIOURS, key, place)
            elif key == "severity":
                _check_words(texts[key], SEVERITIES, key, place)
        elif key in metrics_known:
            metrics[key] = _range(value, key, place)
        else:
            known = [*texts_known, *metrics_known, *address_keys, *port_keys, "tag", "subject"]
            raise place.error(key, f"table {table} has no such column{_near(key, known)}")
    return result | {"texts": texts, "addresses": addresses, "ports": ports, "metrics": metrics}


def _check_words(words: tuple[str, ...], known: tuple[str, ...], key: str, place: _Place) -> None:
    for word in words:
        if not set(word) & set("*?[") and word not in known:
            raise place.error(key, f"there is no {key} {word!r}{_near(word, known)}")


def _string(entry: Mapping[str, Any], key: str, default: str, place: _Place) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str):
        raise place.error(key, "expected a text")
    return value


def _strings(entry: Mapping[str, Any], key: str, place: _Place) -> tuple[str, ...]:
    value = entry.get(key, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise place.error(key, "expected a text or a list of texts")
    if key in entry and not values:
        raise place.error(key, "expected at least one text")
    if len(values) > MAX_VALUES or any(len(text) > MAX_TEXT for text in values):
        raise place.error(key, f"expected at most {MAX_VALUES} texts of {MAX_TEXT} characters")
    return tuple(values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _number(
    entry: Mapping[str, Any], key: str, default: float, low: float, high: float, place: _Place
) -> float:
    value = entry.get(key, default)
    if not _is_number(value) or not low <= value <= high:
        raise place.error(key, f"expected a number from {low:g} to {high:g}")
    return float(value)


def _range(value: Any, key: str, place: _Place) -> Range:
    if not isinstance(value, dict) or not value:
        raise place.error(key, "expected a range such as { min = 10, max = 20 }")
    for end, number in value.items():
        if end not in ("min", "max"):
            raise place.error(key, f"unknown key {end}{_near(end, ('min', 'max'))}")
        if not _is_number(number):
            raise place.error(key, f"{end} is not a number")
    found = Range(float(value.get("min", -math.inf)), float(value.get("max", math.inf)))
    if found.low > found.high:
        raise place.error(key, f"impossible range: {found.low:g} is above {found.high:g}")
    if found.high < 0:
        raise place.error(key, f"impossible range: no column is below 0, max is {found.high:g}")
    return found


def _networks(entry: Mapping[str, Any], key: str, place: _Place) -> tuple[Network, ...]:
    networks = []
    for text in _strings(entry, key, place):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            reason = f"{text!r} is no address or prefix such as 10.0.0.0/8: {error}"
            raise place.error(key, reason) from None
    return tuple(networks)


def _port_ranges(entry: Mapping[str, Any], key: str, place: _Place) -> tuple[Range, ...]:
    value = entry[key]
    values = value if isinstance(value, list) else [value]
    if not values or len(values) > MAX_VALUES:
        raise place.error(key, f"expected 1 to {MAX_VALUES} ports")
    ranges = []
    for item in values:
        parts = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(item))
        if isinstance(item, bool) or not isinstance(item, int | str) or not parts:
            raise place.error(key, f"{item!r} is no port and no range such as '8000-8999'")
        low, high = int(parts[1]), int(parts[2] or parts[1])
        if low > high or high > 65_535:
            raise place.error(key, f"impossible range: {item}; ports are 0 to 65535, low-high")
        ranges.append(Range(low, high))
    return tuple(ranges)
