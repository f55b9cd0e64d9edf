"""Live training jobs made by hand, for the tests of what the site shows of them."""

from pathlib import Path
from typing import Any

import polars as pl

from fabricscope.dashboard.view import View
from fabricscope.schemas import SECOND_NS, schema_of
from fabricscope.store import DeltaStore

START_NS = 1_800_000_000 * SECOND_NS
VIEW = View(START_NS, START_NS + 60 * SECOND_NS, "")
RANKS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
SLOW = {"kind": "link", "rank": 1, "ip": "10.0.0.2", "direction": "up", "late_ms": None,
        "rate_gbps": 0.5, "evidence": {"others_gbps": 20.0, "iterations": 8}}  # fmt: skip


def iteration(second: float, size: int = 1 << 20, **values: Any) -> dict[str, Any]:
    start = START_NS + int(second * SECOND_NS)
    return {
        "time_ns": start, "collector": "one", "job": "10.0.0.1+2", "operation": "allreduce",
        "algorithm": "ring", "ranks": RANKS, "end_ns": start + 50_000_000, "message_bytes": size,
        "algbw_gbps": 1.0, "busbw_gbps": 4 / 3, "straggler": "", **values,
    }  # fmt: skip


def store_of(folder: Path, *rows: dict[str, Any]) -> DeltaStore:
    store = DeltaStore(folder)
    store.append("iterations", pl.DataFrame(list(rows), schema=schema_of("iterations")))
    return store
