"""The page Training: verdicts with ways to the evidence, and hostile names as text."""

import json
from pathlib import Path
from typing import Any

import plotly.io as pio
import polars as pl
from live_jobs import SLOW, START_NS, VIEW, iteration, store_of

from fabricscope.dashboard.pages import training
from fabricscope.dashboard.site import Site, SiteConfig
from fabricscope.dashboard.view import View
from fabricscope.schemas import schema_of
from fabricscope.store import DeltaStore


def draw(store: DeltaStore, folder: Path, view: View = VIEW) -> list[Any]:
    return list(training._draw(Site(store, None, SiteConfig(captures=folder)), view))


def test_the_slow_link_leads_to_its_packets(tmp_path: Path) -> None:
    store = store_of(tmp_path / "store", iteration(0, straggler=json.dumps(SLOW)))
    (tmp_path / "run.pcap").write_bytes(b"")
    kinds = schema_of("tap_samples")
    tap = {name: 0 if kind.is_integer() else "" for name, kind in kinds.items()}
    tap |= {"time_ns": START_NS, "collector": "one", "tap": "run.pcap"}
    store.append("tap_samples", pl.DataFrame([tap], schema=kinds))
    hidden, shown, cards, facts, *_, rows = draw(store, tmp_path)
    assert (hidden, shown) == (True, False)
    text = json.dumps(cards[0].to_plotly_json(), default=lambda one: one.to_plotly_json())
    assert "file=run.pcap&host=10.0.0.2&way=up" in text
    assert "10.0.0.2" in text
    assert len(facts) >= 2
    assert rows[0]["straggler"] == "10.0.0.2 up"


def test_the_address_chooses_the_job(tmp_path: Path) -> None:
    store = store_of(tmp_path, iteration(0, job="a+2"), iteration(5, job="b+2", collector="two"))
    view = View(VIEW.start_ns, VIEW.end_ns, "", parameters=(("job", "one/a+2"),))
    cards = draw(store, tmp_path, view)[2]
    assert [card.className for card in cards] == ["panel", "panel here"]


def test_names_from_packets_stay_text(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    bad = {**SLOW, "ip": evil}
    row = iteration(0, job=evil, ranks=[evil, "b", "c"], straggler=json.dumps(bad))
    drawn = draw(store_of(tmp_path, row), tmp_path)
    assert all("<img" not in pio.to_json(figure) for figure in drawn[4:8])
    text = json.dumps(drawn[2][0].to_plotly_json(), default=lambda one: one.to_plotly_json())
    assert "dangerously" not in text.lower()
    assert "Markdown" not in text


def test_without_jobs_the_empty_state_is_shown(tmp_path: Path) -> None:
    assert draw(DeltaStore(tmp_path), tmp_path)[:2] == [False, True]
