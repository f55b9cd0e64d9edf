"""How fast each iteration of a job's collectives was: bus bandwidth."""

from typing import Final

import plotly.graph_objects as go

from fabricscope.dashboard.figures.drawing import (
    TALL_PX,
    decimate,
    empty_figure,
    escape_label,
    new_figure,
)
from fabricscope.dashboard.figures.palette import COLORWAY
from fabricscope.dashboard.quantities import DECIMAL_PREFIXES, scale
from fabricscope.dashboard.training import Job, bus_bandwidths_gbps, name_collective

SYMBOLS: Final = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star")
MARKERS_LIMIT: Final = 200
"""With more iterations a line says more than its points."""


def draw_bus_bandwidth(job: Job) -> go.Figure:
    """Return the bus bandwidth of each iteration, a line a collective.

    Of many collectives those with the most bytes are drawn.
    """
    known = []
    for collective in job.collectives:
        rates = [
            (number, rate * 1e9)
            for number, rate in enumerate(bus_bandwidths_gbps(collective), 1)
            if rate is not None
        ]
        if rates:
            known.append((collective, rates))
    if not known:
        return empty_figure("No iteration moved data from start to end, so there is no bandwidth.")
    known.sort(key=lambda item: -(item[0].get("message_bytes") or 0) * len(item[1]))
    hidden = len(known) - len(COLORWAY)
    known = known[: len(COLORWAY)]
    index, factor = scale(max(rate for _, rates in known for _, rate in rates), 1000)
    unit = f"{DECIMAL_PREFIXES[index]}b/s"
    figure = new_figure(height=TALL_PX, legend={"yanchor": "top", "y": -0.18})
    for place, (collective, rates) in enumerate(known):
        xs, ys = decimate([n for n, _ in rates], [rate / factor for _, rate in rates])
        figure.add_scatter(
            x=xs,
            y=ys,
            name=escape_label(name_collective(collective)),
            showlegend=True,
            mode="lines+markers" if len(rates) <= MARKERS_LIMIT else "lines",
            line={"color": COLORWAY[place], "width": 1.6},
            marker={"symbol": SYMBOLS[place], "size": 6},
            hovertemplate=f"%{{y:,.3~f}} {unit}",
        )
    left_out = f"; {hidden:,} smaller collectives not drawn" if hidden > 0 else ""
    most = max(number for _, rates in known for number, _ in rates)
    figure.update_xaxes(
        title_text=f"Iteration{left_out}", range=[0.5, most + 0.5], tickformat=",d",
        dtick=1 if most <= 12 else None,
    )  # fmt: skip
    figure.update_yaxes(title_text=f"Bus bandwidth ({unit})", rangemode="tozero")
    return figure
