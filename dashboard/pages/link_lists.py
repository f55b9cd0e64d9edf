"""Short lists of links and alerts, each entry leading to the page that tells its story."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
from dash import dcc, html
from dash.development.base_component import Component

from fabricscope.dashboard.data.alerts import LEVELS
from fabricscope.dashboard.data.links import classify
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_bit_rate, format_share
from fabricscope.dashboard.view import View

__all__ = ["health_badge", "list_alerts", "list_links"]


def health_badge(score: float | None) -> Component:
    """Return a score with the colour and shape of its class."""
    text = "–" if score is None else f"{score:.0f}"  # noqa: RUF001 - the sign for "no value"
    return html.Span(text, className=f"health {classify(score)}", title="health score, 0 to 100")


def list_links(
    states: pl.DataFrame, view: View, none: str = "No samples of links in this moment."
) -> Component:
    """Return links with score, load and reasons; rows are those of `data.links.link_states`."""
    if states.is_empty():
        return html.P(none, className="quiet")
    return html.Ul([_link(row, view) for row in states.iter_rows(named=True)], className="list")


def _link(row: dict[str, Any], view: View) -> Component:
    name = neutralise(row["link"], 120)
    arrow = {"up": "↑", "down": "↓"}.get(row["direction"], "↕")
    load = f"{format_bit_rate((row['gbps'] or 0) * 1e9)}, {format_share(row['utilization'])} full"
    return html.Li(
        [
            html.Div(
                [
                    dcc.Link(f"{name} {arrow}", href=view.link("/links", link=row["link"]),
                             className="grow", title=f"{name}, {row['direction']}"),
                    health_badge(row["score"]),
                ],
                className="row tight",
            ),
            html.Div(neutralise(row["reasons"] or load, 300), className="quiet small"),
        ]
    )  # fmt: skip


def list_alerts(alerts: pl.DataFrame, view: View, total: int = 0) -> Component:
    """Return open alerts with severity, since when, and what to do next.

    total: of how many these are the first; the way to the others is added.
    """
    if alerts.is_empty():
        return html.P("Nothing is firing.", className="quiet")
    entries: list[Component] = [_alert(row, view) for row in alerts.iter_rows(named=True)]
    if total > alerts.height:
        more = dcc.Link(f"{total - alerts.height:,} more", href=view.link("/alerts"))
        entries.append(html.Li(more))
    return html.Ul(entries, className="list")


def _alert(row: dict[str, Any], view: View) -> Component:
    level = LEVELS.get(row["severity"], "unknown")
    since = datetime.fromtimestamp(row["since_ns"] / 1e9, UTC).strftime("%H:%M:%S")
    state = "" if row["state"] == "firing" else f", {row['state']}"
    return html.Li(
        [
            html.Div(
                [
                    html.Span(row["severity"], className=f"health {level}"),
                    dcc.Link(neutralise(row["subject"] or row["rule"], 120), className="grow",
                             href=view.link("/alerts", subject=row["subject"] or "")),
                    html.Span(f"since {since}{state}", className="quiet small number"),
                ],
                className="row tight",
            ),
            html.Div(neutralise(row["text"], 300), className="small"),
            html.Div(neutralise(row["action"] or "", 300), className="quiet small"),
        ]
    )  # fmt: skip
