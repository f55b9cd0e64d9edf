"""Samples and events of many subjects within the rows that one answer may have."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import polars as pl

from fabricscope.dashboard.view import View
from fabricscope.errors import TooManyRowsError
from fabricscope.schemas import MAX_ROWS, SECOND_NS, interval_of
from fabricscope.store import DeltaStore, Store

__all__ = [
    "Samples",
    "affordable_start",
    "interval_ns",
    "of_collector",
    "read_events",
    "read_intervals",
    "read_samples",
]

_LOOK_NS: Final = 10 * SECOND_NS
_MINUTE_NS: Final = 60 * SECOND_NS
_FILL: Final = 0.8
_FEWEST_POINTS: Final = 12


class Samples(NamedTuple):
    """rows: of all subjects; interval_ns: what each stands for."""

    rows: pl.DataFrame
    interval_ns: int


def read_samples(
    store: Store, view: View, table: str, columns: Sequence[str], points: int = 400
) -> pl.DataFrame:
    """Return the rows of `read_intervals`."""
    return read_intervals(store, view, table, columns, points).rows


def read_intervals(
    store: Store,
    view: View,
    table: str,
    columns: Sequence[str],
    points: int = 400,
    where: pl.Expr | None = None,
) -> Samples:
    """Return samples of all subjects in the view that `where` keeps, in at most `points` intervals.

    With so many subjects that an answer would be too long, the intervals are fewer: as many as the
    last seconds of the view say, and a quarter of them as long as these said too little.
    """
    seen_by = of_collector(view)
    if where is None or seen_by is None:
        where = seen_by if where is None else where
    else:
        where = where & seen_by
    points = min(points, _affordable_points(store, view, table, where, points))
    while True:
        points = max(points, _FEWEST_POINTS)
        length_ns = interval_of(table, view.start_ns, view.end_ns, points)
        try:
            rows = store.query(
                table, view.start_ns, view.end_ns, columns=columns, where=where, max_points=points
            )
        except TooManyRowsError:
            if points == _FEWEST_POINTS:
                raise
        else:
            return Samples(rows, length_ns)
        # Fewer points may still be answered with the same intervals.
        while (
            points > _FEWEST_POINTS
            and interval_of(table, view.start_ns, view.end_ns, points) == length_ns
        ):
            points = max(points // 4, _FEWEST_POINTS)


def _affordable_points(
    store: Store, view: View, table: str, where: pl.Expr | None, points: int
) -> int:
    """Return how many intervals fit into an answer, by the view's last seconds."""

    def look(end_ns: int) -> pl.DataFrame:
        return store.query(table, end_ns - _LOOK_NS, end_ns, columns=["time_ns"], where=where)

    try:
        latest = look(view.end_ns)
        if latest.is_empty() and isinstance(store, DeltaStore):
            # A collector may be late, or silent by now.
            span = store.span(table)
            latest = look(min(span[1] + 1, view.end_ns)) if span is not None else latest
    except TooManyRowsError:
        return _FEWEST_POINTS
    return int(_FILL * MAX_ROWS / latest.height * _LOOK_NS / SECOND_NS) if latest.height else points


def affordable_start(store: Store, view: View, table: str) -> int:
    """Return from when on the events of `table` in the view may fit into one answer, ns.

    As many as in the last minute of the view are taken to come in all of it; `read_events` goes on
    from there.
    """
    try:
        latest = store.query(table, view.end_ns - _MINUTE_NS, view.end_ns, columns=["time_ns"])
    except TooManyRowsError:
        return max(view.start_ns, view.end_ns - _MINUTE_NS)
    if not latest.height:
        return view.start_ns
    return max(view.start_ns, view.end_ns - int(_FILL * MAX_ROWS / latest.height * _MINUTE_NS))


def read_events(
    store: Store, view: View, table: str, ask: Callable[[int], pl.DataFrame]
) -> tuple[pl.DataFrame, int]:
    """Return what `ask` answers about the events of `table` from a time on, and that time, ns.

    It is asked for as much of the view as fits into an answer, half as much each time it did not.
    """
    start_ns = affordable_start(store, view, table)
    while True:
        try:
            return ask(start_ns), start_ns
        except TooManyRowsError:
            if view.end_ns - start_ns <= SECOND_NS:
                raise
            start_ns = view.end_ns - (view.end_ns - start_ns) // 2


def of_collector(view: View) -> pl.Expr | None:
    """Return what keeps the rows of the view's collector, None for all."""
    return pl.col("collector") == view.collector if view.collector else None


def interval_ns(times_ns: pl.Series) -> int:
    """Return the least step between samples at these times, ns; a second for a single time.

    `interval_of` knows it where the question is known.
    """
    steps = times_ns.unique().sort().diff().drop_nulls()
    least = steps.min()
    return int(least) if isinstance(least, int) and least > 0 else SECOND_NS
