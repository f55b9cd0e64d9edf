"""What the head of every page says: who reports, how fresh it is, and what is wrong with it."""

import time
from typing import Final, NamedTuple

import polars as pl

from fabricscope.dashboard.plain_text import neutralise
from fabricscope.errors import FabricscopeError, TooManyRowsError
from fabricscope.schemas import RESOLUTIONS_NS, interval_at, interval_of
from fabricscope.store import DeltaStore, Store

__all__ = ["Status", "read_status"]

_SECOND_NS: Final = 1_000_000_000
_TABLES: Final = ("tap_samples", "link_samples")
_NEAR_S: Final = (5, 60)
_FAR: Final = ((3_600, 61), (86_400, 25), (2_592_000, 31))
"""How far back one looks, and in how many intervals: of a minute, an hour and a day. However many
subjects there are, an answer is short."""
_FINER: Final = (31, 61, 6)
"""Intervals of a look into one of a day, an hour and a minute."""
_AHEAD_S: Final = 60
"""Clocks of collectors may be ahead of this host's."""
_COLUMNS: Final = ["time_ns", "collector"]


class Status(NamedTuple):
    """latest_ns: start of the newest sample, None for none within a month; problem: "" for none."""

    latest_ns: int | None
    collectors: tuple[str, ...]
    problem: str


def read_status(store: Store, now_ns: int | None = None) -> Status:
    """Return the state of the store; what is wrong with it is part of the answer."""
    now = time.time_ns() if now_ns is None else now_ns
    try:
        found = _find_newest(store, now)
    except FabricscopeError as error:
        return Status(None, (), neutralise(error, 2_000))
    if found.is_empty():
        return Status(None, (), store.problem)
    latest = found["time_ns"].max()
    collectors = tuple(sorted(found["collector"].drop_nulls().unique().to_list()))
    return Status(int(latest), collectors, store.problem)  # type: ignore[arg-type]


def _find_newest(store: Store, now_ns: int) -> pl.DataFrame:
    """Return times and collectors of the newest samples, from as short a range as has any."""
    end_ns = now_ns + _AHEAD_S * _SECOND_NS
    for table in _TABLES:
        rows = _just_before(store, table, now_ns, end_ns)
        if not rows.is_empty():
            return rows
    if isinstance(store, DeltaStore):
        ends = [found for table in _TABLES if (found := _end_of(store, table)) is not None]
        if all(last_ns < end_ns for _, last_ns, _ in ends):
            return _at_end(store, ends, now_ns)
    for reach_s, points in _FAR:
        for table in _TABLES:
            start_ns = now_ns - reach_s * _SECOND_NS
            rows = store.query(table, start_ns, end_ns, columns=_COLUMNS, max_points=points)
            if not rows.is_empty():
                return _narrow(store, table, rows, interval_of(table, start_ns, end_ns, points))
    return rows


def _just_before(store: Store, table: str, last_ns: int, end_ns: int) -> pl.DataFrame:
    """Return the samples of the last minute, fewer seconds of them where they are too many."""
    for reach_s in reversed(_NEAR_S):
        start_ns = last_ns - reach_s * _SECOND_NS
        try:
            return store.query(table, start_ns, end_ns, columns=_COLUMNS)
        except TooManyRowsError:
            if reach_s == _NEAR_S[0]:
                raise
    raise AssertionError("unreachable")


def _end_of(store: DeltaStore, table: str) -> tuple[str, int, int] | None:
    """Return table, newest time and interval of the finest resolution that has rows."""
    for place in (table, *(f"{table}.{name}" for name in RESOLUTIONS_NS)):
        span = store.span(place)
        if span is not None:
            return table, span[1], interval_at(place)
    return None


def _at_end(store: DeltaStore, ends: list[tuple[str, int, int]], now_ns: int) -> pl.DataFrame:
    """Return the newest samples of a directory, whose files tell when that was."""
    since_ns = now_ns - _FAR[-1][0] * _SECOND_NS
    ends = [found for found in ends if found[1] >= since_ns]
    if not ends:
        return pl.DataFrame(schema={"time_ns": pl.Int64, "collector": pl.String})
    table, last_ns, interval_ns = max(ends, key=lambda found: (found[1], -found[2]))
    if interval_ns == _SECOND_NS:
        return _just_before(store, table, last_ns, last_ns + 1)
    return store.query(table, last_ns, last_ns + interval_ns, columns=_COLUMNS, max_points=1)


def _narrow(store: Store, table: str, rows: pl.DataFrame, interval_ns: int) -> pl.DataFrame:
    """Return the newest of folded samples by ever shorter intervals.

    Where the finer ones are forgotten, the coarser ones have to do.
    """
    for points in _FINER:
        begin_ns = int(rows["time_ns"].max())  # type: ignore[arg-type]
        end_ns = begin_ns + interval_ns
        shorter_ns = interval_of(table, begin_ns, end_ns, points)
        if shorter_ns >= interval_ns:
            continue
        finer = store.query(table, begin_ns, end_ns, columns=_COLUMNS, max_points=points)
        if finer.is_empty():
            break
        rows, interval_ns = finer, shorter_ns
    return rows
