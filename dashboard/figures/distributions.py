"""How values are spread: message completion time, ACK round trip, packet sizes."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fabricscope.dashboard.figures.drawing import POINTS_LIMIT, empty_figure, new_figure, style
from fabricscope.dashboard.figures.palette import BLUE, ORANGE, VERMILION
from fabricscope.dashboard.histogram import cumulate, merge_bins, percentile, trim
from fabricscope.dashboard.quantities import format_duration, format_microseconds

SIZE_TICKS_BYTES: Final = tuple(1 << exponent for exponent in range(5, 17))
TICKS_LIMIT: Final = 9
TICKS_AT_LEAST: Final = 3


def draw_message_times(histogram: Mapping[str, Any]) -> go.Figure:
    """Return message completion times: counts per bin, and the share that was done by then."""
    return _draw_times(histogram, "Message completion time", "messages")


def draw_ack_round_trips(histogram: Mapping[str, Any]) -> go.Figure:
    """Return times from a packet that asks for an ACK to the ACK: counts and share."""
    return _draw_times(histogram, "ACK round trip", "round trips")


def draw_packet_sizes(histogram: Mapping[str, Any]) -> go.Figure:
    """Return how many packets have which length on the wire."""
    edges, counts = _tidy(histogram)
    if not counts:
        return empty_figure("No packets, so no packet sizes.")
    figure = new_figure(showlegend=False, hovermode="closest")
    figure.add_scatter(
        x=edges,
        y=[*counts, counts[-1]],
        mode="lines",
        fill="tozeroy",
        line={"shape": "hv", "color": BLUE, "width": 1.4},
        customdata=_bin_texts(edges, [f"{edge:,.0f} B" for edge in edges]),
        hovertemplate="%{customdata}: %{y:,.0f} packets<extra></extra>",
    )
    ticks = [tick for tick in SIZE_TICKS_BYTES if edges[0] <= tick <= edges[-1]]
    if len(ticks) < TICKS_AT_LEAST:
        ticks = sorted({round(edges[0]), *ticks, round(edges[-1])})
    figure.update_xaxes(
        title_text="Length on the wire (bytes)",
        type="log",
        tickvals=ticks,
        ticktext=[f"{tick:,}" for tick in ticks],
        tickangle=0,
    )
    figure.update_yaxes(title_text="Packets", rangemode="tozero", tickformat="~s")
    return figure


def _draw_times(histogram: Mapping[str, Any], quantity: str, things: str) -> go.Figure:
    edges_us, counts = _tidy(histogram)
    if not counts:
        return empty_figure(f"No {things} were seen from start to end, so no {quantity.lower()}.")
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    seconds = [edge / 1e6 for edge in edges_us]
    texts = [format_microseconds(edge) for edge in edges_us]
    figure.add_scatter(
        x=seconds,
        y=[*counts, counts[-1]],
        name=things.capitalize(),
        mode="lines",
        fill="tozeroy",
        line={"shape": "hv", "color": BLUE, "width": 1.2},
        customdata=_bin_texts(edges_us, texts),
        hovertemplate=f"%{{y:,.0f}} {things} took %{{customdata}}<extra></extra>",
    )
    figure.add_scatter(
        x=seconds,
        y=[share * 100 for share in cumulate(counts)],
        name="Done by then",
        mode="lines",
        line={"color": ORANGE, "width": 2},
        customdata=texts,
        hovertemplate="%{y:.4~g} % within %{customdata}<extra></extra>",
        secondary_y=True,
    )
    for share, name, height in ((0.5, "p50", 1.0), (0.99, "p99", 0.88)):
        value_us = percentile(edges_us, counts, share)
        if value_us:
            _mark(figure, value_us / 1e6, f"{name} {format_microseconds(value_us)}", height)
    style(figure, hovermode="closest")
    ticks = time_ticks(seconds[0], seconds[-1])
    figure.update_xaxes(
        title_text=f"{quantity} (log scale)",
        type="log",
        tickvals=ticks,
        ticktext=[format_duration(tick) for tick in ticks],
        tickangle=0,
    )
    figure.update_yaxes(
        title_text=f"{things.capitalize()} per bin", rangemode="tozero", tickformat="~s"
    )
    figure.update_yaxes(
        title_text="Done by then (%)",
        range=[0, 104],
        tickmode="array",
        tickvals=[0, 25, 50, 75, 100],
        showgrid=False,
        secondary_y=True,
    )
    return figure


def _mark(figure: go.Figure, x: float, text: str, height: float) -> None:
    """Draw a dotted line at `x` with its name; a logarithmic axis wants x of a text as exponent."""
    figure.add_vline(x=x, line={"dash": "dot", "width": 1.2, "color": VERMILION})
    figure.add_annotation(
        x=math.log10(x),
        y=height,
        yref="paper",
        text=text,
        showarrow=False,
        xanchor="left",
        yanchor="top",
        xshift=4,
        font={"size": 11},
    )


def time_ticks(low: float, high: float) -> list[float]:
    """Return 1-2-5 steps between two times in seconds, or whole decades if those are many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        ticks = [
            step * 10.0**exponent
            for exponent in decades
            for step in steps
            if low <= step * 10.0**exponent <= high
        ]
        if len(ticks) <= TICKS_LIMIT:
            break
    return ticks or [low, high]


def _tidy(histogram: Mapping[str, Any]) -> tuple[list[float], list[int]]:
    """Return the filled part with few enough bins and edges that a logarithm takes."""
    edges, counts = trim(histogram.get("edges") or [], histogram.get("counts") or [])
    edges, counts = merge_bins(edges, counts, POINTS_LIMIT - 1)
    if edges and edges[0] <= 0:
        edges[0] = edges[1] / 2
    return edges, counts


def _bin_texts(edges: Sequence[float], texts: Sequence[str]) -> list[str]:
    """Return for each edge the bin that begins there; the last edge repeats the last bin."""
    bins = [f"{low} to {high}" for low, high in pairwise(texts)]
    return [*bins, bins[-1]] if len(edges) > 1 else bins
