"""A job over the time of day: its iterations as bars, its bandwidth as lines."""

import datetime
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import plotly.graph_objects as go
import polars as pl

from fabricscope.dashboard.data.training import LiveJob
from fabricscope.dashboard.figures.bandwidth import SYMBOLS
from fabricscope.dashboard.figures.drawing import (
    POINTS_LIMIT,
    decimate,
    empty_figure,
    escape_label,
    new_figure,
)
from fabricscope.dashboard.figures.live_strips import as_times, time_axis
from fabricscope.dashboard.figures.palette import COLORWAY, VERMILION
from fabricscope.dashboard.quantities import (
    DECIMAL_PREFIXES,
    format_duration,
    scale,
)
from fabricscope.dashboard.spans import join_spans
from fabricscope.dashboard.training import name_collective

__all__ = ["draw_bandwidths", "draw_iterations"]

_ROW_PX: Final = 34
_MARGIN_PX: Final = 96
_LINES: Final = len(COLORWAY)
_HEIGHT_PX: Final = 320
_MARKERS: Final = 200
_PAUSE: Final = 20


def draw_iterations(job: LiveJob, start_ns: int, end_ns: int) -> go.Figure:
    """Return a bar for each iteration, a row for each collective; those held back stand out."""
    shown = _most_time(job)
    if not shown:
        return empty_figure("No iteration in this time range.")
    figure = new_figure(
        height=_MARGIN_PX + _ROW_PX * max(len(shown), 2),
        barmode="overlay", bargap=0.25, hovermode="closest", uirevision="time",
    )  # fmt: skip
    limit = POINTS_LIMIT // (2 * len(shown))
    names = _names(job, shown)
    for place, name in zip(shown, names, strict=True):
        rows = job.iterations.filter(pl.col("collective") == place)
        for held in (False, True):
            part = rows.filter((pl.col("straggler") != "") == held)
            if not part.is_empty():
                spans = list(zip(part["time_ns"], part["end_ns"], strict=True))
                color = VERMILION if held else COLORWAY[place % _LINES]
                _add_bars(figure, spans, name, color, held=held, limit=limit)
    time_axis(figure, start_ns, end_ns, title_text="UTC")
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=list(reversed(names)),
        range=[-0.5, len(shown) - 0.5], showgrid=False,
    )  # fmt: skip
    return figure


def _add_bars(
    figure: go.Figure,
    spans: Sequence[tuple[int, int]],
    name: str,
    color: str,
    *,
    held: bool,
    limit: int,
) -> None:
    """Add bars; on a time axis a bar's length is in milliseconds."""
    joined = join_spans(spans, limit).tolist()
    whole = len(joined) == len(spans)
    texts = [
        ("" if whole else "several iterations, ") + format_duration((end - begin) / 1e9)
        for begin, end in joined
    ]
    kind = "held back" if held else "as usual"
    figure.add_bar(
        orientation="h", y=[name] * len(joined), base=as_times([begin for begin, _ in joined]),
        x=[(end - begin) / 1e6 for begin, end in joined], name=kind, legendgroup=kind,
        showlegend=held and not any(trace.name == kind for trace in figure.data),
        marker={"color": color, "line": {"color": color, "width": 1},
                "pattern": {"shape": "x" if held else ""}},
        customdata=texts,
        hovertemplate=f"%{{y}}, {kind}: %{{customdata}} from %{{base}}<extra></extra>",
    )  # fmt: skip


def draw_bandwidths(job: LiveJob, start_ns: int, end_ns: int) -> go.Figure:
    """Return bus and algorithm bandwidth of the iterations over time, two lines a collective."""
    shown = [
        place for place in _most_time(job) if (job.job.collectives[place]["busbw_gbps"] or 0) > 0
    ]
    if not shown:
        return empty_figure("No iteration in this time range moved data from start to end.")
    rows = job.iterations.filter(pl.col("collective").is_in(shown))
    index, factor = scale(float(rows["busbw_gbps"].max() or 0) * 1e9, 1000)  # type: ignore[arg-type]
    unit = f"{DECIMAL_PREFIXES[index]}b/s"
    figure = new_figure(height=_HEIGHT_PX, uirevision="time", hovermode="closest")
    for place, name in zip(shown, _names(job, shown), strict=True):
        part = rows.filter(pl.col("collective") == place)
        for column, dash, what in (
            ("busbw_gbps", "solid", "busbw"),
            ("algbw_gbps", "dot", "algbw"),
        ):
            xs, ys = decimate(part["time_ns"], part[column] * 1e9 / factor, POINTS_LIMIT // 2)
            times, values = _break_pauses(xs.tolist(), ys.tolist())
            figure.add_scatter(
                x=times, y=values, name=f"{what} {name}",
                mode="lines+markers" if len(xs) <= _MARKERS else "lines",
                line={"color": COLORWAY[place % _LINES], "dash": dash, "width": 1.6},
                marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 5},
                hovertemplate=f"%{{x|%H:%M:%S}}: {what} %{{y:,.3~g}} {unit}<extra></extra>",
            )  # fmt: skip
    time_axis(figure, start_ns, end_ns, title_text="UTC")
    figure.update_yaxes(title_text=f"Bandwidth ({unit})", rangemode="tozero")
    return figure


def _break_pauses(
    times_ns: Sequence[float], values: Sequence[float]
) -> tuple[list[datetime.datetime], list[float | None]]:
    """Return the points with a break where a pause is many times longer than is usual."""
    steps = [later - sooner for sooner, later in pairwise(times_ns)]
    usual = statistics.median(steps) if steps else 0.0
    times: list[float] = []
    broken: list[float | None] = []
    for number, (time_ns, value) in enumerate(zip(times_ns, values, strict=True)):
        if number and steps[number - 1] > _PAUSE * usual:
            times.append(time_ns)
            broken.append(None)
        times.append(time_ns)
        broken.append(value)
    return as_times(times), broken


def _most_time(job: LiveJob) -> list[int]:
    """Return the collectives that are drawn: those that took most time, in order of place."""
    rows = job.iterations
    times = (
        rows.group_by("collective")
        .agg(total=(pl.col("end_ns") - pl.col("time_ns")).sum())
        .sort("total", "collective", descending=[True, False])
    )
    return sorted(times["collective"].head(_LINES).to_list())


def _names(job: LiveJob, places: Sequence[int]) -> list[str]:
    """Return a label for each collective; alike ones are numbered."""
    names = [escape_label(name_collective(job.job.collectives[place])) for place in places]
    return [
        name if names.count(name) == 1 else f"{name} ({names[:k].count(name) + 1})"
        for k, name in enumerate(names)
    ]
