"""A recorded failure laid over a simulated one: how much longer iterations took, since it."""

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from fabricscope.dashboard.figures.bandwidth import SYMBOLS
from fabricscope.dashboard.figures.drawing import empty_figure, escape_label, new_figure
from fabricscope.dashboard.figures.palette import COLORWAY, GREY
from fabricscope.dashboard.recorded import Course

__all__ = ["draw_overlay"]

_HEIGHT_PX: Final = 320
_FEW: Final = 12


def draw_overlay(simulated: Sequence[Course], recorded: Course | None) -> go.Figure:
    """Return a line for each scheme, and a thick dashed one for what was recorded."""
    if not simulated and recorded is None:
        return empty_figure("Neither a simulated nor a recorded failure is there to compare.")
    figure = new_figure(height=_HEIGHT_PX, hovermode="closest")
    for number, course in enumerate(simulated):
        figure.add_scatter(
            x=course.places, y=course.ratios, name=escape_label(course.name), mode="lines+markers",
            line={"color": COLORWAY[number % len(COLORWAY)], "width": 1.6},
            marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 7},
            hovertemplate="%{fullData.name}, iteration %{x:+d}: %{y:.3~g} times<extra></extra>",
        )  # fmt: skip
    if recorded is not None:
        figure.add_scatter(
            x=recorded.places, y=recorded.ratios, name=f"recorded: {escape_label(recorded.name)}",
            mode="lines+markers", line={"color": GREY, "width": 3, "dash": "dash"},
            marker={"symbol": "star", "size": 9},
            hovertemplate="recorded, iteration %{x:+d}: %{y:.3~g} times<extra></extra>",
        )  # fmt: skip
    places = [
        place for course in (*simulated, *filter(None, [recorded])) for place in course.places
    ]
    few = max(places) - min(places) <= _FEW
    figure.update_xaxes(
        title_text="Iteration since the failure", tickformat="+d", dtick=1 if few else None
    )
    figure.update_yaxes(title_text="Duration (times the usual)", rangemode="tozero")
    figure.add_hline(y=1, line={"dash": "dot", "width": 1, "color": GREY})
    return figure
