"""Events over the time of day: one strip a kind above one time axis; stacked rates."""

import datetime
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fabricscope.dashboard.figures.drawing import (
    count_ticks,
    decimate,
    empty_figure,
    escape_label,
    has_values,
    new_figure,
    style,
)
from fabricscope.dashboard.quantities import DECIMAL_PREFIXES, format_duration, scale

__all__ = ["Strip", "as_times", "draw_rates", "draw_strips", "time_axis"]

STRIP_PX: Final = 96
RATES_PX: Final = 280


class Strip(NamedTuple):
    """One kind of event: its title, what is counted, its colour, and how many by time."""

    title: str
    noun: str
    color: str
    counts: Sequence[float]


def as_times(times_ns: Sequence[float]) -> list[datetime.datetime]:
    """Return times since the epoch as UTC without a zone, which is how plotly shows them as UTC."""
    epoch = datetime.datetime(1970, 1, 1)
    return [epoch + datetime.timedelta(microseconds=int(time) // 1_000) for time in times_ns]


def time_axis(figure: go.Figure, start_ns: int, end_ns: int, **where: Any) -> None:
    """Let the x axis of `figure` show the page's time range, in UTC."""
    figure.update_xaxes(
        type="date",
        range=as_times([start_ns, end_ns]),
        hoverformat="%H:%M:%S",
        tickformatstops=[
            {"dtickrange": [None, 60_000], "value": "%H:%M:%S"},
            {"dtickrange": [60_000, 86_400_000], "value": "%H:%M"},
            {"dtickrange": [86_400_000, None], "value": "%d %b"},
        ],
        **where,
    )


def draw_strips(
    times_ns: Sequence[int], strips: Sequence[Strip], interval_ns: int, start_ns: int, end_ns: int
) -> go.Figure:
    """Return a strip for each kind that occurred; the others are named below the axis."""
    seen = [strip for strip in strips if has_values(strip.counts)]
    if not seen:
        nouns = ", ".join(strip.noun for strip in strips)
        return empty_figure(f"None in this time range: {nouns}.")
    figure = make_subplots(rows=len(seen), shared_xaxes=True, vertical_spacing=0.04)
    for row, strip in enumerate(seen, 1):
        xs, ys = decimate(times_ns, strip.counts)
        figure.add_bar(
            x=as_times(xs.tolist()), y=ys, width=interval_ns / 1e6, name=strip.title,
            marker={"color": strip.color, "line": {"width": 0}}, offset=0,
            hovertemplate=f"%{{y:,.0f}} {strip.noun}<extra></extra>", row=row, col=1,
        )  # fmt: skip
        figure.update_yaxes(
            title={"text": strip.title, "font": {"size": 11}}, rangemode="tozero",
            **count_ticks(strip.counts, 3), row=row, col=1,
        )  # fmt: skip
        time_axis(figure, start_ns, end_ns, row=row, col=1)
    missing = ", ".join(strip.noun for strip in strips if strip not in seen)
    note = f"; none: {missing}" if missing else ""
    figure.update_xaxes(
        title_text=f"UTC, counts in {format_duration(interval_ns / 1e9)}{note}",
        row=len(seen), col=1,
    )  # fmt: skip
    return style(
        figure, height=STRIP_PX * len(seen) + 70, showlegend=False, bargap=0, uirevision="time"
    )


def draw_rates(
    times_ns: Sequence[int],
    series: Sequence[tuple[str, str, Sequence[float]]],
    interval_ns: int,
    start_ns: int,
    end_ns: int,
) -> go.Figure:
    """Return stacked rates. series: name, colour, and bytes by time."""
    seen = [one for one in series if has_values(one[2])]
    if not seen:
        return empty_figure("Nothing was carried in this time range.")
    seconds = interval_ns / 1e9
    total = [sum(values) for values in zip(*(one[2] for one in seen), strict=True)]
    index, factor = scale(max(total) * 8 / seconds, 1000)
    unit = f"{DECIMAL_PREFIXES[index]}b/s"
    figure = new_figure(height=RATES_PX, uirevision="time")
    for name, color, values in seen:
        xs, ys = decimate(times_ns, [value * 8 / seconds / factor for value in values])
        figure.add_scatter(
            x=as_times(xs.tolist()), y=ys, name=escape_label(name), mode="lines", stackgroup="rate",
            line={"color": color, "width": 1, "shape": "hv"},
            hovertemplate=f"%{{y:,.3~g}} {unit}",
        )  # fmt: skip
    time_axis(figure, start_ns, end_ns, title_text="UTC")
    figure.update_yaxes(title_text=unit, rangemode="tozero")
    return figure
