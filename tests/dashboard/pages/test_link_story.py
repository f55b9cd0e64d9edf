"""The story of one link."""

import polars as pl
from dash import no_update

from fabricscope.dashboard.pages import link_story
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View, read_view


def test_it_tells_reasons_numbers_and_alerts(site: Site, view: View) -> None:
    head, side, load, score, events, latency = link_story._draw(site, view, "leaf0-spine0")
    assert "leaf0-spine0" in str(head)
    text = str(side)
    assert "lost 0.0001 of its RDMA packets" in text
    assert "100 Gb/s" in text
    assert "leaf0-spine0 is ill" in text
    assert "eth2" not in text
    assert load.data  # type: ignore[attr-defined]
    assert score.data  # type: ignore[attr-defined]
    assert [trace.name for trace in events.data] == ["Lost"]  # type: ignore[attr-defined]
    assert not latency.data  # type: ignore[attr-defined]


def test_two_collectors_of_a_link_do_not_double_its_totals(site: Site, view: View) -> None:
    once = str(link_story._draw(site, view, "leaf0-spine0")[1][2])  # type: ignore[index]
    rows = site.store.query("link_samples", view.start_ns - 60_000_000_000, view.end_ns)
    site.store.append("link_samples", rows.with_columns(collector=pl.lit("other")))
    again = Site(site.store, site.fabric, site.config)
    _, side, load, *_ = link_story._draw(again, view, "leaf0-spine0")
    assert str(side[2]) == once  # type: ignore[index]
    for trace in load.data:  # type: ignore[attr-defined]
        assert len(set(trace.x)) == len(trace.x)


def test_a_range_before_the_samples_is_drawn_too(site: Site) -> None:
    for name in ("5m", "24h", "30d"):
        assert link_story._draw(site, read_view(f"range={name}"), "leaf0-spine0")[2]


def test_a_link_that_was_not_seen_is_named(site: Site, view: View) -> None:
    head, side, *figures = link_story._draw(site, view, "<b>nowhere")
    assert "No samples of this link" in str(head)
    assert side == []
    assert set(figures) == {no_update}
