"""When a rule over live data fires and is over: durations, windows, hysteresis, grouping."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fabricscope.analyzers.policy.conditions import Range, read_range
from fabricscope.analyzers.policy.metrics import columns_of, metrics_of, texts_of
from fabricscope.analyzers.policy.reading import (
    Place,
    near,
    read_duration_ns,
    read_strings,
)

__all__ = ["DEFAULT_GROUPS", "PLACEHOLDER", "TIMING_KEYS", "Timing", "read_timing"]

TIMING_KEYS: Final = (
    "for", "over", "absent", "clear", "clear_for", "expire", "repeat", "group_by",
)  # fmt: skip

DEFAULT_GROUPS: Final = {
    "link_samples": ("link", "direction", "source"),
    "rdma_samples": ("src", "dst", "dest_qp"),
    "tap_samples": ("tap",),
    "application_samples": ("src", "application", "behaviour"),
    "iterations": ("job", "operation"),
    "job_samples": ("job",),
}
"""What an alert is about unless the rule says otherwise."""

PLACEHOLDER: Final = re.compile(r"\{([a-z_0-9]+)\}")
SECOND_NS: Final = 10**9
DEFAULT_EXPIRE_NS: Final = 60 * SECOND_NS
LONGEST_WINDOW_NS: Final = 600 * SECOND_NS
DAY_NS: Final = 86_400 * SECOND_NS


@dataclass(frozen=True)
class Timing:
    """Durations of a rule over live data, ns.

    hold: conditions hold this long before it fires; over: rows of so long are folded into one
    before they are compared, 0 for those of a second; absent: it fires when no row matched for so
    long, 0 for a rule that is not about absence; clear, clear_for: it is over when these hold for
    so long, and without `clear` when the conditions do not; expire: it is over when nothing was
    heard for so long; repeat: it is sent again while it fires, 0 for never; group_by: columns that
    tell subjects apart.
    """

    hold_ns: int = 0
    over_ns: int = 0
    absent_ns: int = 0
    clear: Mapping[str, Range] = field(default_factory=dict)
    clear_for_ns: int = 0
    expire_ns: int = DEFAULT_EXPIRE_NS
    repeat_ns: int = 0
    group_by: tuple[str, ...] = ()


def read_timing(entry: Mapping[str, Any], table: str, place: Place) -> Timing:
    """Return the timing of a `[[rule]]` over live data. Raises ConfigError."""
    absent_ns = read_duration_ns(entry, "absent", 0, DAY_NS, place)
    for key in ("for", "over", "clear", "clear_for", "expire"):
        if absent_ns and key in entry:
            raise place.error(key, "a rule about absence fires after `absent`, and is over at once")
    clear = entry.get("clear", {})
    if not isinstance(clear, dict):
        raise place.error("clear", "expected a table [rule.clear] of ranges")
    known = metrics_of(table)
    inner = replace(place, part="clear")
    for key in clear:
        if key not in known:
            raise inner.error(key, f"table {table} has no such number{near(key, known)}")
    hold_ns = read_duration_ns(entry, "for", 0, DAY_NS, place)
    group_by = read_strings(entry, "group_by", place)
    groups = groupable(table)
    for name in group_by:
        if name not in groups:
            raise place.error("group_by", f"{name!r} tells no rows apart{near(name, groups)}")
    if not group_by and not absent_ns:
        group_by = DEFAULT_GROUPS[table]
    _check_description(entry.get("description", ""), table, place)
    return Timing(
        hold_ns=hold_ns,
        over_ns=read_duration_ns(entry, "over", 0, LONGEST_WINDOW_NS, place),
        absent_ns=absent_ns,
        clear={key: read_range(value, key, inner) for key, value in clear.items()},
        clear_for_ns=read_duration_ns(entry, "clear_for", 0, DAY_NS, place),
        expire_ns=max(read_duration_ns(entry, "expire", DEFAULT_EXPIRE_NS, DAY_NS, place), hold_ns),
        repeat_ns=read_duration_ns(entry, "repeat", 0, 30 * DAY_NS, place),
        group_by=group_by,
    )


def groupable(table: str) -> list[str]:
    """Return the columns that may tell subjects of a table apart."""
    columns = [c.name for c in columns_of(table) if c.fold == "key" and c.name != "time_ns"]
    return list(dict.fromkeys([*columns, *texts_of(table)]))


def _check_description(text: Any, table: str, place: Place) -> None:
    known = [*metrics_of(table), *texts_of(table), *groupable(table), "subject"]
    for name in PLACEHOLDER.findall(text if isinstance(text, str) else ""):
        if name not in known:
            raise place.error("description", f"{{{name}}} is no column{near(name, known)}")
