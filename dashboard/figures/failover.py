"""Figures of a simulated failover: timelines, breakdowns, iterations, and how values are spread."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from fabricscope.dashboard.failover import (
    STAGES,
    Document,
    central,
    result_rows,
    timeline_marks,
)
from fabricscope.dashboard.figures.drawing import (
    decimate,
    empty_figure,
    escape_label,
    new_figure,
)
from fabricscope.dashboard.figures.palette import (
    BLUE,
    COLORWAY,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from fabricscope.dashboard.quantities import format_duration, format_microseconds

STAGE_COLORS: Final = dict(zip(STAGES, (VERMILION, PURPLE, ORANGE, BLUE, GREEN), strict=True))
_MARKS: Final[dict[str, tuple[str, str]]] = {
    "detect": (VERMILION, "circle"),
    "sample": (PURPLE, "circle"),
    "notify": (ORANGE, "circle"),
    "install": (BLUE, "circle"),
    "switch": (GREEN, "circle"),
    "loss ends": (GREY, "x"),
    "transport": (SKY, "star"),
}
_ROW_PX: Final = 46
_MARGIN_PX: Final = 96
_MOST_DECADES: Final = 9
_SCHEMES_LIMIT: Final = 24
FEW_ITERATIONS: Final = 12


def draw_timelines(document: Document) -> go.Figure:
    """Return what happened when under each scheme, on one logarithmic axis since the failure."""
    results = document["results"][:_SCHEMES_LIMIT]
    rows = [(result, timeline_marks(result)) for result in results]
    times = [time_us / 1e6 for _, marks in rows for _, time_us in marks if time_us > 0]
    if not times:
        return empty_figure("No scheme answered the failure, so there is no timeline.")
    names = [escape_label(result["recovery"]) for result in results]
    figure = new_figure(
        height=_MARGIN_PX + _ROW_PX * len(rows),
        hovermode="closest",
        legend={"traceorder": "normal"},
    )
    low, high = _decades(min(times), max(times))
    for name, (_, marks) in zip(names, rows, strict=True):
        if marks:
            last = max(time_us for _, time_us in marks) / 1e6
            figure.add_scatter(
                x=[low, last], y=[name, name], mode="lines", showlegend=False, hoverinfo="skip",
                line={"color": GREY, "width": 2},
            )  # fmt: skip
    for kind, (color, symbol) in _MARKS.items():
        points = [
            (time_us / 1e6, name)
            for name, (_, marks) in zip(names, rows, strict=True)
            for mark, time_us in marks
            if mark == kind
        ]
        if points:
            figure.add_scatter(
                x=[time for time, _ in points], y=[name for _, name in points], name=kind,
                mode="markers", marker={"color": color, "symbol": symbol, "size": 11},
                customdata=[format_duration(time) for time, _ in points],
                hovertemplate=f"%{{y}}: {kind} %{{customdata}} after the failure<extra></extra>",
            )  # fmt: skip
    _time_axis(figure, low, high, "Time since the failure (log scale)")
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names)
    return figure


def draw_breakdown(document: Document) -> go.Figure:
    """Return what each convergence is made of, as shares, with its length beside the bar."""
    changed = [row for row in result_rows(document) if row["breakdown_us"]]
    rows = [row for row in changed if _total_us(row) > 0][: 2 * _SCHEMES_LIMIT]
    if not rows:
        return empty_figure("No route changed, so there is nothing to break down.")
    labels = [f"{escape_label(row['recovery'])}, {row['role']}" for row in rows]
    figure = new_figure(
        height=_MARGIN_PX + _ROW_PX * len(rows), barmode="stack", hovermode="closest",
        legend={"traceorder": "normal"},
    )  # fmt: skip
    totals = [_total_us(row) for row in rows]
    for stage in STAGES:
        values = [central(row["breakdown_us"][stage]) or 0.0 for row in rows]
        if not any(values):
            continue
        figure.add_bar(
            y=labels, orientation="h", name=stage, marker={"color": STAGE_COLORS[stage]},
            x=[100 * value / total for value, total in zip(values, totals, strict=True)],
            customdata=[format_microseconds(value) for value in values],
            hovertemplate=f"%{{y}}: {stage} %{{customdata}}, %{{x:.3~g}} %<extra></extra>",
        )  # fmt: skip
    for label, row in zip(labels, rows, strict=True):
        took = format_microseconds(central(row["convergence_us"]))
        figure.add_annotation(x=101, y=label, text=took, showarrow=False, xanchor="left")
    figure.update_xaxes(title_text="Share of the convergence (%)", range=[0, 118],
                        tickvals=[0, 25, 50, 75, 100])  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    return figure


def _total_us(row: Mapping[str, Any]) -> float:
    return sum(central(row["breakdown_us"][stage]) or 0.0 for stage in STAGES)


def draw_iterations(document: Document) -> go.Figure:
    """Return how long each iteration took under each scheme, and without failure."""
    results = document["results"][: len(COLORWAY)]
    rows = [row for result in results for row in result["iterations"]]
    if not rows:
        return empty_figure("No iteration ended.")
    several = len({row["job"] for row in rows}) > 1
    longest = max((central(row["duration_us"]) or 0.0 for row in rows), default=0.0)
    least = min(
        (value for row in rows if (value := central(row["duration_us"]) or 0.0) > 0), default=1.0
    )
    figure = new_figure(hovermode="closest")
    base = [row for row in results[0]["iterations"] if row["baseline_us"] is not None]
    single = len(base) == 1
    figure.add_scatter(
        x=[_iteration_name(row, several) for row in base],
        y=[(central(row["baseline_us"]) or 0.0) / 1e6 for row in base],
        name="no failure", mode="markers" if single else "lines+markers",
        line={"color": GREY, "dash": "dot"}, marker={"symbol": "line-ew-open", "size": 14},
        customdata=[format_microseconds(central(row["baseline_us"])) for row in base],
        hovertemplate="no failure, iteration %{x}: %{customdata}<extra></extra>",
    )  # fmt: skip
    for color, result in zip(COLORWAY, results, strict=False):
        ended = [row for row in result["iterations"] if central(row["duration_us"]) is not None]
        figure.add_scatter(
            x=[_iteration_name(row, several) for row in ended],
            y=[(central(row["duration_us"]) or 0.0) / 1e6 for row in ended],
            name=escape_label(result["recovery"]), mode="markers" if single else "lines+markers",
            line={"color": color, "width": 1.6}, marker={"color": color, "size": 9},
            customdata=[format_microseconds(central(row["duration_us"])) for row in ended],
            hovertemplate=f"{escape_label(result['recovery'])}, iteration %{{x}}: "
            "%{customdata}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(
        title_text="Iteration",
        type="category" if several or single else "linear",
        dtick=1 if len(base) <= FEW_ITERATIONS else None,
    )
    if longest > 5 * least:
        low, high = _decades(least / 1e6, longest / 1e6)
        ticks = _ticks(low, high)
        figure.update_yaxes(
            type="log", range=[math.log10(low), math.log10(high)], tickvals=ticks,
            ticktext=[format_duration(tick) for tick in ticks], title_text="Duration (log scale)",
        )  # fmt: skip
    else:
        figure.update_yaxes(
            title_text="Duration", rangemode="tozero", tickformat="~s", ticksuffix="s"
        )
    return figure


def _iteration_name(row: Mapping[str, Any], several: bool) -> str | int:
    number = int(row["iteration"]) + 1
    return f"job {row['job'] + 1}, {number}" if several else number


def draw_spread(document: Document, key: str, title: str) -> go.Figure:
    """Return the distribution of a duration over the repetitions, a curve a scheme.

    key: of `samples` in the document, microseconds.
    """
    curves = [
        (result["recovery"], sorted(value for value in result["samples"][key] if value))
        for result in document["results"][: len(COLORWAY)]
    ]
    return _draw_curves(
        [(name, values, _steps(len(values))) for name, values in curves if values],
        f"{title} (log scale)",
        "Repetitions (%)",
        "Nothing of it happened in any repetition.",
    )


def draw_transfer_times(document: Document) -> go.Figure:
    """Return how long transfers took, a curve a scheme, of one repetition."""
    curves = [
        (result["recovery"], result["transfer_us"]["times"], result["transfer_us"]["shares"])
        for result in document["results"][: len(COLORWAY)]
        if result["transfer_us"]
    ]
    return _draw_curves(
        curves,
        "End of a transfer since the start of the run (log scale)",
        "Transfers (%)",
        "The engine kept no times of single transfers.",
    )


def _steps(count: int) -> list[float]:
    return [100 * (place + 1) / count for place in range(count)]


def _draw_curves(
    curves: Sequence[tuple[str, Sequence[float], Sequence[float]]], title: str, y: str, empty: str
) -> go.Figure:
    positive = [value for _, values, _ in curves for value in values if value > 0]
    if not positive:
        return empty_figure(empty)
    figure = new_figure(hovermode="closest")
    low, high = _decades(min(positive) / 1e6, max(positive) / 1e6)
    for color, (name, values, shares) in zip(COLORWAY, curves, strict=False):
        xs, ys = decimate([value / 1e6 for value in values], shares)
        figure.add_scatter(
            x=xs, y=ys, name=escape_label(name), mode="lines+markers" if len(xs) < 40 else "lines",
            line={"shape": "hv", "color": color, "width": 1.8}, marker={"size": 5},
            customdata=[format_duration(value) for value in xs],
            hovertemplate=f"{escape_label(name)}: %{{y:.4~g}} % within %{{customdata}}"
            "<extra></extra>",
        )  # fmt: skip
    _time_axis(figure, low, high, title)
    figure.update_yaxes(title_text=y, range=[0, 104])
    return figure


def _decades(low: float, high: float) -> tuple[float, float]:
    """Return bounds in seconds around two times, at least half a decade apart from each."""
    low = max(low, high / 10.0**_MOST_DECADES)
    start = 10.0 ** math.floor(math.log10(low) - 0.05)
    end = 10.0 ** math.ceil(math.log10(high) + 0.05)
    return start, end


def _ticks(low: float, high: float) -> list[float]:
    first, last = round(math.log10(low)), round(math.log10(high))
    return [10.0**exponent for exponent in range(first, last + 1)]


def _time_axis(figure: go.Figure, low: float, high: float, title: str) -> None:
    ticks = _ticks(low, high)
    figure.update_xaxes(
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=ticks,
        ticktext=[format_duration(tick) for tick in ticks],
        tickangle=0,
        title_text=title,
    )
