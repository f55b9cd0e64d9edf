"""The page Traffic: what the payload says a flow is, what its statistics say that it does."""

from collections.abc import Sequence
from typing import Any, Final

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.traffic import EndedFlows, Traffic, read_flows, read_traffic
from fabricscope.dashboard.figures.applications import draw_applications
from fabricscope.dashboard.figures.live_strips import draw_rates
from fabricscope.dashboard.figures.palette import COLORWAY
from fabricscope.dashboard.figures.sankey import draw_sankey
from fabricscope.dashboard.pages.graphs import graph, placed
from fabricscope.dashboard.pages.grids import grid, quantity, text
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.refresh import due_view
from fabricscope.dashboard.pages.saving import register_saving
from fabricscope.dashboard.pages.states import empty_state, panel
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_bit_rate, format_bytes, format_count
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View

__all__ = ["PAGE"]

_COMMAND: Final = (
    "sudo fabricscope live --interface MIRROR_PORT --store DIR\n"
    "fabricscope replay CAPTURE --store DIR"
)
_SANKEY_ROWS: Final = 5_000
_CONTRADICTIONS: Final = 20
_COLUMNS: Final = [
    text("src", "From", minWidth=125),
    quantity("src_port", "Port", "count", valueFormatter=None, minWidth=70),
    text("dst", "To", minWidth=125),
    quantity("dst_port", "Port", "count", valueFormatter=None, minWidth=70),
    text("protocol", "Protocol", minWidth=80),
    text("application", "Application", minWidth=105),
    quantity("application_confidence", "sure", "share", minWidth=70),
    text("behaviour", "Behaviour", minWidth=120),
    quantity("behaviour_confidence", "sure", "share", minWidth=70),
    quantity("bytes", "Bytes", "bytes"),
    quantity("packets", "Packets", "count"),
    quantity("duration_us", "Duration", "duration"),
    text("end", "End", minWidth=75),
    quantity("end_ns", "Last packet (UTC)", "time", minWidth=95),
    text("detail", "Detail", minWidth=160),
]


def _layout(site: Site, view: View) -> Component:
    return html.Div(
        [
            html.Div(
                empty_state(
                    "No traffic in this time range",
                    "A collector looks at what flows are every ten seconds. Choose a longer range, "
                    "or let a collector watch a mirror port or play a capture.",
                    _COMMAND,
                ),
                id=ids.Traffic.EMPTY, hidden=True,
            ),
            html.Div(
                [
                    html.Div(id=ids.Traffic.TILES, className="tiles"),
                    panel("Rate by application", graph(ids.time_graph(ids.Traffic.RATES), 240),
                          note="flows are looked at every 10 s; drag to zoom the whole page"),
                    html.Div(
                        [
                            panel("Applications and what they do", graph(ids.Traffic.MAP, 400),
                                  note="by bytes; click a tile to look into it"),
                            panel("Hosts, applications, behaviours",
                                  graph(ids.Traffic.SANKEY, 400), note="by bytes"),
                        ],
                        className="grid-2",
                    ),
                    panel("Payload against behaviour", html.Div(id=ids.Traffic.CONTRADICTIONS),
                          note="flows that are one thing by their bytes, another by what they do"),
                    panel(
                        "Flows that ended",
                        html.Div(
                            [html.Span(id=ids.Traffic.FLOWS_NOTE, className="quiet"),
                             html.Button("Save as CSV", id=ids.Traffic.SAVE, className="button")],
                            className="row panel-tools",
                        ),
                        dcc.Download(id=ids.Traffic.DOWNLOAD),
                        grid(ids.Traffic.FLOWS, _COLUMNS, row_id="id", height_px=460),
                        note="a row is both directions; those with most bytes",
                    ),
                ],
                id=ids.Traffic.BODY, className="stack", hidden=True,
            ),
        ]
    )  # fmt: skip


