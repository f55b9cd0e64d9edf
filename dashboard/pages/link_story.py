"""The story of one link: how full, how healthy and why, what it lost, and its alerts."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from dash import Dash, Input, Output, dcc, html, no_update
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.alerts import open_alerts
from fabricscope.dashboard.data.links import classify, link_history
from fabricscope.dashboard.figures.link_story import draw_load, draw_round_trips, draw_scores
from fabricscope.dashboard.figures.live_strips import Strip, draw_strips
from fabricscope.dashboard.figures.palette import BLUE, GREY, ORANGE, PURPLE, SKY, VERMILION
from fabricscope.dashboard.pages.graphs import graph, placed
from fabricscope.dashboard.pages.link_lists import health_badge, list_alerts
from fabricscope.dashboard.pages.refresh import due_view
from fabricscope.dashboard.pages.states import empty_state, panel
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.pages.ways import packets_link
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import (
    format_bit_rate,
    format_count,
    format_duration,
    format_microseconds,
    format_share,
)
from fabricscope.dashboard.site import MAX_POINTS, Site
from fabricscope.dashboard.view import View

__all__ = ["lay_out", "register"]

_STRIPS: Final = (
    ("lost", "Lost", "RDMA packets lost", VERMILION),
    ("discards", "Discards", "packets discarded", ORANGE),
    ("errors", "Errors", "packets damaged", GREY),
    ("flaps", "Flaps", "times down", VERMILION),
    ("ecn_marked", "ECN", "packets marked CE", BLUE),
    ("pause_ms", "Pause", "ms of pause", PURPLE),
    ("naks", "NAK", "NAKs", ORANGE),
    ("cnps", "CNP", "CNPs", SKY),
)


def lay_out() -> Component:
    """Return the page of one link, to be filled."""
    named = ids.time_graph
    return html.Div(
        [
            html.Div(id=ids.Links.HEAD),
            html.Div(
                [
                    html.Div(
                        [
                            panel("Utilization and micro-bursts", graph(named(ids.Links.LOAD), 270),
                                  note="drag to zoom the whole page, double-click to go back"),
                            panel("Health", graph(named(ids.Links.SCORE), 220),
                                  note="hover for what it lost points for"),
                            panel("Drops, errors, ECN, pauses", graph(named(ids.Links.EVENTS), 330),
                                  note="both directions together"),
                            panel("ACK round trip", graph(named(ids.Links.LATENCY), 230),
                                  note="beyond the tap"),
                        ],
                        className="stack",
                    ),
                    html.Div(id=ids.Links.SIDE, className="stack"),
                ],
                className="map-grid",
            ),
        ],
        className="stack",
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    """Add the callback of the story."""
    named = ids.time_graph

    @app.callback(
        Output(ids.Links.HEAD, "children"),
        Output(ids.Links.SIDE, "children"),
        Output(named(ids.Links.LOAD), "figure"),
        Output(named(ids.Links.SCORE), "figure"),
        Output(named(ids.Links.EVENTS), "figure"),
        Output(named(ids.Links.LATENCY), "figure"),
        Input(ids.TICK, "data"),
        Input(ids.VIEW, "data"),
    )
    def show(tick: dict[str, Any] | None, view: dict[str, Any] | None) -> Sequence[object]:
        found = due_view(view, tick)
        link = found.parameter("link")
        if not link:
            return (no_update,) * 6
        return site.share(_draw, site, found.without_parameters(), link)


def _draw(site: Site, view: View, link: str) -> Sequence[object]:
    history = site.read(link_history, view, link, MAX_POINTS // 2)
    name = neutralise(link, 120)
    back = dcc.Link("← All links", href=view.link("/links"), className="button as-link")
    if history.is_empty():
        return (
            [html.Div([back, html.H1(name)], className="page-head"),
             empty_state("No samples of this link in this time range",
                         f"{name} was not seen in it; choose a longer range, or another link.")],
            [], *(no_update,) * 4,
        )  # fmt: skip
    start, end = view.start_ns, view.end_ns
    last = _latest(history)
    alerts = site.read(open_alerts, view)
    about = alerts.filter(pl.col("subject").str.contains(link, literal=True))
    head = [back, html.H1(name), health_badge(last["score"])]
    return (
        html.Div(head, className="page-head"),
        _side(history, last, about, view, _packets(site, view, history, link)),
        placed(draw_load(history, start, end)),
        placed(draw_scores(history, start, end)),
        placed(_draw_events(history, start, end)),
        placed(draw_round_trips(history, start, end)),
    )


def _latest(history: pl.DataFrame) -> dict[str, Any]:
    """Return the newest state, of the worse direction."""
    newest = history.filter(pl.col("time_ns") == pl.col("time_ns").max())
    return newest.sort("score", nulls_last=True).row(0, named=True)


def _draw_events(history: pl.DataFrame, start_ns: int, end_ns: int) -> Any:
    counted = (
        history.with_columns((pl.col("pause_ns") / 1e6).alias("pause_ms"))
        .group_by("time_ns")
        .agg(pl.col(name).sum() for name, *_ in _STRIPS)
        .sort("time_ns")
    )
    step = int(history["step_s"][0] * 1e9)
    strips = [
        Strip(title, noun, color, counted[name].to_list()) for name, title, noun, color in _STRIPS
    ]
    return draw_strips(counted["time_ns"].to_list(), strips, step, start_ns, end_ns)


def _packets(site: Site, view: View, history: pl.DataFrame, link: str) -> str:
    """Return where the packets of the link's worse direction are; links are named after hosts."""
    worst = history.sort("score", nulls_last=True).row(0, named=True)
    return packets_link(site, view, link, worst["direction"], worst.get("collector", ""))


