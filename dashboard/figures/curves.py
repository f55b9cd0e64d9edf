"""How many bytes each host had sent by when: a slow link climbs where the others jump."""

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from fabricscope.dashboard.figures.drawing import decimate, empty_figure, escape_label, new_figure
from fabricscope.dashboard.figures.palette import BLUE, GREY, VERMILION
from fabricscope.dashboard.quantities import BINARY_PREFIXES, scale, time_unit

__all__ = ["draw_curves"]

_HEIGHT_PX: Final = 260
_DASHES: Final = ("solid", "dot", "dash", "dashdot", "longdash", "longdashdot")

Curve = tuple[str, Sequence[int], Sequence[int]]


def draw_curves(curves: Sequence[Curve], start_ns: int, marked: str = "") -> go.Figure:
    """Return a line for each sender since `start_ns`. marked: the host in question."""
    if not curves:
        return empty_figure("No packet in this stretch of time.")
    length_s = max(max(times[-1] - start_ns for _, times, _ in curves) / 1e9, 1e-9)
    unit, factor = time_unit(length_s)
    index, size = scale(max(sums[-1] for _, _, sums in curves), 1024)
    figure = new_figure(height=_HEIGHT_PX, hovermode="closest")
    ordered = sorted(curves, key=lambda curve: curve[0] == marked)
    for number, (name, times, sums) in enumerate(ordered):
        here = name == marked
        xs, ys = decimate(
            [(time - start_ns) / 1e9 / factor for time in times], [one / size for one in sums]
        )
        figure.add_scatter(
            x=xs, y=ys, name=escape_label(name), mode="lines",
            line={
                "shape": "hv", "width": 3 if here else 1.4,
                "color": VERMILION if here else GREY if marked else BLUE,
                "dash": "solid" if here else _DASHES[number % len(_DASHES)],
            },
            hovertemplate=f"%{{y:,.3~g}} {BINARY_PREFIXES[index]}B after %{{x:,.4~g}} {unit}",
        )  # fmt: skip
    figure.update_xaxes(title_text=f"Time ({unit})")
    figure.update_yaxes(title_text=f"Sent ({BINARY_PREFIXES[index]}B)", rangemode="tozero")
    return figure
