"""The page Traffic: what it shows of samples and flows, and of none; hostile names are text."""

import json
from pathlib import Path

import plotly.io as pio
import polars as pl

from fabricscope.dashboard.pages import traffic
from fabricscope.dashboard.site import Site, SiteConfig
from fabricscope.dashboard.spreadsheet import write_csv
from fabricscope.dashboard.view import View
from fabricscope.schemas import SECOND_NS, schema_of
from fabricscope.store import DeltaStore

START_NS = 1_800_000_000 * SECOND_NS
VIEW = View(START_NS, START_NS + 60 * SECOND_NS, "")
EVIL = "<script>alert(1)</script>"


def test_hostile_names_do_nothing_anywhere(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    sample = {"time_ns": START_NS, "collector": "one", "src": EVIL, "application": EVIL,
              "behaviour": EVIL, "packets": 1, "bytes": 10, "flows": 1}  # fmt: skip
    kinds = schema_of("application_samples")
    store.append("application_samples", pl.DataFrame([sample], schema=kinds))
    flow = dict.fromkeys(schema_of("flows"))
    flow |= {"time_ns": START_NS, "src": "10.0.0.1", "dst": "10.0.0.2", "first_frame": 1,
             "application": "dns", "application_confidence": 1.0, "behaviour": "bulk",
             "behaviour_confidence": 1.0, "behaviour_features": EVIL, "detail": '=cmd|"x"!A1',
             "a_to_b_bytes": 1 << 20, "b_to_a_bytes": 0, "a_to_b_packets": 1,
             "b_to_a_packets": 0, "start_ns": START_NS, "end_ns": START_NS}  # fmt: skip
    store.append("flows", pl.DataFrame([flow], schema=schema_of("flows")))
    site = Site(store, None, SiteConfig())
    hidden, shown, tiles, rates, tree, sankey, found, note, rows = traffic._draw(site, VIEW)
    assert (hidden, shown) == (True, False)
    for figure in (rates, tree, sankey):
        assert "<script" not in pio.to_json(figure)
    text = json.dumps([part.to_plotly_json() for part in (*tiles, *found)],  # type: ignore[misc]
                      default=lambda one: one.to_plotly_json())  # fmt: skip
    assert "Markdown" not in text
    assert "dangerously" not in text
    assert note == "1 of 1"
    assert rows[0]["id"] == "0"  # type: ignore[index]
    csv = write_csv(traffic.read_flows(store, VIEW).rows)
    assert "\"'=cmd|" in csv


def test_without_traffic_the_empty_state_is_shown(tmp_path: Path) -> None:
    hidden, shown, *_ = traffic._draw(Site(DeltaStore(tmp_path), None, SiteConfig()), VIEW)
    assert (hidden, shown) == (False, True)
