"""The page RDMA: queue pairs, how long messages and ACKs take, loss and congestion, stalls."""

from collections.abc import Sequence
from typing import Any, Final

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.rdma import EVENTS, RdmaPicture, read_rdma
from fabricscope.dashboard.figures.latency_map import draw_latencies
from fabricscope.dashboard.figures.live_strips import Strip, draw_strips
from fabricscope.dashboard.figures.matrix import draw_traffic_matrix
from fabricscope.dashboard.figures.palette import BLUE, GREY, ORANGE, PURPLE, SKY, VERMILION
from fabricscope.dashboard.pages.graphs import graph, placed
from fabricscope.dashboard.pages.grids import grid, quantity, state, text
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.refresh import due_view
from fabricscope.dashboard.pages.saving import register_saving
from fabricscope.dashboard.pages.states import empty_state, panel
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.quantities import (
    format_bit_rate,
    format_count,
    format_ratio,
)
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View

__all__ = ["PAGE"]

_COMMAND: Final = (
    "sudo fabricscope live --interface MIRROR_PORT --store DIR\n"
    "fabricscope replay CAPTURE --store DIR"
)
_STRIPS: Final = {
    "retransmissions": ("Retransmitted", "retransmissions", VERMILION),
    "network_lost": ("Lost", "packets lost in the network", GREY),
    "naks": ("NAK", "NAKs", ORANGE),
    "rnr_naks": ("RNR", "receiver-not-ready NAKs", SKY),
    "ecn_marked": ("ECN", "ECN marks", BLUE),
    "cnps": ("CNP", "CNPs", PURPLE),
}
_LEVELS: Final = {"good": ["active"], "fair": ["idle", "closed"], "bad": ["stalled", "failed"]}
_MADE: Final = (
    "made of percentiles: half of a queue pair's messages at its median, 49 % up to p99, 1 % beyond"
)
_COLUMNS: Final = [
    text("src", "From", minWidth=120),
    text("dst", "To", minWidth=120),
    text("qp", "QP", minWidth=95),
    state("state", "State", _LEVELS, minWidth=95),
    quantity("rate_gbps", "Goodput", "rate", minWidth=95),
    quantity("messages", "Messages", "count"),
    quantity("message_p50", "Message p50", "duration"),
    quantity("message_p99", "Message p99", "duration"),
    quantity("ack_rtt_p50", "RTT p50", "duration"),
    quantity("ack_rtt_p99", "RTT p99", "duration"),
    quantity("retransmissions", "Retrans- mitted", "count"),
    quantity("retransmitted", "of packets", "share"),
    quantity("network_lost", "Lost", "count"),
    quantity("naks", "NAK", "count"),
    quantity("ecn_marked", "ECN marks", "count"),
    quantity("cnps", "CNP", "count"),
    quantity("last_ns", "Last seen (UTC)", "time", minWidth=90),
]


def _layout(site: Site, view: View) -> Component:
    named = ids.time_graph
    return html.Div(
        [
            html.Div(
                empty_state(
                    "No queue pairs in this time range",
                    "No collector saw RDMA traffic (RoCE v1, v2 or InfiniBand) in it. Choose a "
                    "longer range, or let a collector watch a mirror port or play a capture.",
                    _COMMAND,
                ),
                id=ids.Rdma.EMPTY, hidden=True,
            ),
            html.Div(
                [
                    html.Div(id=ids.Rdma.TILES, className="tiles"),
                    html.Div(
                        [
                            panel("Message completion time", graph(named(ids.Rdma.MESSAGES)),
                                  note=_MADE),
                            panel("ACK round trip", graph(named(ids.Rdma.ROUND_TRIPS)),
                                  note="at the tap; made the same way"),
                        ],
                        className="grid-2",
                    ),
                    panel("Loss and congestion", graph(named(ids.Rdma.EVENTS), 380),
                          note="drag to zoom the whole page"),
                    html.Div(
                        [
                            panel("Payload, host to host", graph(ids.Rdma.MATRIX, 350)),
                            panel(
                                "Stalled and failed transfers",
                                html.Div(id=ids.Rdma.STALLED_NOTE, className="quiet"),
                                grid(ids.Rdma.STALLED, [*_COLUMNS[:4], _COLUMNS[5], _COLUMNS[-1]],
                                     row_id="id", height_px=330),
                            ),
                        ],
                        className="grid-2",
                    ),
                    panel(
                        "Queue pairs",
                        html.Div(
                            html.Button("Save as CSV", id=ids.Rdma.SAVE, className="button"),
                            className="row panel-tools",
                        ),
                        dcc.Download(id=ids.Rdma.DOWNLOAD),
                        grid(ids.Rdma.QUEUE_PAIRS, _COLUMNS, row_id="id", height_px=460),
                        note="a row a direction, those with most payload; click a heading to sort",
                    ),
                ],
                id=ids.Rdma.BODY, className="stack", hidden=True,
            ),
        ]
    )  # fmt: skip


