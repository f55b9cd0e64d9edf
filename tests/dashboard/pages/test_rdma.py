"""The page RDMA: what it shows of samples, and of none."""

from pathlib import Path

import polars as pl

from fabricscope.dashboard.pages import rdma
from fabricscope.dashboard.site import Site, SiteConfig
from fabricscope.dashboard.view import View
from fabricscope.schemas import SECOND_NS, schema_of
from fabricscope.store import DeltaStore

START_NS = 1_800_000_000 * SECOND_NS
VIEW = View(START_NS, START_NS + 60 * SECOND_NS, "")


def test_queue_pairs_fill_every_part_of_the_page(tmp_path: Path) -> None:
    kinds = schema_of("rdma_samples")
    row = {name: 0 if kind.is_integer() else None for name, kind in kinds.items()}
    row |= {"time_ns": START_NS, "collector": "<b>c</b>", "src": "10.0.0.1", "dst": "10.0.0.2",
            "dest_qp": 5, "transport": "roce_v2", "packets": 100, "payload_bytes": 4_000,
            "messages": 2, "retransmissions": 3, "message_p50": 5.0, "message_p99": 9.0,
            "message_max": 11.0, "state": "stalled"}  # fmt: skip
    store = DeltaStore(tmp_path)
    store.append("rdma_samples", pl.DataFrame([row], schema=kinds))
    drawn = rdma._draw(Site(store, None, SiteConfig()), VIEW)
    hidden, shown, tiles, messages, round_trips, events, matrix, note, stalled, rows = drawn
    assert (hidden, shown) == (True, False)
    assert len(tiles) == 6  # type: ignore[arg-type]
    assert messages.data[0].type == "heatmap"  # type: ignore[attr-defined]
    assert "No round trip" in round_trips.layout.annotations[0].text  # type: ignore[attr-defined]
    assert events.data[0].name == "Retransmitted"  # type: ignore[attr-defined]
    assert matrix.data[0].type == "heatmap"  # type: ignore[attr-defined]
    assert str(note).startswith("1 of 1 directions")
    assert stalled == rows
    assert rows[0]["id"] == "<b>c</b> 10.0.0.1 10.0.0.2 0x000005"  # type: ignore[index]


def test_without_samples_the_empty_state_is_shown(tmp_path: Path) -> None:
    hidden, shown, *_ = rdma._draw(Site(DeltaStore(tmp_path), None, SiteConfig()), VIEW)
    assert (hidden, shown) == (False, True)
