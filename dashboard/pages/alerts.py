"""The page Alerts: what fires now, acknowledging and silencing it, and what happened before."""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.data.alerts import alert_history, open_alerts, open_silences
from fabricscope.dashboard.figures.alert_times import draw_alerts
from fabricscope.dashboard.pages.graphs import graph, placed
from fabricscope.dashboard.pages.grids import grid, quantity, state, text
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.refresh import due_view
from fabricscope.dashboard.pages.states import panel
from fabricscope.dashboard.pages.tiles import Tile, tiles
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_count
from fabricscope.dashboard.security.roles import current_visitor, require_operator
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View
from fabricscope.errors import ConfigError
from fabricscope.pipeline.alerts import Silence, acknowledge, end_silence, silence

__all__ = ["PAGE"]

_WRITING: Final = threading.Lock()
"""A store is opened by one at a time."""
_SEVERITY: Final = {"bad": ["critical"], "poor": ["warning"], "fair": ["notice"], "good": ["info"]}
_STATE: Final = {"bad": ["firing"], "good": ["resolved"], "fair": ["acknowledged", "silenced"]}
_MINUTES: Final = {"15": "15 minutes", "60": "an hour", "480": "8 hours", "1440": "a day",
                   "10080": "a week"}  # fmt: skip
_OPEN: Final = [
    state("severity", "Severity", _SEVERITY, minWidth=95, maxWidth=115),
    state("state", "State", _STATE, minWidth=115, maxWidth=140),
    text("rule", "Rule", minWidth=120),
    text("subject", "About", minWidth=150),
    text("text", "What", minWidth=260, flex=4),
    text("action", "What to do", minWidth=220, flex=3),
    quantity("since_ns", "Since (UTC)", "time", minWidth=100),
    text("by", "By", minWidth=70),
    text("collector", "Collector", minWidth=100),
]
_HISTORY: Final = [
    quantity("time_ns", "When (UTC)", "time", minWidth=100, maxWidth=120),
    *_OPEN[:5],
    _OPEN[7],
    _OPEN[8],
]
_SILENCES: Final = [
    text("rule", "Rules like", minWidth=120),
    text("subject", "About", minWidth=150),
    quantity("until_ns", "Until (UTC)", "time", minWidth=100),
    text("by", "By"),
    text("note", "Why", minWidth=200, flex=3),
]


def _layout(site: Site, view: View) -> Component:
    minutes: Any = [{"label": f"for {text}", "value": key} for key, text in _MINUTES.items()]
    controls = html.Div(
        [
            dcc.Input(id=ids.Alerts.NOTE, type="text", maxLength=300, className="search",
                      placeholder="Why (optional)"),
            html.Button("Acknowledge", id=ids.Alerts.ACKNOWLEDGE, className="button primary",
                        title="Somebody looks after it: it is not sent again while it fires"),
            dcc.Dropdown(id=ids.Alerts.FOR, options=minutes, value="60", clearable=False,
                         searchable=False, className="choice"),
            html.Button("Silence", id=ids.Alerts.SILENCE, className="button",
                        title="Keep it quiet for a time"),
            html.Span(id=ids.Alerts.SAID, className="quiet", role="status"),
        ],
        className="row tools",
    )  # fmt: skip
    return html.Div(
        [
            html.Div(id=ids.Alerts.TILES, className="tiles"),
            panel(
                "Open alerts", controls, grid(ids.Alerts.OPEN, _OPEN, row_id="id",
                height_px=230, without="Nothing is firing."),
                note="click a row, then acknowledge or silence it",
            ),
            panel("Over time", graph(ids.time_graph(ids.Alerts.TIMELINE), 240)),
            html.Div(
                [
                    panel("History", grid(ids.Alerts.HISTORY, _HISTORY, row_id="id"),
                          note="the newest first"),
                    panel(
                        "Silences",
                        html.Div(html.Button("End it", id=ids.Alerts.END_SILENCE,
                                             className="button"), className="row panel-tools"),
                        grid(ids.Alerts.SILENCES, _SILENCES, row_id="id",
                             without="Nothing is silenced."),
                    ),
                ],
                className="history-grid",
            ),
            dcc.Store(id=ids.Alerts.REFRESH),
        ],
        className="stack",
    )  # fmt: skip


