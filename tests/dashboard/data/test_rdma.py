"""Queue pairs as the page RDMA asks for them: sums, shares of latencies, the matrix, stalls."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fabricscope.dashboard.data.rdma import read_rdma, spread_latencies
from fabricscope.dashboard.view import View
from fabricscope.schemas import SECOND_NS, schema_of
from fabricscope.store import DeltaStore

START_NS = 1_800_000_000 * SECOND_NS


def sample(second: int, **values: object) -> dict[str, object]:
    row: dict[str, object] = {
        name: 0 if kind.is_integer() else None for name, kind in schema_of("rdma_samples").items()
    }
    return {
        **row, "time_ns": START_NS + second * SECOND_NS, "collector": "one", "src": "10.0.0.1",
        "dst": "10.0.0.2", "dest_qp": 17, "transport": "roce_v2", "state": "active", **values,
    }  # fmt: skip


def view_of(seconds: int, **more: object) -> View:
    return View(START_NS, START_NS + seconds * SECOND_NS, "", **more)  # type: ignore[arg-type]


def store_of(tmp_path: Path, *rows: dict[str, object]) -> DeltaStore:
    store = DeltaStore(tmp_path)
    store.append("rdma_samples", pl.DataFrame(list(rows), schema=schema_of("rdma_samples")))
    return store


def test_counts_add_up_by_direction_and_by_time(tmp_path: Path) -> None:
    store = store_of(
        tmp_path,
        sample(0, packets=10, payload_bytes=8_000, messages=1, message_p50=10.0, naks=2),
        sample(1, packets=30, payload_bytes=2_000, messages=3, message_p50=30.0, naks=1),
        sample(1, dest_qp=18, packets=5, payload_bytes=500, state="stalled"),
    )
    picture = read_rdma(store, view_of(10))
    assert picture.total == 2
    first = picture.queue_pairs.row(0, named=True)
    assert (first["qp"], first["packets"], first["payload_bytes"]) == ("0x000011", 40, 10_000)
    assert first["message_p50"] == pytest.approx((10 + 3 * 30) / 4)
    assert first["ack_rtt_p50"] is None
    assert first["rate_gbps"] == pytest.approx(10_000 * 8 / 10 / 1e9)
    assert picture.stalled["dest_qp"].to_list() == [18]
    assert picture.events["naks"].to_list() == [2, 1]
    assert picture.matrix["hosts"] == ["10.0.0.1", "10.0.0.2"]
    assert picture.matrix["bytes"] == [[0, 10_500], [0, 0]]


def test_only_the_chosen_collector_counts(tmp_path: Path) -> None:
    store = store_of(tmp_path, sample(0, packets=1), sample(0, collector="two", packets=2))
    assert read_rdma(store, view_of(5, collector="two")).queue_pairs["packets"].to_list() == [2]


def test_past_the_limit_hosts_are_others(tmp_path: Path) -> None:
    rows = [
        sample(0, src=f"10.0.1.{k}", dst="10.0.0.1", payload_bytes=1_000 + k) for k in range(60)
    ]
    matrix = read_rdma(store_of(tmp_path, *rows), view_of(5)).matrix
    assert len(matrix["hosts"]) == 49
    assert matrix["hosts"][-1] == "13 others"
    assert sum(map(sum, matrix["bytes"])) == sum(1_000 + k for k in range(60))  # type: ignore[arg-type]


def test_nothing_is_nothing(tmp_path: Path) -> None:
    picture = read_rdma(DeltaStore(tmp_path), view_of(60))
    assert picture.total == 0
    assert picture.messages is None
    assert picture.events.is_empty()


def naive_spread(rows: list[tuple[int, float, float, float, float]], low: int, bins: int,
                 columns: int) -> np.ndarray:  # fmt: skip
    """Place each row's mass by walking in small steps; `rows`: column, weight, p50, p99, max."""
    cells = np.zeros((bins, columns))
    for column, weight, *points in rows:
        cells[int(np.log10(points[0]) * 8 - low), column] += weight / 2
        for first, last, share in ((points[0], points[1], 0.49), (points[1], points[2], 0.01)):
            steps = 20_000
            begin, end = np.log10(first) * 8 - low, np.log10(last) * 8 - low
            for place in begin + (np.arange(steps) + 0.5) / steps * (end - begin):
                cells[int(place), column] += share * weight / steps
    return cells / np.maximum(cells.sum(axis=0), 1e-12)


def test_latencies_are_spread_as_the_page_says() -> None:
    given = [(0, 4.0, 12.0, 90.0, 700.0), (0, 1.0, 15.0, 15.0, 15.0), (2, 7.0, 3.0, 3.5, 2000.0)]
    rows = pl.DataFrame(
        [
            sample(second, messages=int(weight), message_p50=p50, message_p99=p99, message_max=top)
            for second, weight, p50, p99, top in given
        ],
        schema=schema_of("rdma_samples"),
    )
    found = spread_latencies(rows, "message", SECOND_NS)
    assert found is not None
    assert len(found.times_ns) == 3
    low = round(np.log10(found.edges_us[0]) * 8)
    expected = naive_spread(given, low, len(found.edges_us) - 1, 3)
    assert np.abs(found.shares - expected).max() < 1e-3
    assert found.shares.sum(axis=0) == pytest.approx([1, 0, 1])
    assert found.p50_us[0] == 12.0
    assert np.isnan(found.p50_us[1])
    assert found.p99_us == pytest.approx([90.0, np.nan, 3.5], nan_ok=True)


def test_a_long_range_has_few_columns() -> None:
    rows = pl.DataFrame(
        [sample(second, messages=1, message_p50=1.0, message_p99=2.0, message_max=3.0)
         for second in range(1_000)],
        schema=schema_of("rdma_samples"),
    )  # fmt: skip
    found = spread_latencies(rows, "message", SECOND_NS)
    assert found is not None
    assert len(found.times_ns) <= 250
