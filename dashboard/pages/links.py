"""The page Links: all links in a table, or the story of the one that the address names."""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.links import HEALTH, classify, link_states, link_trends
from fabricscope.dashboard.pages import link_story
from fabricscope.dashboard.pages.grids import grid, quantity, text
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.refresh import due_view
from fabricscope.dashboard.pages.saving import register_saving
from fabricscope.dashboard.pages.states import empty_state, panel
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View

__all__ = ["PAGE"]

_COMMAND: Final = (
    "sudo fabricscope live --interface MIRROR_PORT --counters all --store DIR\n"
    "fabricscope replay CAPTURE --store DIR"
)
_ROWS: Final = 300
"""Rows of the table: what nobody scrolls to is found by searching."""
_TRENDS_S: Final = 20
_EVERY_S: Final = 2
_ORDERS: Final = {
    "worst": ("Worst first", "score", False),
    "busiest": ("Busiest first", "utilization", True),
    "bursts": ("Strongest bursts first", "burst", True),
    "lost": ("Most lost first", "lost", True),
    "marked": ("Most marked first", "ecn_share", True),
    "paused": ("Most paused first", "pause_share", True),
}
_CLASSES: Final = {
    "": "All", "good": "Good (90 and up)", "fair": "Fair (70 to 89)",
    "poor": "Poor (40 to 69)", "bad": "Bad (below 40)",
}  # fmt: skip
_SCORE_RULES: Final = {
    "health good": "params.value != null && params.value >= 90",
    "health fair": "params.value != null && params.value >= 70 && params.value < 90",
    "health poor": "params.value != null && params.value >= 40 && params.value < 70",
    "health bad": "params.value != null && params.value < 40",
}
_COLUMNS: Final = [
    text("link", "Link", minWidth=150, pinned="left", flex=2),
    text("direction", "Direction", minWidth=80, maxWidth=90),
    quantity("score", "Health", "count", minWidth=80, maxWidth=90, cellClassRules=_SCORE_RULES),
    {"field": "trend", "headerName": "Load over time", "cellRenderer": "Sparkline",
     "sortable": False, "filter": False, "minWidth": 130, "cellDataType": False},
    text("reasons", "Lost points for", minWidth=180, flex=3),
    quantity("utilization", "Load", "share"),
    quantity("burst", "Busiest 10 ms", "share"),
    quantity("gbps", "Carried", "rate", minWidth=95),
    quantity("rate_gbps", "Rate", "rate"),
    quantity("ecn_share", "ECN marked", "share"),
    quantity("pause_share", "Paused", "share"),
    quantity("lost", "RDMA lost", "count"),
    quantity("discards", "Discards", "count"),
    quantity("errors", "Errors", "count"),
    quantity("flaps", "Flaps", "count", minWidth=70),
    quantity("ack_rtt_p99", "RTT p99", "duration"),
    text("source", "Source", minWidth=90),
]  # fmt: skip
_FIELDS: Final = [column["field"] for column in _COLUMNS]


def _layout(site: Site, view: View) -> Component:
    return html.Div(
        [
            html.Div(
                empty_state(
                    "No samples of links in this time range",
                    "Links come from mirror ports, from sFlow and gNMI, and from the counters of "
                    "hosts. Choose a longer range, or let a collector look at them.",
                    _COMMAND,
                ),
                id=ids.Links.EMPTY, hidden=True,
            ),
            html.Div(_table(), id=ids.Links.TABLE, hidden=True),
            html.Div(link_story.lay_out(), id=ids.Links.STORY, hidden=True),
        ]
    )  # fmt: skip


