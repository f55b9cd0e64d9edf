"""One link over time: how full it was and how full at its fullest, its score, its round trips."""

from typing import Final

import plotly.graph_objects as go
import polars as pl

from fabricscope.dashboard.figures.drawing import decimate, empty_figure, escape_label, new_figure
from fabricscope.dashboard.figures.live_strips import as_times, time_axis
from fabricscope.dashboard.figures.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILION

__all__ = ["draw_load", "draw_round_trips", "draw_scores"]

_DIRECTIONS: Final = (("up", BLUE, "solid"), ("down", ORANGE, "dash"), ("both", PURPLE, "solid"))
_BANDS: Final = ((0, 40, VERMILION, 0.16), (40, 70, VERMILION, 0.08), (70, 90, ORANGE, 0.08),
                 (90, 100, GREEN, 0.08))  # fmt: skip


def draw_load(history: pl.DataFrame, start_ns: int, end_ns: int) -> go.Figure:
    """Return mean utilization, and that of the busiest 10 ms as a dotted line above it."""
    figure = new_figure(uirevision="time")
    for direction, color, dash in _DIRECTIONS:
        rows = history.filter(pl.col("direction") == direction)
        for column, name, style, width in (
            ("utilization", f"{direction}, mean", dash, 1.8),
            ("burst", f"{direction}, busiest 10 ms", "dot", 1.1),
        ):
            known = rows.filter(pl.col(column).is_not_null())
            if known.is_empty():
                continue
            xs, ys = decimate(known["time_ns"], known[column] * 100)
            figure.add_scatter(
                x=as_times(xs.tolist()), y=ys, name=name, mode="lines",
                line={"color": color, "dash": style, "width": width},
                hovertemplate="%{y:.1f} %",
            )  # fmt: skip
    if not figure.data:
        return empty_figure("The rate of this link is not known, so neither is how full it was.")
    time_axis(figure, start_ns, end_ns, title_text="UTC")
    figure.update_yaxes(title_text="Utilization (%)", rangemode="tozero")
    return figure


def draw_scores(history: pl.DataFrame, start_ns: int, end_ns: int) -> go.Figure:
    """Return the health score over its classes; hovering says what it lost points for."""
    figure = new_figure(uirevision="time", hovermode="closest")
    for direction, color, dash in _DIRECTIONS:
        rows = history.filter(
            (pl.col("direction") == direction) & pl.col("score").is_not_null()
        ).sort("time_ns")
        if rows.is_empty():
            continue
        xs, ys = decimate(rows["time_ns"], rows["score"])
        reasons = dict(zip(rows["time_ns"], rows["reasons"], strict=True))
        figure.add_scatter(
            x=as_times(xs.tolist()), y=ys, name=direction, mode="lines",
            line={"color": color, "width": 1.8, "dash": dash, "shape": "hv"},
            customdata=[escape_label(reasons.get(int(x)) or "nothing to remark") for x in xs],
            hovertemplate=f"%{{x|%H:%M:%S}}, {direction}: %{{y:.0f}} points<br>%{{customdata}}"
                          "<extra></extra>",
        )  # fmt: skip
    if not figure.data:
        return empty_figure("No health score in this time range.")
    for low, high, color, opacity in _BANDS:
        figure.add_hrect(y0=low, y1=high, fillcolor=color, opacity=opacity, line_width=0,
                         layer="below")  # fmt: skip
    time_axis(figure, start_ns, end_ns, title_text="UTC")
    figure.update_yaxes(title_text="Health score (0 to 100)", range=[0, 104])
    return figure


def draw_round_trips(history: pl.DataFrame, start_ns: int, end_ns: int) -> go.Figure:
    """Return median, 99th percentile and largest ACK round trip beyond the tap."""
    known = history.filter(pl.col("ack_rtt_p99").is_not_null())
    if known.is_empty():
        return empty_figure("No RDMA acknowledgements were timed on this link.")
    figure = new_figure(uirevision="time")
    for direction, _, dash in _DIRECTIONS:
        rows = known.filter(pl.col("direction") == direction)
        if rows.is_empty():
            continue
        for column, name, color in (
            ("ack_rtt_p50", "median", BLUE),
            ("ack_rtt_p99", "p99", ORANGE),
            ("ack_rtt_max", "largest", VERMILION),
        ):
            xs, ys = decimate(rows["time_ns"], rows[column])
            figure.add_scatter(
                x=as_times(xs.tolist()), y=ys, name=f"{direction}, {name}", mode="lines",
                line={"color": color, "dash": dash, "width": 1.5}, hovertemplate="%{y:,.1f} µs",
            )  # fmt: skip
    time_axis(figure, start_ns, end_ns, title_text="UTC")
    figure.update_yaxes(title_text="ACK round trip (µs)", rangemode="tozero")
    return figure
