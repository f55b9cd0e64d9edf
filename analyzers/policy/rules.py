"""Rules and what belongs to them, parsed from TOML text and checked.

The format is shown in `docs/examples/rules.toml` and `live-rules.toml`. Every error is a
`ConfigError` that names the file, the line, the key and the reason. Reading files and delivering
alerts are in the pipeline.
"""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fabricscope.analyzers.findings.finding import SEVERITIES
from fabricscope.analyzers.policy.conditions import Network, Range, read_conditions
from fabricscope.analyzers.policy.defaults import Defaults, read_defaults
from fabricscope.analyzers.policy.destinations import Destination, read_destination
from fabricscope.analyzers.policy.maintenance import Maintenance, read_maintenance
from fabricscope.analyzers.policy.metrics import LIVE_TABLES, RULE_TABLES
from fabricscope.analyzers.policy.reading import (
    NAME,
    Place,
    near,
    read_number,
    read_string,
    read_strings,
    reject_unknown,
)
from fabricscope.analyzers.policy.timing import TIMING_KEYS, Timing, read_timing
from fabricscope.errors import ConfigError

__all__ = ["Rule", "RuleSet", "parse_rules"]

MAX_RULES: Final = 1_000
DEFAULT_ALERTS: Final = 1_000
MAX_ALERTS: Final = 100_000
EXPORTS: Final = ("nftables", "acl")
_RULE_KEYS: Final = ("name", "description", "table", "severity", "match", "tags", "alert",
                     "export", "max_alerts", "action")  # fmt: skip
_TOP_KEYS: Final = ("rule", "destination", "defaults", "maintenance")


@dataclass(frozen=True)
class Rule:
    """One rule. All conditions must hold; of the values of one condition, any.

    texts: patterns with `*` and `?` by column; subject: the same on what a row is about;
    addresses: prefixes by `host` (either end), `src`, `dst`; ports: the same with `port`; metrics:
    ranges by name (`metrics.metrics_of`); with_tags: set by an earlier rule. timing: of a rule over
    live data, None for one over a capture's tables. action: what to do, for people.
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
    action: str = ""
    timing: Timing | None = None


@dataclass(frozen=True)
class RuleSet:
    """The rules of one file in their order, and the destinations that they name."""

    rules: tuple[Rule, ...]
    destinations: tuple[Destination, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    defaults: Defaults = field(default_factory=Defaults)


def parse_rules(text: str, file: str) -> RuleSet:
    """Return the rules in the TOML `text`; `file` is its name for errors. Raises ConfigError."""
    document = _document(text, file)
    top = Place(file, text, "")
    entries = document.get("rule", [])
    others = "defaults" in document or "maintenance" in document
    if not isinstance(entries, list) or not (entries or others):
        raise top.error("rule", "expected at least one [[rule]] table")
    if len(entries) > MAX_RULES:
        raise top.error("rule", f"at most {MAX_RULES} rules can be loaded")
    given = document.get("destination", {})
    if not isinstance(given, dict):
        raise top.error("destination", "expected tables named [destination.NAME]")
    destinations = tuple(
        read_destination(name, entry, Place(file, text, f"[destination.{name}]"))
        for name, entry in given.items()
    )
    names = [destination.name for destination in destinations]
    rules: list[Rule] = []
    for index, entry in enumerate(entries):
        place = Place(file, text, "[[rule]]", index)
        rule = _rule(entry, place, names)
        if any(rule.name == other.name for other in rules):
            raise place.error("name", f"{rule.name} is the name of an earlier rule; change one")
        earlier = {tag for other in rules for tag in other.tags if other.table == rule.table}
        for tag in rule.with_tags:
            if tag not in earlier:
                reason = f"no earlier rule of table {rule.table} sets the tag {tag}"
                raise replace(place, part="match").error("tag", reason + near(tag, earlier))
        rules.append(rule)
    windows = document.get("maintenance", [])
    if not isinstance(windows, list):
        raise top.error("maintenance", "expected tables [[maintenance]]")
    maintenance = tuple(
        read_maintenance(entry, Place(file, text, "[[maintenance]]", index))
        for index, entry in enumerate(windows)
    )
    built_in, place = document.get("defaults", {}), Place(file, text, "[defaults]")
    defaults = read_defaults(built_in, place)
    defaults = replace(defaults, alert=_alert(built_in, place, names))
    return RuleSet(tuple(rules), destinations, maintenance, defaults)


def _document(text: str, file: str) -> dict[str, Any]:
    """Return the TOML document, its top keys checked."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: this is not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{file}: this is not valid TOML: nested too deeply") from None
    for key in document:
        if key not in _TOP_KEYS:
            tables = (f"[{key}]", f"[[{key}]]")
            lines = enumerate((line.strip() for line in text.splitlines()), 1)
            line = next((number for number, line in lines if line.startswith(tables)), 0)
            at = Place(file, "\n" * (line - 1) + f"{key} =" if line else text, "")
            raise at.error(key, f"unknown key{near(key, _TOP_KEYS)}")
    return document


