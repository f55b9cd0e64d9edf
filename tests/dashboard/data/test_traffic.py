"""Bytes by host, application and behaviour; flows that ended, and their contradictions."""

from pathlib import Path
from typing import Any

import polars as pl

from fabricscope.dashboard.data.traffic import read_flows, read_traffic
from fabricscope.dashboard.view import View
from fabricscope.schemas import SECOND_NS, schema_of
from fabricscope.store import DeltaStore

START_NS = 1_800_000_000 * SECOND_NS
VIEW = View(START_NS, START_NS + 60 * SECOND_NS, "")


def sample(second: int, application: str, size: int, **values: Any) -> dict[str, Any]:
    return {
        "time_ns": START_NS + second * SECOND_NS, "collector": "one", "src": "10.0.0.1",
        "application": application, "behaviour": "bulk", "packets": 1, "bytes": size, "flows": 2,
        **values,
    }  # fmt: skip


def flow(size: int, **values: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(schema_of("flows"))
    return {
        **row, "time_ns": START_NS + 5, "src": "10.0.0.1", "dst": "10.0.0.2",
        "first_frame": 3, "a_to_b_bytes": size, "b_to_a_bytes": 1, "a_to_b_packets": 2,
        "b_to_a_packets": 3, "start_ns": START_NS, "end_ns": START_NS + 4_000, **values,
    }  # fmt: skip


def store_of(folder: Path, *rows: dict[str, Any]) -> DeltaStore:
    store = DeltaStore(folder)
    store.append(
        "application_samples", pl.DataFrame(list(rows), schema=schema_of("application_samples"))
    )
    return store


def test_pairs_hosts_and_series_add_up(tmp_path: Path) -> None:
    traffic = read_traffic(
        store_of(
            tmp_path, sample(0, "http", 10), sample(10, "http", 30, src="10.0.0.9"),
            sample(10, "", 5, behaviour=""),
        ),
        VIEW,
    )  # fmt: skip
    assert traffic.pairs.rows() == [("http", "bulk", 40, 2, 4), ("unknown", None, 5, 1, 2)]
    assert traffic.hosts["bytes"].to_list() == [30, 10, 5]
    assert traffic.interval_ns == 10 * SECOND_NS
    assert traffic.series == [("http", [10, 30]), ("unknown", [0, 5])]


def test_small_applications_are_one_series(tmp_path: Path) -> None:
    rows = [sample(0, f"app{number}", 100 - number) for number in range(9)]
    traffic = read_traffic(store_of(tmp_path, *rows), VIEW)
    assert [name for name, _ in traffic.series][-1] == "3 others"
    assert sum(values[0] for _, values in traffic.series) == sum(row["bytes"] for row in rows)


def test_flows_are_listed_by_bytes_with_contradictions(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    tunnel = {"application": "dns", "application_confidence": 0.9, "behaviour": "bulk",
              "behaviour_confidence": 0.9, "behaviour_features": "x=1"}  # fmt: skip
    frame = pl.DataFrame([flow(10), flow(9_000_000, **tunnel)], schema=schema_of("flows"))
    store.append("flows", frame)
    flows = read_flows(store, VIEW)
    assert flows.total == 2
    assert flows.rows["bytes"].to_list() == [9_000_001, 11]
    assert flows.rows["duration_us"].to_list() == [4.0, 4.0]
    assert len(flows.contradictions) == 1


def test_nothing_is_nothing(tmp_path: Path) -> None:
    traffic = read_traffic(DeltaStore(tmp_path), VIEW)
    assert traffic.pairs.is_empty()
    assert traffic.series == []
    assert read_flows(DeltaStore(tmp_path), VIEW).total == 0
