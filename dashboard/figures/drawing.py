"""What all figures share: size, margins, decimation, and what is drawn when there is nothing."""

import html
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from fabricscope.dashboard.figures.palette import LIGHT
from fabricscope.dashboard.plain_text import neutralise

POINTS_LIMIT: Final = 2000
"""Most points of one trace; a screen shows no more."""
HEIGHT_PX: Final = 320
TALL_PX: Final = 400
"""Of figures that are as high as they are wide."""
EMPTY_HEIGHT_PX: Final = 90
_SHORTEST: Final = ("µs", 1e-6, 1.0)
_AXIS_UNITS: Final = (("d", 86_400.0, 4.0), ("h", 3600.0, 4.0), ("s", 1.0, 1.0), ("ms", 1e-3, 1.0))
"""Units of time axes with their length in seconds, and from how many of them on they are taken."""
CONFIG: Final[dict[str, Any]] = {
    "responsive": True,
    "displaylogo": False,
    "plotlyServerURL": "",
    "modeBarButtons": [
        ["toImage"],
        ["zoom2d", "pan2d"],
        ["zoomIn2d", "zoomOut2d", "resetScale2d"],
    ],
}
"""For plotly.js: the buttons are listed because its own list has one that uploads the figure."""


def new_figure(**layout: Any) -> go.Figure:
    """Return an empty figure with the common look, ready for traces."""
    return style(go.Figure(), **layout)


def style(figure: go.Figure, **layout: Any) -> go.Figure:
    """Give `figure` the common look and return it; the page swaps the template for dark ground."""
    figure.update_layout(
        template=LIGHT,
        height=HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        hovermode="x unified",
    )
    figure.update_layout(**layout)
    return figure


def empty_figure(note: str) -> go.Figure:
    """Return a figure without axes that says in one sentence why it shows nothing."""
    figure = new_figure(height=EMPTY_HEIGHT_PX, meta={"empty": True})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        text=escape_label(note), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
    )
    return figure


def escape_label(text: object) -> str:
    """Return text from outside for a label: plotly reads a subset of HTML in all its texts."""
    return html.escape(neutralise(text, 120), quote=False)


def count_ticks(counts: ArrayLike, limit: int) -> dict[str, Any]:
    """Return the ticks of an axis of counts, `limit` at most and none between two whole numbers."""
    largest = float(np.nanmax(np.asarray(counts, np.float64), initial=0.0))
    if largest <= limit:
        return {"dtick": 1, "tickformat": "d"}
    return {"nticks": limit, "tickformat": "~s"}


def decimate(
    x: ArrayLike, y: ArrayLike, limit: int = POINTS_LIMIT
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return at most `limit` points of a curve: each stretch's lowest and highest, in order.

    A spike of one point survives, which neither striding nor averaging would grant.
    """
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(xs) <= limit:
        return xs, ys
    edges = np.linspace(0, len(xs), limit // 2 + 1).astype(np.int64)
    kept: list[int] = []
    for start, stop in pairwise(edges.tolist()):
        stretch = ys[start:stop]
        low, high = start + int(stretch.argmin()), start + int(stretch.argmax())
        kept.extend(sorted({low, high}))
    return xs[kept], ys[kept]


def seconds_axis(bins: int, bin_ns: int) -> tuple[NDArray[np.float64], str]:
    """Return the start of each bin since the first one, and the unit, from µs to days."""
    span_s = bins * bin_ns / 1e9
    unit, factor = next((one for one in _AXIS_UNITS if span_s >= one[2] * one[1]), _SHORTEST)[:2]
    return np.arange(bins, dtype=np.float64) * (bin_ns / 1e9 / factor), unit


def has_values(values: Sequence[float] | None) -> bool:
    """Return whether a column is there and anything in it is not zero."""
    return bool(values) and any(values or ())
