"""Charts of the site: the common buttons, and a height that the figure itself gives."""

from typing import Any

from dash import dcc

from fabricscope.dashboard.figures.drawing import CONFIG

__all__ = ["graph"]


def graph(graph_id: Any, **options: Any) -> dcc.Graph:
    """Return an empty chart; its callback gives the figure."""
    return dcc.Graph(id=graph_id, config=CONFIG, **options)  # type: ignore[arg-type]
