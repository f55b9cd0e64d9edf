"""The page Fabric: the map with health and load, over time; alerts, the worst links, a story."""

import datetime
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import polars as pl
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash._utils import to_json
from dash.development.base_component import Component
from dash_cytoscape import Cytoscape

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.alerts import open_alerts
from fabricscope.dashboard.data.links import (
    BEHIND_S,
    GOOD,
    STEPS,
    classify,
    link_states,
    states_at,
)
from fabricscope.dashboard.data.map_state import map_state
from fabricscope.dashboard.figures.fabric_map import (
    STYLES,
    FabricMap,
    build_map,
    choices,
    map_of_names,
)
from fabricscope.dashboard.pages.link_lists import list_alerts, list_links
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.refresh import due_view
from fabricscope.dashboard.pages.states import HIDDEN, empty_state, panel
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_bit_rate, format_count, format_share
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View

__all__ = ["PAGE"]

_COMMAND: Final = (
    "sudo fabricscope live --interface MIRROR_PORT --store DIR\n"
    "fabricscope replay CAPTURE --store DIR"
)
_LISTED: Final = 8
_BUSY: Final = 4
_ALERTS: Final = 4
_PICKED: Final = 9
_NAMES: Final = 400
"""Most links of a map that no topology describes; the worst are drawn."""
_ELEMENTS: Final = 3
"""Place of the map's elements among the outputs that have digests."""
_LEGEND: Final = (
    ("good", "90 and up"),
    ("fair", "70 to 89"),
    ("poor", "40 to 69"),
    ("bad", "below 40"),
    ("unknown", "no samples"),
)


class _Moment(NamedTuple):
    """What the map shows: the states, of when, and whether that is the newest there is."""

    states: pl.DataFrame
    time_ns: int
    newest: bool


def _layout(site: Site, view: View) -> Component:
    every = view.parameter("detail") == "every"
    only = choices(site.fabric) if site.fabric else []
    return html.Div(
        [
            html.Div(
                empty_state(
                    "No samples of links in this time range",
                    "No collector has reported links in it, and no topology was given to draw. "
                    "Choose a longer range, let a collector watch the fabric, or name it with "
                    "--topology.",
                    _COMMAND,
                ),
                id=ids.Fabric.EMPTY, hidden=True,
            ),
            html.Div(
                [
                    html.Div(id=ids.Fabric.TILES, className="tiles"),
                    html.Div([_map_panel(site, view, every, only), _side()], className="map-grid"),
                ],
                id=ids.Fabric.BODY, className="stack", hidden=True,
            ),
            dcc.Store(id=ids.Fabric.KEY),
            dcc.Store(id=ids.Fabric.STATE),
            dcc.Store(id=ids.Fabric.DRAWN),
            dcc.Interval(id=ids.Fabric.PLAYER, interval=700, disabled=True),
        ]
    )  # fmt: skip


def _map_panel(site: Site, view: View, every: bool, only: Sequence[str]) -> Component:
    options = [{"label": "Whole fabric", "value": ""}, *({"label": o, "value": o} for o in only)]
    legend = [html.Span(text, className=f"health {name}") for name, text in _LEGEND]
    controls = [
        dcc.RadioItems(
            id=ids.Fabric.DETAIL,
            options=[{"label": "Groups", "value": ""}, {"label": "Every switch", "value": "every"}],
            value="every" if every else "", inline=True, className="switch",
        ),
        dcc.Dropdown(
            id=ids.Fabric.CHOICE, options=options, value=view.parameter("only"), clearable=False,
            searchable=False, className="choice", style={} if only else {"display": "none"},
        ),
    ]  # fmt: skip
    name = neutralise(site.fabric.name, 80) if site.fabric else "as named by samples"
    return panel(
        "Fabric",
        html.Div(controls, className="row panel-tools", hidden=site.fabric is None),
        html.Div(
            [
                Cytoscape(
                    id=ids.Fabric.MAP, elements=[], stylesheet=STYLES,
                    layout={"name": "preset", "fit": False},
                    style={"width": "100%", "height": "100%"}, autoungrabify=True,
                    boxSelectionEnabled=False, minZoom=0.2, maxZoom=6,
                ),
                html.Div(id="fabric-tip", className="tip", hidden=True, **HIDDEN),
            ],
            className="map",
        ),
        html.Div(
            [html.Span("Worst link", className="quiet"), *legend,
             html.Span("▬ width: load", className="quiet")],
            className="row legend",
        ),
        html.Div(
            [
                html.Button("▶ Play", id=ids.Fabric.PLAY, className="button"),
                html.Div(
                    dcc.Slider(id=ids.Fabric.STEP, min=0, max=STEPS, step=1, value=STEPS,
                               marks=None, updatemode="drag", included=False,
                               allow_direct_input=False),
                    className="grow",
                ),
                html.Div(id=ids.Fabric.MOMENT, className="moment number"),
            ],
            className="row timeline",
        ),
        note=name,
    )  # fmt: skip