def _alert(
    entry: Mapping[str, Any], place: Place, destinations: Collection[str]
) -> tuple[str, ...]:
    """Return the destinations that an entry names."""
    alert = read_strings(entry, "alert", place)
    for destination in alert:
        if destination not in destinations:
            reason = f"there is no [destination.{destination}]{near(destination, destinations)}"
            raise place.error("alert", reason)
    return alert


def _rule(entry: Any, place: Place, destinations: Collection[str]) -> Rule:
    if not isinstance(entry, dict):
        raise place.error("rule", "expected a table")
    table = read_string(entry, "table", "flows", place)
    if table not in RULE_TABLES:
        raise place.error("table", f"there is no table {table}{near(table, RULE_TABLES)}")
    live = table in LIVE_TABLES
    for key in entry:
        if key in TIMING_KEYS and not live:
            raise place.error(key, f"only tables of live data know it: {', '.join(LIVE_TABLES)}")
        if live and key in ("tags", "export"):
            raise place.error(key, f"rows of {table} cannot be tagged or exported; leave it out")
    reject_unknown(entry, (*_RULE_KEYS, *(TIMING_KEYS if live else ())), place)
    name = read_string(entry, "name", "", place)
    if not NAME.fullmatch(name):
        raise place.error("name", "expected 1 to 64 letters, digits, '.', '_' and '-'")
    severity = read_string(entry, "severity", "warning", place)
    if severity not in SEVERITIES:
        raise place.error("severity", f"{severity!r} is none{near(severity, SEVERITIES)}")
    alert = _alert(entry, place, destinations)
    tags = read_strings(entry, "tags", place)
    for tag in tags:
        if not NAME.fullmatch(tag):
            raise place.error("tags", f"{tag!r} has other than letters, digits, '.', '_' and '-'")
    export = read_string(entry, "export", "", place)
    if export and export not in EXPORTS:
        raise place.error("export", f"{export!r} is no format{near(export, EXPORTS)}")
    if export and table == "findings":
        raise place.error("export", "findings have no addresses; match flows or queue_pairs")
    if not (alert or tags or export or live):
        raise place.error("name", "the rule does nothing; give it tags, alert or export")
    match = entry.get("match")
    if not isinstance(match, dict) or not match:
        raise place.error("match", "expected a table [rule.match] with at least one condition")
    return Rule(
        name=name,
        table=table,
        description=read_string(entry, "description", "", place),
        severity=severity,
        tags=tags,
        alert=alert,
        export=export,
        max_alerts=int(read_number(entry, "max_alerts", DEFAULT_ALERTS, 1, MAX_ALERTS, place)),
        action=read_string(entry, "action", "", place),
        timing=read_timing(entry, table, place) if live else None,
        **read_conditions(match, table, replace(place, part="match")),
    )
