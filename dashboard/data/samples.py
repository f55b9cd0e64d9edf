"""Samples of many subjects within the rows that one answer may have."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from fabricscope.dashboard.view import View
from fabricscope.schemas import MAX_ROWS, SECOND_NS
from fabricscope.store import Store

__all__ = ["affordable_start", "interval_ns", "of_collector", "read_samples"]

_LOOK_NS: Final = 5 * SECOND_NS
_MINUTE_NS: Final = 60 * SECOND_NS
_FILL: Final = 0.8
_FEWEST_POINTS: Final = 12


def read_samples(
    store: Store, view: View, table: str, columns: Sequence[str], points: int = 400
) -> pl.DataFrame:
    """Return samples of all subjects in the view, in at most `points` intervals.

    With so many subjects that an answer would be too long, the intervals are fewer.
    """
    where = of_collector(view)
    latest = store.query(
        table, view.end_ns - _LOOK_NS, view.end_ns, columns=["time_ns"], where=where
    )
    a_second = latest.height * SECOND_NS / _LOOK_NS
    affordable = int(_FILL * MAX_ROWS / a_second) if a_second else points
    return store.query(
        table,
        view.start_ns,
        view.end_ns,
        columns=columns,
        where=where,
        max_points=max(min(points, affordable), _FEWEST_POINTS),
    )


def affordable_start(store: Store, view: View, table: str) -> int:
    """Return from when on the events of `table` in the view fit into one answer, ns.

    As many as in the last minute of the view are taken to come in all of it.
    """
    latest = store.query(table, view.end_ns - _MINUTE_NS, view.end_ns, columns=["time_ns"])
    if not latest.height:
        return view.start_ns
    return max(view.start_ns, view.end_ns - int(_FILL * MAX_ROWS / latest.height * _MINUTE_NS))


def of_collector(view: View) -> pl.Expr | None:
    """Return what keeps the rows of the view's collector, None for all."""
    return pl.col("collector") == view.collector if view.collector else None


def interval_ns(times_ns: pl.Series) -> int:
    """Return the length of the intervals that samples at these times stand for, ns."""
    steps = times_ns.unique().sort().diff().drop_nulls()
    least = steps.min()
    return int(least) if isinstance(least, int) and least > 0 else SECOND_NS
