"""What every store shares: the tables' polars schemas, and the resolutions of long ranges."""

from collections.abc import Collection
from typing import Final

import polars as pl

from fabricscope.errors import StoreError
from fabricscope.series import SERIES, is_folded, key_columns
from fabricscope.tables import TABLES, Column

__all__ = [
    "MAX_ROWS",
    "RESOLUTIONS_NS",
    "SECOND_NS",
    "declared",
    "fold",
    "resolution_for",
    "schema_of",
]

RESOLUTIONS_NS: Final = {"10s": 10_000_000_000, "1m": 60_000_000_000, "1h": 3_600_000_000_000}
"""Intervals that samples of a second are folded into, each from the one before."""

SECOND_NS: Final = 1_000_000_000
MAX_ROWS: Final = 1_000_000
"""Rows of one answer; a query that would give more is refused with a way out."""


def declared() -> dict[str, tuple[Column, ...]]:
    """Return every table that a store may hold."""
    return {**TABLES, **SERIES}


def schema_of(table: str) -> dict[str, pl.DataType]:
    """Return the polars schema of a declared table, `time_ns` first.

    Raises StoreError for a table that is not declared.
    """
    columns = declared().get(table)
    if columns is None:
        raise StoreError(f"there is no table {table}; the tables are {', '.join(declared())}")
    schema = {column.name: _dtype(column.dtype) for column in columns}
    return schema if "time_ns" in schema else {"time_ns": pl.Int64(), **schema}


def _dtype(name: str) -> pl.DataType:
    if name.startswith("List("):
        return pl.List(_dtype(name[5:-1]))
    dtype: pl.DataType = getattr(pl, name)()
    return dtype


def resolution_for(table: str, start_ns: int, end_ns: int, max_points: int | None) -> str | None:
    """Return the resolution that answers with at most `max_points`, None for the rows."""
    if max_points is None or not is_folded(table):
        return None
    if (end_ns - start_ns) / SECOND_NS <= max_points:
        return None
    for name, interval_ns in RESOLUTIONS_NS.items():
        if (end_ns - start_ns) / interval_ns <= max_points:
            return name
    return next(reversed(RESOLUTIONS_NS))


def fold(
    table: str,
    frame: pl.DataFrame | pl.LazyFrame,
    interval_ns: int,
    columns: Collection[str] | None = None,
) -> pl.DataFrame:
    """Return samples folded into intervals of `interval_ns`, as the columns' `fold` says.

    A lazy frame is folded as it is read, whatever its size. columns: those wanted besides the
    keys, None for all.
    """
    folds = {
        "sum": lambda name: pl.col(name).sum(),
        "max": lambda name: pl.col(name).max(),
        "min": lambda name: pl.col(name).min(),
        "mean": lambda name: pl.col(name).mean(),
        "last": lambda name: pl.col(name).drop_nulls().last(),
    }
    values = [
        folds[c.fold](c.name)
        for c in SERIES[table]
        if c.fold in folds and (columns is None or c.name in columns)
    ]
    start = (pl.col("time_ns") // interval_ns * interval_ns).alias("time_ns")
    folded = frame.lazy().sort("time_ns").group_by(start, *key_columns(table)).agg(values)
    keys = {"time_ns", *key_columns(table)}
    schema = {
        name: dtype
        for name, dtype in schema_of(table).items()
        if columns is None or name in keys or name in columns
    }
    return folded.select(list(schema)).cast(schema).sort("time_ns").collect()  # type: ignore[arg-type]


def stored_schema(schema: dict[str, pl.DataType]) -> dict[str, pl.DataType]:
    """Return the dtypes that columns have in Delta Lake, which has no unsigned integers."""
    signed: dict[pl.DataType, pl.DataType] = {
        pl.UInt8(): pl.Int16(),
        pl.UInt16(): pl.Int32(),
        pl.UInt32(): pl.Int64(),
    }
    return {name: signed.get(dtype, dtype) for name, dtype in schema.items()}
