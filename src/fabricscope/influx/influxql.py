"""Questions in InfluxQL, the one language that InfluxDB 1, 2 and 3 share, and their answers."""

import json
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from fabricscope.influx.points import field_columns, tag_columns
from fabricscope.schemas import MAX_ROWS, declared, schema_of

__all__ = ["frame_of", "select_folded", "select_rows"]

_TIME_LIMIT_NS: Final = 9_223_372_036_854_775_806
"""Largest time that InfluxDB knows."""


def select_rows(table: str, start_ns: int, end_ns: int, columns: Sequence[str]) -> str:
    """Return a SELECT of rows with start_ns <= time < end_ns.

    A row whose chosen fields are all missing is no row to InfluxDB, so that one which is always
    there is chosen too.
    """
    schema = schema_of(table)
    fields = field_columns(table)
    anchor = next(name for name in fields if schema[name] in (pl.Int64(), pl.String()))
    wanted = [name for name in columns if name in fields]
    chosen = list(dict.fromkeys([*wanted, anchor, *tag_columns(table)]))
    return (
        f"SELECT {', '.join(map(_quoted, chosen))} FROM {_quoted(table)} "
        f"WHERE {_range(start_ns, end_ns)} LIMIT {MAX_ROWS + 1}"
    )


def select_folded(table: str, resolution: str, start_ns: int, end_ns: int) -> str:
    """Return a SELECT that folds samples into intervals of `resolution`, as each column says."""
    folds = {column.name: column.fold for column in declared()[table]}
    values = [f"{folds[name]}({_quoted(name)}) AS {_quoted(name)}" for name in field_columns(table)]
    groups = ", ".join([f"time({resolution})", *map(_quoted, tag_columns(table))])
    return (
        f"SELECT {', '.join(values)} FROM {_quoted(table)} "
        f"WHERE {_range(start_ns, end_ns)} GROUP BY {groups} fill(none)"
    )


def _range(start_ns: int, end_ns: int) -> str:
    start = max(start_ns, -_TIME_LIMIT_NS)
    return f"time >= {start} AND time < {min(end_ns, _TIME_LIMIT_NS)}"


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def frame_of(table: str, series: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return the rows of an answer as a frame with the table's schema; what is missing is null."""
    parts = [_part(table, one) for one in series]
    if not parts:
        return pl.DataFrame(schema=schema_of(table))
    frame = pl.concat(parts)
    keys = [name for name in tag_columns(table) if frame.schema[name] == pl.String()]
    sums = [column.name for column in declared()[table] if column.fold == "sum"]
    # An empty tag is no tag to InfluxDB, and the sum of nothing is nothing.
    return frame.with_columns(pl.col(keys).fill_null(""), pl.col(sums).fill_null(0))


def _part(table: str, series: dict[str, Any]) -> pl.DataFrame:
    schema = schema_of(table)
    rows: list[list[Any]] = series["values"]
    names = ["time_ns" if name == "time" else name for name in series["columns"]]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns |= {name: [text] * len(rows) for name, text in series.get("tags", {}).items()}
    return pl.DataFrame(
        {
            name: _column(name, columns.get(name, [None] * len(rows)), dtype)
            for name, dtype in schema.items()
        }
    )


def _column(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.List):
        lists = [None if value is None else json.loads(value) for value in values]
        return pl.Series(name, lists, dtype=dtype)
    if dtype.is_integer() and any(isinstance(value, str) for value in values):
        values = [int(value) if value else None for value in values]
    return pl.Series(name, values, dtype=dtype, strict=False)
