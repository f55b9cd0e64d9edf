"""Figures of `availability`: where GPU hours go in a month, and what interrupts the job."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from fabricscope.dashboard.figures.drawing import empty_figure, escape_label, new_figure
from fabricscope.dashboard.figures.palette import COLORWAY
from fabricscope.dashboard.quantities import format_count, format_number

KINDS: Final = {
    "rework": "work done again",
    "restart": "restarts",
    "stall": "stalls",
    "checkpoint": "checkpoints",
}
_ROW_PX: Final = 30
_MARGIN_PX: Final = 120
_ROWS_LIMIT: Final = 48

Result = Mapping[str, Any]


def draw_lost_hours(results: Sequence[Result]) -> go.Figure:
    """Return the share of a month's GPU hours that each size and scheme loses, by kind."""
    shown = results[:_ROWS_LIMIT]
    whole = [_hours(result) for result in shown]
    bars = {
        label: [
            (100 * result["lost_by_kind"][kind] / hours if hours else 0.0,
             f"{format_count(result['lost_by_kind'][kind])} GPU hours")
            for result, hours in zip(shown, whole, strict=True)
        ]
        for kind, label in KINDS.items()
    }  # fmt: skip
    return _draw(shown, bars, "Share of the GPU hours of a month (%)", "Nothing is lost.")


def draw_interruptions(results: Sequence[Result]) -> go.Figure:
    """Return what interrupts the job in a month, for each 1,000 GPUs so that sizes compare."""
    shown = results[:_ROWS_LIMIT]
    causes = list(dict.fromkeys(cause for one in shown for cause in one["interruptions_by_cause"]))
    bars = {
        cause.replace("_", " "): [
            (1000 * result["interruptions_by_cause"].get(cause, 0.0) / result["gpus"],
             f"{format_number(result['interruptions_by_cause'].get(cause, 0.0))} a month")
            for result in shown
        ]
        for cause in causes
    }  # fmt: skip
    return _draw(shown, bars, "Interruptions a month for each 1,000 GPUs", "Nothing interrupts it.")


def _hours(result: Result) -> float:
    """Return the GPU hours of a month, which goodput and losses add up to."""
    missing = 1.0 - float(result["goodput"]["mean"])
    return sum(result["lost_by_kind"].values()) / missing if missing > 0 else 0.0


def _draw(
    results: Sequence[Result], bars: Mapping[str, list[tuple[float, str]]], title: str, empty: str
) -> go.Figure:
    bars = {name: values for name, values in bars.items() if any(size for size, _ in values)}
    if not bars:
        return empty_figure(empty)
    rows = [f"{result['gpus']:,} GPUs, {escape_label(result['recovery'])}" for result in results]
    figure = new_figure(
        height=_MARGIN_PX + _ROW_PX * len(rows), barmode="stack", hovermode="closest",
        legend={"traceorder": "normal"},
    )  # fmt: skip
    for place, (name, values) in enumerate(bars.items()):
        figure.add_bar(
            y=rows, x=[size for size, _ in values], orientation="h", name=escape_label(name),
            marker={"color": COLORWAY[place % len(COLORWAY)]},
            customdata=[said for _, said in values],
            hovertemplate=f"%{{y}}: {escape_label(name)} %{{customdata}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text=title, rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    return figure
