"""Rows as points: which columns are tags, which are fields, and the line that a point becomes."""

import json
from collections.abc import Iterator
from typing import Any, Final

import polars as pl
from influxdb_client import Point

from fabricscope.influx.address import PRECISIONS_NS
from fabricscope.schemas import schema_of
from fabricscope.series import is_folded, key_columns

__all__ = ["field_columns", "lines_of", "tag_columns"]

_EVENT_TAGS: Final = {
    "iterations": ("collector", "job", "operation", "algorithm"),
    "job_samples": ("collector", "job"),
    "alerts": ("collector", "rule", "subject", "severity", "state"),
    "flows": ("application",),
    "queue_pairs": ("slot",),
    "findings": ("severity", "kind", "subject"),
}
"""Tags of tables that do not fold: what tells two events of one moment apart, and what a panel
groups by. Few values each: every set of them is a series, of which a server has only so many."""

_COPY: Final = "copy"
"""Tag that numbers further rows of the same time and tags, which would replace one another."""

_SPREAD: Final = 1_024
"""Flows that end in one unit of a coarse time may come at different flushes: by their numbers they
get so many copies."""

# A line break would end the line, also within quotes for some servers.
_BREAKS: Final = str.maketrans("\n\r\t", "   ")


def tag_columns(table: str) -> list[str]:
    """Return the columns that are tags, without the time."""
    return key_columns(table) if is_folded(table) else list(_EVENT_TAGS[table])


def field_columns(table: str) -> list[str]:
    """Return the columns that are fields."""
    tags = tag_columns(table)
    return [name for name in schema_of(table) if name != "time_ns" and name not in tags]


def lines_of(table: str, frame: pl.DataFrame, precision: str) -> Iterator[str]:
    """Yield a line for each row of a declared table, in order; "" for a row without any value.

    The same rows always give the same lines, so that sending them again changes nothing. A line
    has no line break. Null and not finite values are left out, lists are JSON.
    """
    tags, fields = tag_columns(table), field_columns(table)
    time = pl.col("time_ns") // PRECISIONS_NS[precision]
    rows = frame.with_columns(time.alias("time_ns"))
    alike: list[str | pl.Expr] = ["time_ns", *tags]
    if table == "flows" and precision != "ns":
        place = pl.col("id") % _SPREAD
        copies = _SPREAD * pl.int_range(pl.len(), dtype=pl.Int64).over([*alike, place]) + place
    else:
        copies = pl.int_range(pl.len(), dtype=pl.Int64).over(alike)
    for row in rows.with_columns(copies.alias(_COPY)).iter_rows(named=True):
        point = Point(table)
        for name in tags:
            value = row[name]
            if value is not None:
                point.tag(name, str(value).translate(_BREAKS))
        if row[_COPY]:
            point.tag(_COPY, row[_COPY])
        for name in fields:
            point.field(name, _plain(row[name]))
        point.time(row["time_ns"], precision)
        yield point.to_line_protocol()


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        value = json.dumps(value)
    return value.translate(_BREAKS) if isinstance(value, str) else value
