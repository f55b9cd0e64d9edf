"""The conditions of a rule: what `[rule.match]` may hold, read and checked."""

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fabricscope.analyzers.behaviours import BEHAVIOURS
from fabricscope.analyzers.findings.finding import SEVERITIES
from fabricscope.analyzers.policy.metrics import LIVE_TABLES, columns_of, metrics_of, texts_of
from fabricscope.analyzers.policy.reading import MAX_VALUES, Place, is_number, near, read_strings

__all__ = ["Network", "Range", "read_conditions", "read_range"]

_PORT_KEYS: Final = ("port", "src_port", "dst_port")
_ADDRESS_KEYS: Final = ("host", "src", "dst")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float = -math.inf
    high: float = math.inf


def read_conditions(match: Mapping[str, Any], table: str, place: Place) -> dict[str, Any]:
    """Return the fields of a `Rule` that its [rule.match] makes."""
    columns = {column.name for column in columns_of(table)}
    ends = "src" in columns
    texts_known, metrics_known = texts_of(table), metrics_of(table)
    address_keys = [key for key in _ADDRESS_KEYS if (key in columns or key == "host") and ends]
    port_keys = _PORT_KEYS if "src_port" in columns else ()
    texts: dict[str, tuple[str, ...]] = {}
    addresses: dict[str, tuple[Network, ...]] = {}
    ports: dict[str, tuple[Range, ...]] = {}
    metrics: dict[str, Range] = {}
    result: dict[str, Any] = {}
    for key, value in match.items():
        if key == "tag" and table not in LIVE_TABLES:
            result["with_tags"] = read_strings(match, key, place)
        elif key == "subject":
            result["subject"] = read_strings(match, key, place)
        elif key in address_keys:
            addresses[key] = _networks(match, key, place)
        elif key in port_keys:
            ports[key] = _port_ranges(match, key, place)
        elif key in texts_known:
            texts[key] = read_strings(match, key, place)
            if key == "behaviour":
                _check_words(texts[key], BEHAVIOURS, key, place)
            elif key == "severity":
                _check_words(texts[key], SEVERITIES, key, place)
        elif key in metrics_known:
            metrics[key] = read_range(value, key, place)
        else:
            known = [*texts_known, *metrics_known, *address_keys, *port_keys, "tag", "subject"]
            raise place.error(key, f"table {table} has no such column{near(key, known)}")
    return result | {"texts": texts, "addresses": addresses, "ports": ports, "metrics": metrics}


def _check_words(words: tuple[str, ...], known: tuple[str, ...], key: str, place: Place) -> None:
    for word in words:
        if not set(word) & set("*?[") and word not in known:
            raise place.error(key, f"there is no {key} {word!r}{near(word, known)}")


def read_range(value: Any, key: str, place: Place) -> Range:
    """Return a range from `{ min = ..., max = ... }`. Raises ConfigError."""
    if not isinstance(value, dict) or not value:
        raise place.error(key, "expected a range such as { min = 10, max = 20 }")
    for end, number in value.items():
        if end not in ("min", "max"):
            raise place.error(key, f"unknown key {end}{near(end, ('min', 'max'))}")
        if not is_number(number):
            raise place.error(key, f"{end} is not a number")
    found = Range(float(value.get("min", -math.inf)), float(value.get("max", math.inf)))
    if found.low > found.high:
        raise place.error(key, f"impossible range: {found.low:g} is above {found.high:g}")
    if found.high < 0 and not key.endswith("_dbm"):
        raise place.error(key, f"impossible range: no column is below 0, max is {found.high:g}")
    return found


def _networks(entry: Mapping[str, Any], key: str, place: Place) -> tuple[Network, ...]:
    networks = []
    for text in read_strings(entry, key, place):
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            reason = f"{text!r} is no address or prefix such as 10.0.0.0/8: {error}"
            raise place.error(key, reason) from None
    return tuple(networks)


def _port_ranges(entry: Mapping[str, Any], key: str, place: Place) -> tuple[Range, ...]:
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
