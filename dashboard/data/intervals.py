"""Samples with how long each of them stands for, of which rates are made; and where they end.

A long range answers in folded rows. Of the interval that it ends in, and of the one that a
collector began in, there is a part only, and how much of it the finer rows in it tell.
"""

from typing import Final

import polars as pl

from fabricscope.schemas import SECOND_NS, fold, interval_of
from fabricscope.store import Store

__all__ = ["find_newest", "read_finished", "read_with_lengths"]

_FINER: Final = 60
"""Points of a look into one interval: the fewest that make its rows finer than itself."""
_LATE_NS: Final = 10 * SECOND_NS
"""What comes up to so much later is late; without samples for longer, nothing was there."""
_LOOK_NS: Final = 600 * SECOND_NS
_LOOK_FACTOR: Final = 8


def read_with_lengths(
    store: Store,
    table: str,
    start_ns: int,
    end_ns: int,
    where: pl.Expr | None,
    max_points: int | None,
    subject: pl.Expr | None = None,
) -> pl.DataFrame:
    """Return samples in order of time, with `length_ns`, how long each stands for.

    where: keeps the collectors, subject: what of theirs is wanted. What is not seen all the time,
    as a link at rest, was looked at as long as anything of its collector.
    """
    return _with_length(_read(store, table, start_ns, end_ns, where, max_points, subject))


def read_finished(
    store: Store,
    table: str,
    start_ns: int,
    end_ns: int,
    where: pl.Expr | None,
    max_points: int | None,
) -> pl.DataFrame:
    """Return what `read_with_lengths` does without the interval that the range ends in.

    Where no other has samples, these are the finished ones of the finer intervals in it.
    """
    step_ns = interval_of(table, start_ns, end_ns, max_points)
    rows = _read_whole(store, table, start_ns, end_ns, where, max_points, None)
    if step_ns <= SECOND_NS or rows.is_empty():
        return _with_length(rows)
    finished_ns = end_ns // step_ns * step_ns
    finished = rows.filter(pl.col("time_ns") < finished_ns)
    if not finished.is_empty():
        return _with_length(finished)
    finer = read_finished(store, table, max(start_ns, finished_ns), end_ns, where, _FINER)
    return _with_length(rows) if finer.is_empty() else finer


def _read(
    store: Store,
    table: str,
    start_ns: int,
    end_ns: int,
    where: pl.Expr | None,
    max_points: int | None,
    subject: pl.Expr | None,
) -> pl.DataFrame:
    """Return samples with `from_ns` and `to_ns`, the ends of what each stands for."""
    step_ns = interval_of(table, start_ns, end_ns, max_points)
    rows = _read_whole(store, table, start_ns, end_ns, where, max_points, subject)
    finished_ns = end_ns // step_ns * step_ns
    finished = rows.filter(pl.col("time_ns") < finished_ns)
    if step_ns <= SECOND_NS or finished.height == rows.height:
        return rows
    finer = _read(store, table, finished_ns, end_ns, where, _FINER, subject)
    if finer.is_empty():  # Expired: what is left is of a finished interval.
        return rows
    begun = rows.filter(pl.col("time_ns") >= finished_ns).group_by("collector")
    newest_ns = int(finer["to_ns"].max())  # type: ignore[arg-type]
    last = fold(table, _with_length(finer), step_ns, weight="length_ns").with_columns(
        pl.lit(newest_ns if end_ns - newest_ns <= _LATE_NS else end_ns).alias("to_ns")
    )
    last = last.join(begun.agg(pl.col("from_ns").min()), on="collector", how="left")
    return pl.concat([finished, last.select(rows.columns)])


def _read_whole(
    store: Store,
    table: str,
    start_ns: int,
    end_ns: int,
    where: pl.Expr | None,
    max_points: int | None,
    subject: pl.Expr | None,
) -> pl.DataFrame:
    """Return what `_read` does, with the whole of the interval that the range ends in."""
    step_ns = interval_of(table, start_ns, end_ns, max_points)
    wanted = subject if where is None else where if subject is None else where & subject
    rows = store.query(table, start_ns, end_ns, where=wanted, max_points=max_points)
    time_ns = pl.col("time_ns")
    rows = rows.with_columns(time_ns.alias("from_ns"), (time_ns + step_ns).alias("to_ns"))
    if step_ns <= SECOND_NS or rows.is_empty():
        return rows
    first_ns = int(rows["time_ns"].min())  # type: ignore[arg-type]
    if first_ns < start_ns:
        return rows
    begun = _find_begin(store, table, first_ns, step_ns, where)
    begun_ns = pl.when(time_ns == first_ns).then(pl.col("begun_ns"))
    return (
        rows.join(begun, on="collector", how="left", maintain_order="left")
        .with_columns(pl.coalesce(begun_ns, "from_ns").alias("from_ns"))
        .drop("begun_ns")
    )


def _find_begin(
    store: Store, table: str, first_ns: int, length_ns: int, where: pl.Expr | None
) -> pl.DataFrame:
    """Return `collector` and `begun_ns`, when its samples in an interval begin.

    To the second for the first collector, to a sixtieth of the interval for the others.
    """
    end_ns = first_ns + length_ns
    finer = store.query(
        table, first_ns, end_ns, columns=["time_ns", "collector"], where=where, max_points=_FINER
    )
    begun = finer.group_by("collector").agg(pl.col("time_ns").min().alias("begun_ns"))
    step_ns = interval_of(table, first_ns, end_ns, _FINER)
    if step_ns <= SECOND_NS or begun.is_empty():
        return begun
    earliest_ns = int(begun["begun_ns"].min())  # type: ignore[arg-type]
    exact = _find_begin(store, table, earliest_ns, step_ns, where)
    others = begun.join(exact, on="collector", how="anti")
    return pl.concat([exact, others])


def _with_length(rows: pl.DataFrame) -> pl.DataFrame:
    length_ns = (pl.col("to_ns") - pl.col("from_ns")).alias("length_ns")
    return rows.with_columns(length_ns).drop("from_ns", "to_ns")


def find_newest(
    store: Store, table: str, start_ns: int, end_ns: int, where: pl.Expr | None
) -> int | None:
    """Return when the newest sample of a range began, None for none; looked for from its end on.

    Of samples that are left in folded rows only, the start of their interval counts.
    """
    until_ns, reach_ns = end_ns, _LOOK_NS
    while until_ns > start_ns:
        begin_ns = max(start_ns, end_ns - reach_ns)
        rows = store.query(
            table, begin_ns, until_ns, columns=["time_ns"], where=where, max_points=_FINER
        )
        if not rows.is_empty():
            newest_ns = int(rows["time_ns"].max())  # type: ignore[arg-type]
            step_ns = interval_of(table, begin_ns, until_ns, _FINER)
            if step_ns <= SECOND_NS:
                return newest_ns
            first_ns, last_ns = max(newest_ns, start_ns), min(newest_ns + step_ns, until_ns)
            inside = find_newest(store, table, first_ns, last_ns, where)
            return newest_ns if inside is None and newest_ns >= start_ns else inside
        until_ns, reach_ns = begin_ns, reach_ns * _LOOK_FACTOR
    return None