def _register(app: Dash, site: Site) -> None:
    @app.callback(
        Output(ids.Alerts.TILES, "children"),
        Output(ids.Alerts.OPEN, "rowData"),
        Output(ids.time_graph(ids.Alerts.TIMELINE), "figure"),
        Output(ids.Alerts.HISTORY, "rowData"),
        Output(ids.Alerts.SILENCES, "rowData"),
        Input(ids.TICK, "data"),
        Input(ids.VIEW, "data"),
        Input(ids.Alerts.REFRESH, "data"),
    )
    def show(
        tick: dict[str, Any] | None, view: dict[str, Any] | None, changed: float | None
    ) -> Sequence[object]:
        found = due_view(view, tick, 2)
        about = found.parameter("subject")
        return site.share(_draw, site, found.without_parameters(), about, changed)

    @app.callback(
        Output(ids.Alerts.SAID, "children"),
        Output(ids.Alerts.REFRESH, "data"),
        Input(ids.Alerts.ACKNOWLEDGE, "n_clicks"),
        Input(ids.Alerts.SILENCE, "n_clicks"),
        State(ids.Alerts.OPEN, "selectedRows"),
        State(ids.Alerts.FOR, "value"),
        State(ids.Alerts.NOTE, "value"),
        prevent_initial_call=True,
    )
    def change(
        acknowledged: int | None,
        silenced: int | None,
        rows: list[dict[str, Any]] | None,
        minutes: str | None,
        note: str | None,
    ) -> tuple[object, object]:
        if not (acknowledged or silenced):
            return no_update, no_update
        for_minutes = int(minutes or 60) if ctx.triggered_id == ids.Alerts.SILENCE else None
        return _change(site, rows or [], for_minutes, note or ""), time.time()

    @app.callback(
        Output(ids.Alerts.SAID, "children", allow_duplicate=True),
        Output(ids.Alerts.REFRESH, "data", allow_duplicate=True),
        Input(ids.Alerts.END_SILENCE, "n_clicks"),
        State(ids.Alerts.SILENCES, "selectedRows"),
        prevent_initial_call=True,
    )
    def end(clicks: int | None, rows: list[dict[str, Any]] | None) -> tuple[object, object]:
        if not clicks:
            return no_update, no_update
        return _end(site, rows or []), time.time()


def _draw(site: Site, view: View, about: str, _: float | None) -> Sequence[object]:
    alerts = site.read(open_alerts, view)
    history = site.read(alert_history, view)
    if about:
        alerts, history = (
            frame.sort(pl.col("subject") != about, maintain_order=True)
            for frame in (alerts, history)
        )
    held = site.read(open_silences, view)
    return (
        tiles(_tiles(alerts, history, len(held))),
        _rows(alerts),
        placed(draw_alerts(history, alerts, view.start_ns, view.end_ns)),
        _rows(history),
        [_silence_row(one) for one in held],
    )


def _tiles(alerts: pl.DataFrame, history: pl.DataFrame, silences: int) -> list[Tile]:
    firing = alerts.filter(pl.col("state") == "firing")
    critical = firing.filter(pl.col("severity") == "critical").height
    began = history.filter((pl.col("state") == "firing") & (pl.col("by") == "")).height
    return [
        Tile("Firing", format_count(firing.height), "", "bad" if firing.height else "good"),
        Tile("Critical", format_count(critical), "of them", "bad" if critical else "good"),
        Tile("Acknowledged", format_count(_count(alerts, "acknowledged"))),
        Tile("Silenced", format_count(_count(alerts, "silenced")), f"by {silences} silences"),
        Tile("Began", format_count(began), "in this time range"),
        Tile("Resolved", format_count(_count(history, "resolved")), "in this time range"),
    ]


def _count(alerts: pl.DataFrame, kind: str) -> int:
    return alerts.filter(pl.col("state") == kind).height


def _rows(alerts: pl.DataFrame) -> list[dict[str, Any]]:
    texts = ("severity", "state", "rule", "subject", "text", "action", "by", "collector")
    return [
        {**{name: neutralise(row[name] or "", 400) for name in texts},
         "time_ns": row["time_ns"], "since_ns": row["since_ns"],
         "key": [row["collector"], row["rule"], row["subject"]],
         "id": f"{row['time_ns']} {row['collector']} {row['rule']} {row['subject']} {row['state']}"}
        for row in alerts.iter_rows(named=True)
    ]  # fmt: skip


def _silence_row(one: Silence) -> dict[str, Any]:
    return {
        "rule": neutralise(one.rule, 200),
        "subject": neutralise(one.subject, 200),
        "until_ns": one.until_ns,
        "by": neutralise(one.by, 80),
        "note": neutralise(one.note, 300),
        "id": f"{one.rule} {one.subject} {one.start_ns}",
        "key": [one.rule, one.subject],
    }


def _change(site: Site, rows: Sequence[dict[str, Any]], minutes: int | None, note: str) -> str:
    """Acknowledge an alert, or silence it for `minutes`; return what was done.

    Raises ConfigError for a viewer, or when no row is chosen.
    """
    require_operator("changing alerts")
    if not rows:
        raise ConfigError("no alert is chosen; click its row first")
    collector, rule, subject = (str(part) for part in rows[0]["key"])
    by = current_visitor().name or "somebody at this host"
    with _WRITING, site.store as store:
        if minutes is None:
            acknowledge(store, collector, rule, subject, by=by, note=note)
            return f"{neutralise(rule)} about {neutralise(subject)} is acknowledged by {by}."
        until_ns = time.time_ns() + minutes * 60 * 10**9
        silence(store, by=by, until_ns=until_ns, rule=rule, subject=subject, note=note)
    return f"{neutralise(rule)} about {neutralise(subject)} is silenced for {minutes} minutes."


def _end(site: Site, rows: Sequence[dict[str, Any]]) -> str:
    """End a silence; return what was done. Raises ConfigError as `_change` does."""
    require_operator("ending a silence")
    if not rows:
        raise ConfigError("no silence is chosen; click its row first")
    rule, subject = (str(part) for part in rows[0]["key"])
    now = time.time_ns()
    with _WRITING, site.store as store:
        held = Silence(rule, subject, now, now, "", "")
        end_silence(store, held, by=current_visitor().name or "somebody at this host")
    return f"The silence of {neutralise(rule)} about {neutralise(subject)} has ended."


PAGE = Page("alerts", "/alerts", "Alerts", "▲", "e", _layout, _register)