def _table() -> Component:
    def choose(name: str, options: dict[str, str]) -> Component:
        given: Any = [{"label": text, "value": key} for key, text in options.items()]
        return dcc.Dropdown(
            id=name, options=given, value=next(iter(options)), clearable=False, searchable=False,
            className="choice",
        )  # fmt: skip

    tools = [
        dcc.Input(id=ids.Links.SEARCH, type="search", placeholder="Search links  ( / )",
                  debounce=0.3, className="search"),
        choose(ids.Links.HEALTH, _CLASSES),
        choose(ids.Links.ORDER, {name: order[0] for name, order in _ORDERS.items()}),
        html.Span(id=ids.Links.COUNT, className="quiet grow"),
        html.Button("Save as CSV", id=ids.Links.SAVE, className="button"),
        dcc.Download(id=ids.Links.DOWNLOAD),
    ]  # fmt: skip
    return panel(
        "Links",
        html.Div(tools, className="row tools"),
        grid(ids.Links.GRID, _COLUMNS, row_id="id", height_px=620),
        note="a row a direction, counts of the last seconds; click one for its story",
    )


def _register(app: Dash, site: Site) -> None:
    @app.callback(
        Output(ids.Links.EMPTY, "hidden"),
        Output(ids.Links.TABLE, "hidden"),
        Output(ids.Links.STORY, "hidden"),
        Output(ids.Links.GRID, "rowData"),
        Output(ids.Links.COUNT, "children"),
        Input(ids.TICK, "data"),
        Input(ids.VIEW, "data"),
        Input(ids.Links.SEARCH, "value"),
        Input(ids.Links.HEALTH, "value"),
        Input(ids.Links.ORDER, "value"),
    )
    def show(
        tick: dict[str, Any] | None,
        view: dict[str, Any] | None,
        search: str | None,
        health: str | None,
        order: str | None,
    ) -> Sequence[object]:
        found = due_view(view, tick, _EVERY_S)
        if found.parameter("link"):
            return True, True, False, no_update, no_update
        return site.share(
            _draw, site, found.without_parameters(), (search or "")[:200], health or "", order or ""
        )

    register_saving(
        app, ids.Links.SAVE, ids.Links.DOWNLOAD, "links.csv",
        lambda view: site.read(link_states, view),
    )  # fmt: skip

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("links", "open"),
        Output(ids.URL, "search", allow_duplicate=True),
        Input(ids.Links.GRID, "cellClicked"),
        Input(ids.Links.GRID, "selectedRows"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    link_story.register(app, site)


def _draw(site: Site, view: View, search: str, health: str, order: str) -> Sequence[object]:
    states = site.read(link_states, view)
    if states.is_empty():
        return False, True, True, [], ""
    shown = _choose(states, search, health, order)
    trends = site.keep(_TRENDS_S, link_trends, view)
    joined = shown.head(_ROWS).join(
        trends.select("link", "direction", trend="utilization"),
        on=["link", "direction"], how="left", maintain_order="left",
    )  # fmt: skip
    rows = [
        {**row, "id": f"{row['link']} {row['direction']}",
         "link": neutralise(row["link"], 120),
         "reasons": neutralise(row["reasons"] or "", 400)}
        for row in joined.select(*_FIELDS).iter_rows(named=True)
    ]  # fmt: skip
    return True, False, True, rows, _count(states, shown)


def _choose(states: pl.DataFrame, search: str, health: str, order: str) -> pl.DataFrame:
    """Return the rows that the reader asks for, in their order."""
    if search:
        wanted = search.lower()
        texts = pl.concat_str("link", "direction", "source", "reasons", ignore_nulls=True)
        states = states.filter(texts.str.to_lowercase().str.contains(wanted, literal=True))
    if health in dict(HEALTH):
        classes = states["score"].map_elements(classify, pl.String)
        states = states.filter(classes == health)
    _, column, descending = _ORDERS.get(order, _ORDERS["worst"])
    return states.sort(
        column, "link", "direction", descending=[descending, False, False], nulls_last=True
    )


def _count(states: pl.DataFrame, shown: pl.DataFrame) -> str:
    if shown.height > _ROWS:
        return f"the first {_ROWS:,} of {shown.height:,} directions; search for others"
    if shown.height < states.height:
        return f"{shown.height:,} of {states.height:,} directions"
    return f"{states.height:,} directions"


PAGE = Page("links", "/links", "Links", "⇄", "l", _layout, _register)
