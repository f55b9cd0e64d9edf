"""What every store shares: the tables' polars schemas, and the resolutions of long ranges."""

from collections.abc import Collection
from typing import Final

import polars as pl

from fabricscope.errors import StoreError, TooManyRowsError
from fabricscope.series import SERIES, is_folded, key_columns
from fabricscope.tables import TABLES, Column

__all__ = [
    "MAX_ROWS",
    "RESOLUTIONS_NS",
    "SECOND_NS",
    "bounded",
    "declared",
    "fold",
    "interval_at",
    "interval_of",
    "schema_of",
]

RESOLUTIONS_NS: Final = {"10s": 10_000_000_000, "1m": 60_000_000_000, "1h": 3_600_000_000_000}
"""Intervals that samples of a second are folded into and kept, each from the one before."""

SECOND_NS: Final = 1_000_000_000
MAX_ROWS: Final = 1_000_000
"""Rows of one answer; a query that would give more is refused with a way out."""

_VALUES: Final = ("sum", "max", "min", "mean", "last")
"""What `fold` does with columns that are no keys."""


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


def interval_of(table: str, start_ns: int, end_ns: int, max_points: int | None) -> int:
    """Return the interval that a query with the same arguments folds samples into, ns.

    A second for rows as they are; one of RESOLUTIONS_NS, or so many of the longest that there are
    no more than `max_points`.
    """
    length_ns = end_ns - start_ns
    if max_points is None or not is_folded(table) or length_ns <= max_points * SECOND_NS:
        return SECOND_NS
    for interval_ns in RESOLUTIONS_NS.values():
        if length_ns <= max_points * interval_ns:
            return interval_ns
    return -(-length_ns // (interval_ns * max(max_points, 1))) * interval_ns


def interval_at(place: str) -> int:
    """Return what a row of a table stands for that is kept at `place`, as `link_samples.1m`, ns."""
    return RESOLUTIONS_NS.get(place.partition(".")[2], SECOND_NS)


def bounded(frame: pl.DataFrame, place: str) -> pl.DataFrame:
    """Return the answer `frame`; raise TooManyRowsError where it has more than MAX_ROWS rows."""
    if frame.height > MAX_ROWS:
        raise TooManyRowsError(
            f"{place} has more than {MAX_ROWS:,} rows in this range; take a shorter one, "
            "filter, or ask for fewer points"
        )
    return frame


def fold(
    table: str,
    frame: pl.DataFrame | pl.LazyFrame,
    interval_ns: int,
    columns: Collection[str] | None = None,
    weight: str | None = None,
) -> pl.DataFrame:
    """Return samples folded into intervals of `interval_ns`, as the columns' `fold` says.

    A lazy frame is folded as it is read, whatever its size. columns: those wanted besides the
    keys, None for all. weight: column with what a row counts in a mean, None for all the same.
    """
    wanted = [c for c in SERIES[table] if columns is None or c.name in columns]
    values = [_folded(c, weight) for c in wanted if c.fold in _VALUES]
    start = (pl.col("time_ns") // interval_ns * interval_ns).alias("time_ns")
    keys = ["time_ns", *key_columns(table)]
    # Few names stand in many rows: as numbers they are grouped three times as fast.
    names = [name for name in keys if schema_of(table)[name] == pl.String()]
    rows = frame.lazy().with_columns(pl.col(names).cast(pl.Categorical))
    folded = rows.group_by(start, *keys[1:]).agg(values)
    schema = {
        name: dtype
        for name, dtype in schema_of(table).items()
        if columns is None or name in keys or name in columns
    }
    return folded.select(list(schema)).cast(schema).sort("time_ns").collect()  # type: ignore[arg-type]


def _folded(column: Column, weight: str | None) -> pl.Expr:
    value = pl.col(column.name)
    if column.fold == "last":
        return value.max_by(pl.when(value.is_not_null()).then("time_ns"))
    if column.fold == "mean" and weight is not None:
        known = pl.when(value.is_not_null()).then(pl.col(weight))
        # The mean of nothing is nothing.
        return ((value * pl.col(weight)).sum() / known.sum()).fill_nan(None).alias(column.name)
    found: pl.Expr = getattr(value, column.fold)()
    return found


def stored_schema(schema: dict[str, pl.DataType]) -> dict[str, pl.DataType]:
    """Return the dtypes that columns have in Delta Lake, which has no unsigned integers."""
    signed: dict[pl.DataType, pl.DataType] = {
        pl.UInt8(): pl.Int16(),
        pl.UInt16(): pl.Int32(),
        pl.UInt32(): pl.Int64(),
    }
    return {name: signed.get(dtype, dtype) for name, dtype in schema.items()}