def _side(
    history: pl.DataFrame, last: dict[str, Any], alerts: pl.DataFrame, view: View, href: str
) -> list[Component]:
    reasons = [part for part in str(last["reasons"] or "").split("; ") if part]
    worst = history.sort("score", nulls_last=True).row(0, named=True)
    text = [html.Li(neutralise(reason, 300)) for reason in reasons]
    if not text and worst["reasons"] and classify(worst["score"]) != "good":
        text = [html.Li(f"At its worst in this time range ({worst['score']:.0f} points) it "
                        f"{neutralise(worst['reasons'], 300)}.")]  # fmt: skip
    packets = dcc.Link(
        "Packets of this link", href=href, className="button as-link", id=ids.Links.PACKETS
    )
    rate = last["rate_gbps"]
    totals = {name: int(history[name].sum()) for name in ("lost", "discards", "errors", "flaps")}
    return [
        panel("What it lost points for",
              html.Ul(text, className="list") if text
              else html.P("Nothing: it is healthy now.", className="quiet"),
              html.Div(packets, className="row")),
        panel("Now", html.Div(tiles([
            Tile("Rate", format_bit_rate(None if rate is None else rate * 1e9)),
            Tile("Load", format_share(last["utilization"]), str(last["direction"])),
            Tile("Busiest 10 ms", format_share(last["burst"])),
            Tile("Carried", format_bit_rate((last["gbps"] or 0) * 1e9)),
            Tile("ECN marked", format_share(last["ecn_share"])),
            Tile("Paused", format_share(last["pause_share"])),
            Tile("ACK RTT p99", format_microseconds(last["ack_rtt_p99"])),
            Tile("Source", neutralise(last["source"], 30)),
        ]), className="tiles two")),
        panel("In this time range", html.Div(tiles([
            Tile("RDMA lost", format_count(totals["lost"]), "packets",
                 "bad" if totals["lost"] else "good"),
            Tile("Discards", format_count(totals["discards"]), "packets",
                 "bad" if totals["discards"] else "good"),
            Tile("Errors", format_count(totals["errors"]), "packets",
                 "bad" if totals["errors"] else "good"),
            Tile("Paused", format_duration(int(history["pause_ns"].sum()) / 1e9)),
        ]), className="tiles two")),
        panel("Alerts about it", list_alerts(alerts, view)),
    ]  # fmt: skip