def _register(app: Dash, site: Site) -> None:
    @app.callback(
        Output(ids.Traffic.EMPTY, "hidden"),
        Output(ids.Traffic.BODY, "hidden"),
        Output(ids.Traffic.TILES, "children"),
        Output(ids.time_graph(ids.Traffic.RATES), "figure"),
        Output(ids.Traffic.MAP, "figure"),
        Output(ids.Traffic.SANKEY, "figure"),
        Output(ids.Traffic.CONTRADICTIONS, "children"),
        Output(ids.Traffic.FLOWS_NOTE, "children"),
        Output(ids.Traffic.FLOWS, "rowData"),
        Input(ids.TICK, "data"),
        Input(ids.VIEW, "data"),
    )
    def show(tick: dict[str, Any] | None, view: dict[str, Any] | None) -> Sequence[object]:
        return site.share(_draw, site, due_view(view, tick).without_parameters())

    register_saving(
        app, ids.Traffic.SAVE, ids.Traffic.DOWNLOAD, "flows.csv",
        lambda view: site.read(read_flows, view).rows,
    )  # fmt: skip


def _draw(site: Site, view: View) -> Sequence[object]:
    """Return what the callback shows, once for all browsers that look at the same."""
    traffic = site.read(read_traffic, view)
    flows = site.read(read_flows, view)
    nothing = traffic.pairs.is_empty() and not flows.total
    series = [
        (name, COLORWAY[number % len(COLORWAY)], values)
        for number, (name, values) in enumerate(traffic.series)
    ]
    return (
        not nothing,
        nothing,
        tiles(_tiles(traffic, flows, view)),
        placed(draw_rates(traffic.times_ns, series, traffic.interval_ns, view.start_ns,
                          view.end_ns)),
        placed(draw_applications(traffic.pairs.to_dicts())),
        placed(draw_sankey(traffic.hosts.head(_SANKEY_ROWS).to_dicts())),
        _describe_contradictions(flows),
        f"{flows.rows.height:,} of {flows.total:,}",
        [{**row, "id": str(number)} for number, row in enumerate(flows.rows.to_dicts())],
    )  # fmt: skip


def _tiles(traffic: Traffic, flows: EndedFlows, view: View) -> list[Tile]:
    size = int(traffic.pairs["bytes"].sum())
    named = traffic.pairs.filter(traffic.pairs["application"] != "unknown")
    found = len(flows.contradictions)
    applications = named["application"].n_unique()
    unknown = 1 - int(named["bytes"].sum()) / size if size else 0.0
    return [
        Tile("Carried", format_bytes(size), "in this time range"),
        Tile("Rate", format_bit_rate(size * 8 / max(view.seconds, 1)), "mean of the time range"),
        Tile("Hosts", format_count(traffic.hosts["src"].n_unique()), "that began a flow"),
        Tile("Applications", format_count(applications), f"{unknown:.1%} of the bytes unknown"),
        Tile("Behaviours", format_count(traffic.pairs["behaviour"].drop_nulls().n_unique()),
             "by sizes and times"),
        Tile("Contradictions", format_count(found), "payload against behaviour",
             "bad" if found else "good"),
    ]  # fmt: skip


def _describe_contradictions(flows: EndedFlows) -> list[Component]:
    found = flows.contradictions
    if not found:
        return [html.P("None among the flows that ended in this time range.", className="quiet")]
    items = [
        html.Li([html.Span(neutralise(one["text"], 600), className="health fair verdict"),
                 html.Span(f" {one['action']}", className="quiet")])
        for one in found[:_CONTRADICTIONS]
    ]  # fmt: skip
    hidden = len(found) - len(items)
    more = [html.P(f"{hidden:,} more.", className="quiet")] if hidden > 0 else []
    return [html.Ul(items, className="list"), *more]


PAGE = Page("traffic", "/traffic", "Traffic", "≋", "a", _layout, _register)
