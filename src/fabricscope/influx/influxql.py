"""Questions in InfluxQL, the one language that InfluxDB 1, 2 and 3 share, and their answers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from fabricscope.influx.points import field_columns, tag_columns
from fabricscope.schemas import MAX_ROWS, SECOND_NS, declared, schema_of

__all__ = ["frame_of", "select_folded", "select_rows", "tag_equalities"]

_TIME_LIMIT_NS: Final = 9_223_372_036_854_775_806
"""Largest time that InfluxDB knows."""


def select_rows(
    table: str,
    start_ns: int,
    end_ns: int,
    columns: Sequence[str],
    tags: Mapping[str, str] | None = None,
) -> str:
    """Return a SELECT of rows with start_ns <= time < end_ns whose tags have these values.

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
        f"WHERE {_conditions(start_ns, end_ns, tags or {})} LIMIT {MAX_ROWS + 1}"
    )


def select_folded(
    table: str,
    interval_ns: int,
    start_ns: int,
    end_ns: int,
    columns: Sequence[str],
    tags: Mapping[str, str] | None = None,
) -> str:
    """Return a SELECT that folds samples into intervals of `interval_ns`, as each column says."""
    folds = {column.name: column.fold for column in declared()[table]}
    anchor = next(name for name in folds if folds[name] == "sum")
    wanted = dict.fromkeys([*(name for name in field_columns(table) if name in columns), anchor])
    values = [f"{folds[name]}({_quoted(name)}) AS {_quoted(name)}" for name in wanted]
    groups = ", ".join([f"time({interval_ns // SECOND_NS}s)", *map(_quoted, tag_columns(table))])
    return (
        f"SELECT {', '.join(values)} FROM {_quoted(table)} "
        f"WHERE {_conditions(start_ns, end_ns, tags or {})} GROUP BY {groups} fill(none)"
    )


def tag_equalities(table: str, where: pl.Expr | None) -> dict[str, str]:
    """Return the tags that must have a certain text for `where` to hold, as far as it is plain.

    What is found narrows the server's search; `where` itself is applied to what comes back.
    """
    if where is None:
        return {}
    texts = {name for name in tag_columns(table) if schema_of(table)[name] == pl.String()}
    found: dict[str, str] = {}
    waiting = [json.loads(where.meta.serialize(format="json"))]
    while waiting:
        match waiting.pop():
            case {"BinaryExpr": {"left": left, "op": "And", "right": right}}:
                waiting += [left, right]
            case {
                "BinaryExpr": {
                    "left": {"Column": str(name)},
                    "op": "Eq",
                    "right": {"Literal": {"Scalar": {"String": str(text)}}},
                }
            } if name in texts:
                found[name] = text
    return found


def _conditions(start_ns: int, end_ns: int, tags: Mapping[str, str]) -> str:
    start = max(start_ns, -_TIME_LIMIT_NS)
    parts = [f"time >= {start}", f"time < {min(end_ns, _TIME_LIMIT_NS)}"]
    for name, text in tags.items():
        escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        parts.append(f"{_quoted(name)} = '{escaped}'")
    return " AND ".join(parts)


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
