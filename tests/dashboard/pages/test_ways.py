"""The way to the packets of a host: the capture that its tap is named after."""

from pathlib import Path

import polars as pl
from live_jobs import START_NS, VIEW

from fabricscope.dashboard.pages.ways import packets_link
from fabricscope.dashboard.site import Site, SiteConfig
from fabricscope.schemas import schema_of
from fabricscope.store import DeltaStore


def test_the_tap_of_the_collector_names_the_file(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path / "store")
    kinds = schema_of("tap_samples")
    blank = {name: 0 if kind.is_integer() else "" for name, kind in kinds.items()}
    rows = [
        {**blank, "time_ns": START_NS, "collector": name, "tap": f"{name}.pcap"}
        for name in ("a", "b", "eth0")
    ]
    store.append("tap_samples", pl.DataFrame(rows, schema=kinds))
    for name in ("a.pcap", "b.pcap"):
        (tmp_path / name).write_bytes(b"")
    site = Site(store, None, SiteConfig(captures=tmp_path))
    assert "file=b.pcap&host=10.0.0.1&" in packets_link(site, VIEW, "10.0.0.1", "up", "b")
    assert "file" not in packets_link(site, VIEW, "10.0.0.1", "up", "eth0")
    nowhere = Site(store, None, SiteConfig())
    assert "file" not in packets_link(nowhere, VIEW, "10.0.0.1", "up", "b")
