"""Who sends how much to whom: the traffic matrix."""

from collections.abc import Mapping
from typing import Any, Final

import plotly.graph_objects as go

from fabricscope.dashboard.figures.drawing import HEIGHT_PX, empty_figure, escape_label, new_figure
from fabricscope.dashboard.quantities import BINARY_PREFIXES, format_bytes, scale

ROW_PX: Final = 18
HEIGHT_LIMIT_PX: Final = 720


def draw_traffic_matrix(matrix: Mapping[str, Any]) -> go.Figure:
    """Return a heat map of bytes from each host (row) to each host (column).

    `matrix` is the part of the document: `hosts`, and `bytes[i][j]` from host i to host j.
    Pairs without traffic stay blank.
    """
    hosts = [escape_label(host) for host in matrix.get("hosts") or []]
    volumes = matrix.get("bytes") or []
    most = max((value for row in volumes for value in row), default=0)
    if not most:
        return empty_figure("No traffic between addressed hosts.")
    index, factor = scale(most, 1024)
    unit = f"{BINARY_PREFIXES[index]}B"
    figure = new_figure(
        height=min(HEIGHT_LIMIT_PX, max(HEIGHT_PX, 110 + ROW_PX * len(hosts))),
        hovermode="closest",
        coloraxis={
            "cmin": 0,
            "cmax": most / factor,
            "colorbar": {"title": {"text": unit, "side": "right"}, "thickness": 12},
        },
    )
    figure.add_heatmap(
        z=[[value / factor if value else None for value in row] for row in volumes],
        x=hosts,
        y=hosts,
        xgap=1,
        ygap=1,
        coloraxis="coloraxis",
        hoverongaps=False,
        customdata=[[format_bytes(value) for value in row] for row in volumes],
        hovertemplate="%{y} to %{x}: %{customdata}<extra></extra>",
    )
    figure.update_xaxes(title_text="To host", type="category", showgrid=False)
    figure.update_yaxes(
        title_text="From host", type="category", autorange="reversed", showgrid=False
    )
    return figure