def _register(app: Dash, site: Site) -> None:
    named = ids.time_graph

    @app.callback(
        Output(ids.Rdma.EMPTY, "hidden"),
        Output(ids.Rdma.BODY, "hidden"),
        Output(ids.Rdma.TILES, "children"),
        Output(named(ids.Rdma.MESSAGES), "figure"),
        Output(named(ids.Rdma.ROUND_TRIPS), "figure"),
        Output(named(ids.Rdma.EVENTS), "figure"),
        Output(ids.Rdma.MATRIX, "figure"),
        Output(ids.Rdma.STALLED_NOTE, "children"),
        Output(ids.Rdma.STALLED, "rowData"),
        Output(ids.Rdma.QUEUE_PAIRS, "rowData"),
        Input(ids.TICK, "data"),
        Input(ids.VIEW, "data"),
    )
    def show(tick: dict[str, Any] | None, view: dict[str, Any] | None) -> Sequence[object]:
        return site.share(_draw, site, due_view(view, tick).without_parameters())

    register_saving(
        app, ids.Rdma.SAVE, ids.Rdma.DOWNLOAD, "queue-pairs.csv",
        lambda view: site.read(read_rdma, view).queue_pairs,
    )  # fmt: skip


def _draw(site: Site, view: View) -> Sequence[object]:
    """Return what the callback shows, once for all browsers that look at the same time range."""
    picture = site.read(read_rdma, view)
    start, end = view.start_ns, view.end_ns
    events = picture.events
    strips = [Strip(*_STRIPS[name], events[name].to_list()) for name in EVENTS]
    stalled = picture.stalled.height
    return (
        picture.total > 0,
        picture.total == 0,
        tiles(_tiles(picture, view)),
        placed(draw_latencies(picture.messages, "Completion time", start, end)),
        placed(draw_latencies(picture.round_trips, "Round trip", start, end)),
        placed(draw_strips(events["time_ns"].to_list(), strips, picture.interval_ns, start, end)),
        placed(draw_traffic_matrix(picture.matrix)),
        f"{stalled:,} of {picture.total:,} directions stand still with data unanswered, or ended "
        "with an error." if stalled else "None: every transfer goes on or has ended well.",
        _rows(picture.stalled),
        _rows(picture.queue_pairs),
    )  # fmt: skip


def _tiles(picture: RdmaPicture, view: View) -> list[Tile]:
    events, pairs = picture.events, picture.queue_pairs
    sums = {name: int(events[name].sum()) for name in (*EVENTS, "payload_bytes")}
    packets = int(pairs["packets"].sum())
    listed = "" if picture.total == pairs.height else f"{pairs.height:,} listed below"
    return [
        Tile("Queue-pair directions", format_count(picture.total), listed),
        Tile("Goodput", format_bit_rate(sums["payload_bytes"] * 8 / max(view.seconds, 1)),
             "mean of the time range"),
        Tile("Messages", format_count(int(pairs["messages"].sum())), "ended"),
        Tile("Retransmitted", format_ratio(sums["retransmissions"], packets),
             f"{sums['retransmissions']:,} packets",
             "bad" if sums["retransmissions"] else "good"),
        Tile("Lost in the network", format_count(sums["network_lost"]), "packets",
             "bad" if sums["network_lost"] else "good"),
        Tile("Stalled or failed", format_count(picture.stalled.height), "directions",
             "bad" if picture.stalled.height else "good"),
    ]  # fmt: skip


def _rows(pairs: Any) -> list[dict[str, Any]]:
    rows = pairs.drop("dest_qp", "payload_bytes", "collector_lost").to_dicts()
    return [
        {**row, "id": f"{row['collector']} {row['src']} {row['dst']} {row['qp']}"} for row in rows
    ]


PAGE = Page("rdma", "/rdma", "RDMA", "⇉", "r", _layout, _register)
