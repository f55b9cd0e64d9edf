"""Parallel paths: rows of the table, and what is said where one tap alone was there."""

from typing import Any

from examples.analysis import ring_document

from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.paths import PATHS, describe_spread, list_paths
from fabricscope.dashboard.report import render_report


def _document(**paths: Any) -> dict[str, Any]:
    return {**ring_document(), "paths": {"parallel": [], "spread": None, **paths}}


GROUP = {
    "taps": [{"name": "spine<0>", "bytes": 1_000_000}, {"name": "spine1", "bytes": 3_000_000}],
    "flows": 8, "mmr": 1.5, "jfi": 0.8, "expected_mmr": 1.27, "expected_mmr_p95": 1.75,
}  # fmt: skip
SPREAD = {
    "flows": 8, "source_ports": 8, "entropy_bits": 3.0,
    "expected_mmr": {"2": 1.27, "4": 1.81, "8": 2.59, "16": 3.5},
}  # fmt: skip


def test_the_busiest_path_comes_first() -> None:
    rows = list_paths(_document(parallel=[GROUP]))
    assert [(row["name"], row["ratio"]) for row in rows] == [("spine1", 1.5), ("spine<0>", 0.5)]
    table = build_table("paths", "Parallel paths", PATHS, rows, 10)
    assert len(table.rows) == 2


def test_the_report_shows_paths_or_what_hashing_would_give() -> None:
    page = render_report(_document(parallel=[GROUP], spread=SPREAD))
    assert "Parallel paths" in page
    assert "spine<0>" not in page
    alone = _document(spread=SPREAD)
    assert "2.59 over 8" in describe_spread(alone)
    assert "2.59 over 8" in render_report(alone)


def test_nothing_is_said_without_rdma() -> None:
    assert describe_spread(_document()) == ""
    assert describe_spread(ring_document()) == ""
    assert list_paths(ring_document()) == []
