"""What a page shows instead of data: what is missing, why, and which command brings it."""

from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from fabricscope.dashboard.plain_text import neutralise

__all__ = ["HIDDEN", "empty_state", "panel", "problem_state"]

HIDDEN: Final[dict[str, Any]] = {"aria-hidden": "true"}
"""For ornaments that a screen reader should pass over."""


def empty_state(title: str, text: str, command: str = "") -> Component:
    """Return a card that says what is missing, what that means, and which command to run."""
    return html.Div(
        [
            html.Div("∅", className="empty-glyph", **HIDDEN),
            html.H2(title),
            html.P(text),
            *([html.Pre(html.Code(command))] if command else []),
        ],
        className="empty-state",
    )


def problem_state(text: str) -> Component:
    """Return a card for what went wrong, in its own one sentence."""
    return html.Div(
        [
            html.Div("!", className="empty-glyph", **HIDDEN),
            html.P(neutralise(text, 2_000)),
        ],
        className="empty-state problem",
        role="alert",
    )


def panel(
    title: str, *children: Component | str | None, note: str = "", className: str = "", **given: Any
) -> Component:
    """Return a titled box of a page; `note` says in a few words how to read it."""
    head: list[Component | str] = [html.H2(title)]
    if note:
        head.append(html.Span(note, className="panel-note"))
    inside: list[Any] = [html.Header(head, className="panel-head"), *children]
    return html.Section(inside, className=f"panel {className}".strip(), **given)