def _side() -> Component:
    return html.Div(
        [
            html.Div(id=ids.Fabric.STORY),
            panel("Alerts", html.Div(id=ids.Fabric.ALERTS)),
            panel("Worst links", html.Div(id=ids.Fabric.WORST), note="by health score, 0 to 100"),
            panel("Busiest links", html.Div(id=ids.Fabric.BUSIEST)),
        ],
        className="stack",
    )


def _register(app: Dash, site: Site) -> None:
    @app.callback(
        Output(ids.Fabric.EMPTY, "hidden"),
        Output(ids.Fabric.BODY, "hidden"),
        Output(ids.Fabric.TILES, "children"),
        Output(ids.Fabric.MAP, "elements"),
        Output(ids.Fabric.KEY, "data"),
        Output(ids.Fabric.STATE, "data"),
        Output(ids.Fabric.MOMENT, "children"),
        Output(ids.Fabric.WORST, "children"),
        Output(ids.Fabric.BUSIEST, "children"),
        Output(ids.Fabric.ALERTS, "children"),
        Output(ids.Fabric.STORY, "children"),
        Input(ids.TICK, "data"),
        Input(ids.VIEW, "data"),
        Input(ids.Fabric.STEP, "value"),
        State(ids.Fabric.KEY, "data"),
    )
    def show(
        tick: dict[str, Any] | None,
        view: dict[str, Any] | None,
        step: int | None,
        known: list[str] | None,
    ) -> Sequence[object]:
        found = due_view(view, tick)
        outputs, digests = site.share(_digest, site, found, STEPS if step is None else step)
        old = known if known and len(known) == len(digests) else [""] * len(digests)
        news = [
            no_update if was == now else output
            for output, was, now in zip(outputs, old, digests, strict=True)
        ]
        return *news[:4], digests, *news[4:]

    def run(name: str, *wires: object, **options: Any) -> None:
        app.clientside_callback(  # type: ignore[no-untyped-call]
            ClientsideFunction("fabric", name), *wires, **options
        )

    run(
        "paint",
        Output(ids.Fabric.DRAWN, "data"),
        Input(ids.Fabric.STATE, "data"),
        Input(ids.Fabric.MAP, "elements"),
    )
    run(
        "steer",
        Output(ids.URL, "search", allow_duplicate=True),
        Input(ids.Fabric.DETAIL, "value"),
        Input(ids.Fabric.CHOICE, "value"),
        Input(ids.Fabric.MAP, "tapEdgeData"),
        Input(ids.Fabric.MAP, "tapNodeData"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    run(
        "play",
        Output(ids.Fabric.PLAYER, "disabled"),
        Output(ids.Fabric.PLAY, "children"),
        Output(ids.Fabric.STEP, "value"),
        Input(ids.Fabric.PLAY, "n_clicks"),
        Input(ids.Fabric.PLAYER, "n_intervals"),
        State(ids.Fabric.PLAYER, "disabled"),
        State(ids.Fabric.STEP, "value"),
        prevent_initial_call=True,
    )


def _digest(site: Site, view: View, step: int) -> tuple[list[Any], list[str]]:
    """Return what the callback shows but for the digests of it, and these.

    A browser that shows what has the same digest is not sent it again: drawing costs it most.
    """
    elements, key, *rest = _draw(site, view, step)
    outputs = [*rest[:3], elements, *rest[3:]]
    digests = [
        f"{key} {len(elements)}" if place == _ELEMENTS else str(hash(to_json(output)))  # type: ignore[no-untyped-call]
        for place, output in enumerate(outputs)
    ]
    return outputs, digests


def _draw(site: Site, view: View, step: int) -> tuple[Any, ...]:
    """Return elements, their key, and what else the callback shows, once for all browsers."""
    shared = view.without_parameters()
    moment = _at(site, shared, step)
    if site.fabric is None and moment.states.is_empty():
        return [], "", False, True, no_update, no_update, no_update, [], [], [], []
    shown, key = _find_map(site, view, moment.states)
    state = {**map_state(shown.lines, moment.states), "key": key}
    alerts = site.read(open_alerts, shared)
    none = "All links have 90 points or more." if moment.states.height else "No samples yet."
    busiest = moment.states.top_k(_BUSY, by="utilization")
    worst = moment.states.filter(pl.col("score") < GOOD).head(_LISTED)
    return (
        shown.elements,
        key,
        True,
        False,
        tiles(_tiles(site, moment.states, alerts)),
        state,
        _name_moment(moment, view),
        list_links(worst, view, none),
        list_links(busiest, view),
        list_alerts(alerts.head(_ALERTS), view, alerts.height),
        _story(shown, moment.states, view),
    )


def _at(site: Site, view: View, step: int) -> _Moment:
    """Return the states at a step of the slider; the last step is the newest there is."""
    if step >= STEPS:
        states = site.read(link_states, view)
        newest = states["time_ns"].max() if states.height else view.end_ns
        return _Moment(states, int(newest), True)  # type: ignore[arg-type]
    span = view.end_ns - view.start_ns
    reach_s = max(1, span // STEPS // 1_000_000_000)
    end_ns = view.start_ns + span * (step + 1) // (STEPS + 1)
    return _Moment(site.read(states_at, view, end_ns, reach_s), end_ns, False)


def _name_moment(moment: _Moment, view: View) -> str:
    when = f"{_clock(moment.time_ns)} UTC"
    if not (moment.newest and view.live):
        return when
    silent = view.end_ns - moment.time_ns > BEHIND_S * 1_000_000_000
    return f"Newest ({when})" if silent else f"Now ({when})"


def _find_map(site: Site, view: View, states: pl.DataFrame) -> tuple[FabricMap, str]:
    if site.fabric is not None:
        every, only = view.parameter("detail") == "every", view.parameter("only")
        return site.share(build_map, site.fabric, every, only), f"{every} {only}"
    names = tuple(sorted(states["link"].unique(maintain_order=True).head(_NAMES)))
    return site.share(map_of_names, names), str(hash(names))


def _tiles(site: Site, states: pl.DataFrame, alerts: pl.DataFrame) -> list[Tile]:
    links = states.group_by("link").agg(pl.col("score").min(), pl.col("gbps").max())
    total = len(site.fabric.links) if site.fabric else links.height
    hurt = links.filter(pl.col("score") < 70).height
    lost = float((states["lost"] / states["seconds"]).sum()) if states.height else 0.0
    busiest = states.filter(pl.col("utilization").is_not_null()).sort("utilization").tail(1)
    load = busiest["utilization"][0] if busiest.height else None
    firing = alerts.filter(pl.col("state") == "firing").height
    return [
        Tile("Links seen", format_count(links.height), f"of {total:,}" if site.fabric else ""),
        Tile("Below 70 points", format_count(hurt), "links", "bad" if hurt else "good"),
        Tile("Carried", format_bit_rate(float(links["gbps"].sum()) * 1e9), "all links together"),
        Tile("Busiest link", format_share(load), busiest["link"][0] if busiest.height else ""),
        Tile("Lost", f"{lost:,.0f} /s", "RDMA packets", "bad" if lost else "good"),
        Tile("Alerts firing", format_count(firing), "", "bad" if firing else "good"),
    ]


def _story(shown: FabricMap, states: pl.DataFrame, view: View) -> list[Component]:
    """Return a panel about the line or node that was clicked, nothing when there is none."""
    pick = view.parameter("pick")
    if pick in shown.nodes:
        devices = set(shown.nodes[pick])
        label = next(e["data"]["label"] for e in shown.elements if e["data"]["id"] == pick)
        links = [
            line for edge in shown.elements
            if pick in (edge["data"].get("source"), edge["data"].get("target"))
            for line in shown.lines[edge["data"]["number"]]
        ]  # fmt: skip
        what = f"{len(devices):,} devices" if len(devices) > 1 else "one device"
    elif pick.startswith("e") and pick[1:].isdigit() and int(pick[1:]) < len(shown.lines):
        links = list(shown.lines[int(pick[1:])])
        label = links[0] if len(links) == 1 else f"{links[0]} and {len(links) - 1:,} more"
        what = "one link" if len(links) == 1 else "bundle"
    else:
        return []
    found = states.filter(pl.col("link").is_in(links))
    scores = found["score"].drop_nulls()
    least = float(scores.min()) if len(scores) else None  # type: ignore[arg-type]
    close = dcc.Link("Close", href=view.link("/", **_without(view, "pick")), className="quiet")
    note = f"{what}, {len(links):,} links, worst first" if len(links) > 1 else what
    return [
        panel(
            neutralise(label, 80),
            html.Div(close, className="row panel-tools"),
            list_links(found.head(_PICKED), view)
            if found.height
            else html.P("No samples of it in this moment.", className="quiet"),
            note=note,
            className=f"story {classify(least)}",
        )
    ]


def _without(view: View, name: str) -> dict[str, str]:
    return {key: value for key, value in view.parameters if key != name}


def _clock(time_ns: int) -> str:
    return datetime.datetime.fromtimestamp(time_ns // 1_000_000_000, datetime.UTC).strftime(
        "%Y-%m-%d %H:%M:%S"
    )


PAGE = Page("fabric", "/", "Fabric", "◈", "f", _layout, _register)
