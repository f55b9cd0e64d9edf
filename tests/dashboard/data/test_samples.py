"""How many intervals are asked for, so that an answer is not too long."""

import polars as pl
import pytest

from fabricscope.dashboard.data.samples import interval_ns, of_collector, read_samples
from fabricscope.dashboard.view import View
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


def test_the_interval_is_the_least_step() -> None:
    assert interval_ns(pl.Series([30, 10, 20, 20, 40], dtype=pl.Int64)) == 10
    assert interval_ns(pl.Series([5], dtype=pl.Int64)) == SECOND_NS


def test_a_collector_is_a_condition() -> None:
    assert of_collector(View(0, 1)) is None
    rows = pl.DataFrame({"collector": ["a", "b"]})
    chosen = of_collector(View(0, 1, collector="b"))
    assert chosen is not None
    assert rows.filter(chosen).height == 1
