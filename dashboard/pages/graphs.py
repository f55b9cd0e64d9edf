"""Charts of the site: the common buttons, and heights that stay while figures are renewed."""

from typing import Any

import plotly.graph_objects as go
from dash import dcc

from fabricscope.dashboard.figures.drawing import CONFIG, empty_figure

__all__ = ["graph", "placed"]


def graph(graph_id: Any, height_px: int = 300, **options: Any) -> dcc.Graph:
    """Return an empty chart of a height that does not change; its callback gives the figure."""
    return dcc.Graph(
        id=graph_id,
        figure=placed(empty_figure("")),
        config=CONFIG,  # type: ignore[arg-type]
        style={"height": f"{height_px}px"},
        **options,
    )


def placed(figure: go.Figure) -> go.Figure:
    """Return `figure` without a height of its own, so that it fills the chart it is put into."""
    return figure.update_layout(height=None)
