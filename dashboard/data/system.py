"""The collectors and the store: rates, losses, delays and sizes."""

import shutil
from typing import Any, Final, NamedTuple

import polars as pl

from fabricscope.dashboard.data.intervals import find_newest, read_with_lengths
from fabricscope.dashboard.data.samples import of_collector
from fabricscope.dashboard.view import View
from fabricscope.schemas import interval_of
from fabricscope.series import SERIES
from fabricscope.store import DeltaStore, Store

__all__ = ["StoreTable", "StoreView", "describe_store", "tap_history", "tap_states"]

_SECOND_NS: Final = 1_000_000_000
_RECENT_S: Final = 60
_LOSSES: Final = ("dropped", "skipped", "duplicates", "truncated", "malformed", "freezes")


class StoreTable(NamedTuple):
    """One table of a store: rows, files, bytes, and the times it covers."""

    name: str
    rows: int
    files: int
    size_bytes: int
    first_ns: int
    last_ns: int


class StoreView(NamedTuple):
    """kind: "directory", "database" or "none"; free_bytes: None where it cannot be known."""

    kind: str
    tables: list[StoreTable]
    size_bytes: int | None
    free_bytes: int | None


def tap_history(store: Store, view: View, max_points: int) -> pl.DataFrame:
    """Return, by time and tap: packets and losses a second, bits a second, level, sampling.

    step_s: what the times are apart.
    """
    rows = read_with_lengths(
        store, "tap_samples", view.start_ns, view.end_ns, of_collector(view), max_points
    )
    step_ns = interval_of("tap_samples", view.start_ns, view.end_ns, max_points)
    seconds = pl.col("length_ns") / _SECOND_NS
    return rows.with_columns(
        *((pl.col(name) / seconds).alias(name) for name in ("packets", *_LOSSES)),
        (pl.col("bytes") * 8 / seconds).alias("bits"),
        pl.lit(step_ns / _SECOND_NS).alias("step_s"),
    )


def tap_states(store: Store, view: View) -> pl.DataFrame:
    """Return each tap's rates over the newest minute of the view that has any, and when that was.

    Columns: collector, tap, packets and bits a second, losses in that minute, sampling, level,
    last_ns. Where the seconds have expired, all of the view stands for the minute.
    """
    where = of_collector(view)
    start_ns = max(view.start_ns, view.end_ns - _RECENT_S * _SECOND_NS)
    rows = _read_seconds(store, start_ns, view.end_ns, where)
    if rows.is_empty():
        newest_ns = find_newest(store, "tap_samples", view.start_ns, view.end_ns, where)
        if newest_ns is not None:
            start_ns = max(view.start_ns, newest_ns - (_RECENT_S - 1) * _SECOND_NS)
            rows = _read_seconds(store, start_ns, newest_ns, where)
            if rows.is_empty():
                rows = read_with_lengths(
                    store, "tap_samples", view.start_ns, view.end_ns, where, _RECENT_S
                )
    seconds = pl.col("time_ns").n_unique() * pl.col("length_ns").max() / _SECOND_NS
    return (
        rows.group_by("collector", "tap")
        .agg(
            (pl.col("packets").sum() / seconds).alias("packets"),
            (pl.col("bytes").sum() * 8 / seconds).alias("bits"),
            *(pl.col(name).sum() for name in _LOSSES),
            pl.col("sampling", "level").last(),
            pl.col("time_ns").max().alias("last_ns"),
        )
        .sort("collector", "tap")
    )


def _read_seconds(store: Store, start_ns: int, last_ns: int, where: pl.Expr | None) -> pl.DataFrame:
    return read_with_lengths(store, "tap_samples", start_ns, last_ns + _SECOND_NS, where, None)


def describe_store(store: Store) -> StoreView:
    """Return what the store takes; of a database only which tables there may be."""
    if not isinstance(store, DeltaStore):
        kind = "database" if hasattr(store, "address") else "none"
        return StoreView(kind, [], None, None)
    tables = []
    for place in store.places():
        files = store.files(place)
        if files is None or files.is_empty() or place.split(".")[0] not in SERIES:
            continue
        tables.append(_table(place, files))
    free = shutil.disk_usage(store.root).free if store.root.is_dir() else None
    return StoreView("directory", tables, sum(table.size_bytes for table in tables), free)


def _table(place: str, files: pl.DataFrame) -> StoreTable:
    def number(value: Any) -> int:
        return int(value) if value is not None else 0

    return StoreTable(
        place,
        number(files["num_records"].sum()),
        files.height,
        number(files["size_bytes"].sum()),
        number(files["min.time_ns"].min()),
        number(files["max.time_ns"].max()),
    )
