"""The page Failover: a fabric to click on, what fails, under which schemes, and what it costs."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from dash_cytoscape import Cytoscape

from fabricscope.dashboard import ids
from fabricscope.dashboard.experiment import (
    ENGINES,
    FAILURE_KINDS,
    FAILURES_LIMIT,
    SITE_FABRIC,
    Experiment,
    read_experiment,
)
from fabricscope.dashboard.figures.failover_map import LEVELS, MAP_STYLES
from fabricscope.dashboard.pages import failover_work
from fabricscope.dashboard.pages.failover_work import bench_of
from fabricscope.dashboard.pages.graphs import graph
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.states import panel
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.security.roles import require_operator
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View
from fabricscope.errors import ConfigError
from fabricscope.topology.builders import PRESETS
from fabricscope.topology.failure_specs import parse_failure
from fabricscope.topology.recovery.registry import SCHEMES

__all__ = ["PAGE"]

IMPORT_BYTES: Final = 512 << 10
"""Largest fabric file that can be brought in: it comes through the socket."""
_POLL_MS: Final = 500
_PLAY_MS: Final = 1_400
_REMOVE: Final = "failover-remove"
WINDOWS: Final = ("before", "during", "after")


def _layout(site: Site, view: View) -> Component:
    wanted = read_experiment(view, site_fabric=site.fabric is not None)
    return html.Div(
        [
            dcc.Store(id=ids.Failover.FAILURES, data=list(wanted.failures)),
            dcc.Store(id=ids.Failover.SHOWN),
            dcc.Interval(id=ids.Failover.WORK, interval=_POLL_MS, disabled=True),
            dcc.Interval(id=ids.Failover.PLAYING, interval=_PLAY_MS, disabled=True),
            html.Div([_map_panel(), _choices(site, wanted)], className="map-grid"),
            html.Div(
                [
                    html.Div(id=ids.Failover.STATUS, className="grow"),
                    html.Button("Cancel", id=ids.Failover.CANCEL, className="button", hidden=True),
                ],
                className="panel row",
            ),
            html.Div(id=ids.Failover.RESULT, className="stack"),
            panel(
                "A recorded failure beside it",
                html.Div(
                    [
                        dcc.Dropdown(id=ids.Failover.OVERLAY, options=[], className="choice wide",
                                     placeholder="A job in the time range above"),
                        html.Span(id=ids.Failover.OVERLAY_NOTE, className="quiet"),
                    ],
                    className="row",
                ),
                graph(ids.Failover.OVERLAY_GRAPH, 320),
                note="how many times longer than usual iterations took, since the failure",
            ),
        ],
        id=ids.Failover.BODY, className="stack",
    )  # fmt: skip


def _map_panel() -> Component:
    legend = [
        html.Span([html.Span(className="swatch", style={"background": color}), name],
                  className="quiet")
        for _, color, name in LEVELS
    ]  # fmt: skip
    marks = {number: name for number, name in enumerate(("no load", *WINDOWS))}
    return panel(
        "Fabric",
        html.Div(
            Cytoscape(
                id=ids.Failover.MAP, elements=[], stylesheet=MAP_STYLES,
                layout={"name": "preset", "fit": True, "padding": 24},
                style={"width": "100%", "height": "100%"}, autoungrabify=True, responsive=True,
                boxSelectionEnabled=False, minZoom=0.2, maxZoom=6,
            ),
            className="failover-map",
        ),
        html.Div([html.Span("Load of the busier direction", className="quiet"), *legend,
                  html.Span("✕ fails", className="health bad")], className="row legend"),
        html.Div(
            [
                html.Button("▶ Play", id=ids.Failover.PLAY, className="button"),
                html.Div(
                    dcc.Slider(id=ids.Failover.WINDOW, min=0, max=3, step=None, value=0,
                               marks=marks, included=False),
                    className="grow moments",
                ),
                dcc.Dropdown(id=ids.Failover.SHOWN_SCHEME, options=[], clearable=False,
                             searchable=False, className="choice", placeholder="Scheme"),
            ],
            className="row",
        ),
        html.P(id=ids.Failover.MAP_NOTE, className="quiet map-note", role="status"),
        note="click a link or a device to make it fail, again to mend it",
    )  # fmt: skip


def _choices(site: Site, wanted: Experiment) -> Component:
    """Return the column in which the experiment is put together."""
    fabrics = [{"label": f"{name}: {preset.about}", "value": name}
               for name, preset in PRESETS.items()]  # fmt: skip
    if site.fabric is not None:
        fabrics.insert(0, {"label": "This site's fabric", "value": SITE_FABRIC})
    schemes = [{"label": f"{name}: {entry.summary}", "value": name}
               for name, entry in SCHEMES.items()]  # fmt: skip
    kinds = [{"label": label, "value": kind} for kind, label in FAILURE_KINDS.items()]
    return panel(
        "Experiment",
        _labelled("Fabric", dcc.Dropdown(id=ids.Failover.FABRIC, options=fabrics,
                                         placeholder="A preset", maxHeight=320)),
        _labelled("or a short form (leaf-spine:8x4x16@400G)",
                  dcc.Input(id=ids.Failover.SPEC, value=wanted.fabric, debounce=True,
                            maxLength=200)),
        dcc.Upload(html.Button("Bring in a fabric file", className="button"),
                   id=ids.Failover.IMPORT, max_size=IMPORT_BYTES),
        html.P(id=ids.Failover.FABRIC_NOTE, className="quiet", role="status"),
        _labelled("What is clicked", dcc.Dropdown(id=ids.Failover.KIND, options=kinds, value="",
                                                  clearable=False, searchable=False)),
        _labelled("at", dcc.Input(id=ids.Failover.AT, value="1ms", maxLength=20)),
        _labelled("or write one (leaf3-spine1@1ms..5ms)",
                  dcc.Input(id=ids.Failover.FAILURE, debounce=True, maxLength=200)),
        html.Div(id=ids.Failover.FAILURE_LIST, className="failures"),
        _labelled("Recovery schemes", dcc.Dropdown(id=ids.Failover.SCHEMES, options=schemes,
                                                   value=list(wanted.schemes), multi=True,
                                                   maxHeight=320)),
        _labelled("Workload", dcc.Input(id=ids.Failover.WORKLOAD, value=wanted.workload,
                                        maxLength=200)),
        _labelled("Engine", dcc.Dropdown(id=ids.Failover.ENGINE, options=list(ENGINES),
                                         value=wanted.engine, clearable=False, searchable=False)),
        _labelled("Repetitions", dcc.Input(id=ids.Failover.REPETITIONS, type="number", min=1,
                                           max=100, step=1, value=wanted.repetitions)),
        _labelled("NIC time-out n (4.096 µs x 2ⁿ)",
                  dcc.Input(id=ids.Failover.TIMEOUT, type="number", min=1, max=31, step=1,
                            value=wanted.timeout)),
        html.Button("Run", id=ids.Failover.RUN, className="button primary"),
        className="choices",
    )  # fmt: skip


def _labelled(label: str, field: Component) -> Component:
    return html.Label([html.Span(label, className="quiet"), field], className="labelled")


def _register(app: Dash, site: Site) -> None:
    bench = bench_of(site)

    @app.callback(
        Output(ids.Failover.SPEC, "value"),
        Input(ids.Failover.FABRIC, "value"),
        prevent_initial_call=True,
    )
    def choose_fabric(name: str | None) -> Any:
        return name or no_update

    @app.callback(
        Output(ids.Failover.SPEC, "value", allow_duplicate=True),
        Input(ids.Failover.IMPORT, "contents"),
        State(ids.Failover.IMPORT, "filename"),
        prevent_initial_call=True,
    )
    def bring_in(contents: str | None, name: str | None) -> Any:
        if not contents:
            return no_update
        require_operator("bring fabrics in")
        return bench.fabrics.bring_in(name or "", _decode(contents))

    @app.callback(
        Output(ids.Failover.FAILURES, "data"),
        Output(ids.Failover.FAILURE, "value"),
        Input(ids.Failover.MAP, "tapEdge"),
        Input(ids.Failover.MAP, "tapNode"),
        Input(ids.Failover.FAILURE, "value"),
        Input({"type": _REMOVE, "failure": ALL}, "n_clicks"),
        State(ids.Failover.FAILURES, "data"),
        State(ids.Failover.SPEC, "value"),
        State(ids.Failover.AT, "value"),
        State(ids.Failover.KIND, "value"),
        prevent_initial_call=True,
    )
    def choose_failure(
        edge: Any, node: Any, written: str | None, removed: Any, known: list[str] | None,
        spec: str | None, at: str | None, kind: str | None,
    ) -> Any:  # fmt: skip
        failures = list(known or [])
        by = ctx.triggered_id
        if isinstance(by, dict):
            if not any(removed):
                return no_update, no_update
            return [text for text in failures if text != by["failure"]], no_update
        if by == ids.Failover.FAILURE:
            return _add(failures, written or ""), ""
        clicked = (ctx.triggered[0]["value"] or {}).get("data") or {}
        names = bench.names(spec or "", clicked)
        return _toggle(failures, names, f"@{(at or '').strip() or '1ms'}{kind or ''}"), no_update

    @app.callback(
        Output(ids.Failover.FAILURE_LIST, "children"), Input(ids.Failover.FAILURES, "data")
    )
    def list_failures(failures: list[str] | None) -> list[Component]:
        return _failure_list(failures or [])

    failover_work.register(app, site)


def _decode(contents: str) -> bytes:
    """Return the bytes of a data URL. Raises ConfigError for anything else."""
    try:
        content = base64.b64decode(contents.partition(",")[2], validate=True)
    except (ValueError, binascii.Error):
        raise ConfigError("The file could not be read; choose it again.") from None
    if len(content) > IMPORT_BYTES:
        raise ConfigError(f"A fabric file may have {IMPORT_BYTES >> 10:,} KiB at most here.")
    return content


def _add(failures: list[str], text: str) -> Any:
    """Return the failures with one more. Raises FabricError for what is no failure."""
    text = text.strip()
    if not text:
        return no_update
    parse_failure(text)
    return [*failures, text][:FAILURES_LIMIT] if text not in failures else failures


def _toggle(failures: list[str], names: Sequence[str], rest: str) -> Any:
    """Return the failures with that of the first name that does not fail yet; else mend them."""
    if not names:
        return no_update
    failing = {text.partition("@")[0] for text in failures}
    free = next((name for name in names if name not in failing), None)
    if free is None:
        return [text for text in failures if text.partition("@")[0] not in names]
    return _add(failures, f"{free}{rest}")


def _failure_list(failures: Sequence[str]) -> list[Component]:
    if not failures:
        return [html.P("Nothing fails yet: click a link or a device.", className="quiet")]
    return [
        html.Button(
            f"✕ {neutralise(text, 200)}",
            id={"type": _REMOVE, "failure": text}, className="button failure", title="Mend it",
        )
        for text in failures
    ]  # fmt: skip


PAGE = Page("failover", "/failover", "Failover", "⤳", "o", _layout, _register)
