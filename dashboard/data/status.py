"""What the head of every page says: who reports, how fresh it is, and what is wrong with it."""

import time
from typing import Final, NamedTuple

import polars as pl

from fabricscope.dashboard.plain_text import neutralise
from fabricscope.errors import FabricscopeError
from fabricscope.store import Store

__all__ = ["Status", "read_status"]

_SECOND_NS: Final = 1_000_000_000
_TABLES: Final = ("tap_samples", "link_samples")
_NEAR_S: Final = 60
_HOUR_S: Final = 3_600
_FAR_S: Final = (_HOUR_S, 86_400, 2_592_000)
_POINTS: Final = {_HOUR_S: 400, 86_400: 1_500, 2_592_000: 800}
"""Intervals of the queries that look so far back: of ten seconds, a minute and an hour."""
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
    end = now_ns + _AHEAD_S * _SECOND_NS
    for reach_s in (_NEAR_S, *_FAR_S):
        for table in _TABLES:
            start = now_ns - reach_s * _SECOND_NS
            points = _POINTS.get(reach_s)
            rows = store.query(table, start, end, columns=_COLUMNS, max_points=points)
            if rows.is_empty():
                continue
            if reach_s <= _HOUR_S:
                return rows
            # Folded rows stand at the start of their minute or hour: look into that hour.
            begin = int(rows["time_ns"].max())  # type: ignore[arg-type]
            return store.query(
                table, begin, begin + _HOUR_S * _SECOND_NS, columns=_COLUMNS,
                max_points=_POINTS[_HOUR_S],
            )  # fmt: skip
    return rows
