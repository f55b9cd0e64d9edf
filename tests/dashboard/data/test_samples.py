"""How many intervals are asked for, so that an answer is not too long."""

import polars as pl
import pytest

from fabricscope.dashboard.data.samples import (
    interval_ns,
    of_collector,
    read_events,
    read_intervals,
    read_samples,
)
from fabricscope.dashboard.view import View
from fabricscope.errors import TooManyRowsError
from fabricscope.schemas import SECOND_NS


class CountingStore:
    """Answers a look at the last seconds with `rows` a second and remembers what was asked."""

    problem = note = ""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.points: int | None = None

    def query(self, table, start_ns, end_ns, *, columns=None, where=None, max_points=None):  # type: ignore[no-untyped-def]
        if max_points is None:
            return pl.DataFrame({"time_ns": [0] * (self.rows * (end_ns - start_ns) // SECOND_NS)})
        self.points = max_points
        return pl.DataFrame({"time_ns": []})


@pytest.mark.parametrize(("rows", "points"), [(0, 400), (100, 400), (8_000, 100), (500_000, 12)])
def test_many_subjects_get_fewer_intervals(rows: int, points: int) -> None:
    store = CountingStore(rows)
    read_samples(store, View(0, 900 * SECOND_NS), "rdma_samples", ["time_ns"])  # type: ignore[arg-type]
    assert store.points == points


class FullStore:
    """Has rows of `subjects` in each second but the last minute; refuses more than a million."""

    problem = note = ""

    def __init__(self, subjects: int) -> None:
        self.subjects = subjects
        self.asked: list[int | None] = []

    def query(self, table, start_ns, end_ns, *, columns=None, where=None, max_points=None):  # type: ignore[no-untyped-def]
        seconds = max(0, (end_ns - start_ns) // SECOND_NS - 60)
        self.asked.append(max_points)
        if self.subjects * min(seconds, max_points or seconds) > 1_000_000:
            raise TooManyRowsError("too many")
        return pl.DataFrame({"time_ns": [start_ns] * min(seconds, 1)})


def test_a_quiet_end_says_nothing_about_the_rest() -> None:
    store = FullStore(5_000)
    view = View(0, 3_600 * SECOND_NS)
    samples = read_intervals(store, view, "rdma_samples", ["time_ns"])  # type: ignore[arg-type]
    assert store.asked == [None, 400, 100]
    assert samples.interval_ns == 60 * SECOND_NS
    with pytest.raises(TooManyRowsError):
        read_samples(FullStore(100_000), view, "rdma_samples", ["time_ns"])  # type: ignore[arg-type]


def test_intervals_that_stay_the_same_are_not_asked_for_again() -> None:
    """A quarter of 400 points are still ten seconds each in a quarter of an hour."""
    store = FullStore(8_000)
    read_intervals(store, View(0, 900 * SECOND_NS), "rdma_samples", ["time_ns"])  # type: ignore[arg-type]
    assert store.asked == [None, 400, 25]


def test_events_are_read_from_as_early_as_they_fit() -> None:
    store = FullStore(1_000)
    view = View(0, 8_000 * SECOND_NS)

    def ask(start_ns: int) -> pl.DataFrame:
        return store.query("flows", start_ns, view.end_ns)  # type: ignore[no-any-return]

    rows, since_ns = read_events(store, view, "flows", ask)  # type: ignore[arg-type]
    assert since_ns == view.end_ns - 1_000 * SECOND_NS
    assert rows["time_ns"].to_list() == [since_ns]


def test_the_interval_is_the_least_step() -> None:
    assert interval_ns(pl.Series([30, 10, 20, 20, 40], dtype=pl.Int64)) == 10
    assert interval_ns(pl.Series([5], dtype=pl.Int64)) == SECOND_NS


def test_a_collector_is_a_condition() -> None:
    assert of_collector(View(0, 1)) is None
    rows = pl.DataFrame({"collector": ["a", "b"]})
    chosen = of_collector(View(0, 1, collector="b"))
    assert chosen is not None
    assert rows.filter(chosen).height == 1
