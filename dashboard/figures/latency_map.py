"""How long messages or acknowledgements took, over time: a heat map with median and tail."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go

from fabricscope.dashboard.data.rdma import Latencies
from fabricscope.dashboard.figures.distributions import time_ticks
from fabricscope.dashboard.figures.drawing import empty_figure, new_figure
from fabricscope.dashboard.figures.live_strips import as_times, time_axis
from fabricscope.dashboard.figures.palette import ORANGE, VERMILION
from fabricscope.dashboard.quantities import format_duration

__all__ = ["draw_latencies"]

_HEIGHT_PX: Final = 280


def draw_latencies(
    latencies: Latencies | None, quantity: str, start_ns: int, end_ns: int
) -> go.Figure:
    """Return the map of `quantity`; dark cells hold many of an interval's values."""
    if latencies is None:
        return empty_figure(f"No {quantity.lower()} was measured in this time range.")
    edges = [edge / 1e6 for edge in latencies.edges_us]
    times = as_times(latencies.times_ns)
    ends = as_times([latencies.times_ns[-1] + latencies.interval_ns])
    figure = new_figure(
        height=_HEIGHT_PX,
        hovermode="closest",
        uirevision="time",
        coloraxis={
            "cmin": 0,
            "cmax": 0.6,
            "colorbar": {"title": {"text": "Share", "side": "right"}, "thickness": 10,
                         "tickformat": ".0%", "nticks": 4},
        },
    )  # fmt: skip
    cells = np.where(latencies.shares > 0, latencies.shares, np.nan)
    figure.add_heatmap(
        z=[[None if np.isnan(value) else float(value) for value in row] for row in cells],
        x=[*times, *ends], y=edges, coloraxis="coloraxis", hoverongaps=False,
        hovertemplate="%{x|%H:%M:%S}: %{z:.1%} took about %{y:.2~s}s<extra></extra>",
    )  # fmt: skip
    middles = as_times([time + latencies.interval_ns // 2 for time in latencies.times_ns])
    _add_line(figure, middles, latencies.p50_us, "median", ORANGE)
    _add_line(figure, middles, latencies.p99_us, "largest p99", VERMILION)
    ticks = time_ticks(edges[0], edges[-1])
    figure.update_yaxes(
        type="log", title_text=f"{quantity} (log scale)", tickvals=ticks,
        ticktext=[format_duration(tick) for tick in ticks],
        range=[float(np.log10(edges[0])), float(np.log10(edges[-1]))], showgrid=False,
    )  # fmt: skip
    time_axis(figure, start_ns, end_ns, title_text="UTC")
    return figure


def _add_line(
    figure: go.Figure, times: Sequence[object], values_us: Sequence[float], name: str, color: str
) -> None:
    known = [None if np.isnan(value) else value / 1e6 for value in values_us]
    few = sum(value is not None for value in known) < 40
    figure.add_scatter(
        x=times, y=known, name=name, mode="lines+markers" if few else "lines",
        line={"color": color, "width": 1.6}, marker={"size": 4},
        customdata=[None if value is None else format_duration(value) for value in known],
        hovertemplate=f"{name} %{{customdata}}<extra></extra>",
    )  # fmt: skip
