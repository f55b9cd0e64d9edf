"""A site over a minute of a small fabric's samples, some alerts, and what callbacks return."""

import time

import polars as pl
import pytest
from fabric_samples import SECOND_NS, fill

from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.dashboard.view import View, read_view
from fabricscope.store import DeltaStore, schema_of
from fabricscope.topology.builders import build


def alert(ago_s: int, subject: str, state: str = "firing", **more: object) -> dict[str, object]:
    """Return a row of `alerts` of so many seconds ago."""
    now = time.time_ns()
    return {
        "time_ns": now - ago_s * SECOND_NS, "collector": "switches", "rule": "health",
        "subject": subject, "severity": "critical", "state": state,
        "text": f"{subject} is ill <script>alert(1)</script>", "action": "look at it",
        "value": 1.0, "table": "link_samples", "since_ns": now - ago_s * SECOND_NS,
        "until_ns": None, "by": "", **more,
    }  # fmt: skip


@pytest.fixture
def site(tmp_path: object) -> Site:
    fabric = build("leaf-spine:2x2x2@100G")
    store = DeltaStore(str(tmp_path))
    fill(store, fabric, time.time_ns(), 60)
    rows = [alert(30, "leaf0-spine0"), alert(20, "eth2", severity="notice")]
    store.append("alerts", pl.DataFrame(rows, schema=schema_of("alerts")))
    return Site(store, fabric, SiteConfig(store_name=str(tmp_path)))


@pytest.fixture
def empty_site() -> Site:
    return Site(NoStore(), None, SiteConfig())


@pytest.fixture
def view() -> View:
    return read_view("range=1m")
