"""What happened when: throughput, and the events of loss and congestion, over capture time."""

from collections.abc import Mapping
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fabricscope.dashboard.figures.drawing import (
    HEIGHT_PX,
    count_ticks,
    decimate,
    empty_figure,
    has_values,
    new_figure,
    seconds_axis,
    style,
)
from fabricscope.dashboard.figures.palette import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
)
from fabricscope.dashboard.quantities import DECIMAL_PREFIXES, format_duration, scale

EVENTS: Final = {
    "retransmissions": ("Retransmitted", "retransmissions", VERMILION),
    "naks": ("NAK", "NAKs", ORANGE),
    "ecn_marked": ("ECN-marked", "ECN marks", BLUE),
    "cnps": ("CNP", "CNPs", PURPLE),
    "pause_frames": ("Pause", "pause frames", GREY),
}
"""Timeline columns of loss and congestion: title, noun and colour."""


def draw_throughput(timeline: Mapping[str, Any]) -> go.Figure:
    """Return bits per second on the wire and of RDMA payload, over capture time.

    `timeline` is the part of the document: `bin_ns`, `wire_bytes`, `rdma_payload_bytes`.
    """
    wire = timeline.get("wire_bytes") or []
    if not has_values(wire):
        return empty_figure("No packets with a time stamp, so no throughput over time.")
    bin_s = timeline["bin_ns"] / 1e9
    x, unit = seconds_axis(len(wire), timeline["bin_ns"])
    index, factor = scale(max(wire) * 8 / bin_s, 1000)
    rate_unit = f"{DECIMAL_PREFIXES[index]}b/s"
    figure = new_figure()
    series = (
        ("On the wire", wire, SKY, "tozeroy"),
        ("RDMA payload", timeline.get("rdma_payload_bytes") or [], GREEN, "none"),
    )
    for name, values, color, fill in series:
        if not has_values(values):
            continue
        xs, ys = decimate(x, [value * 8 / bin_s / factor for value in values])
        figure.add_scatter(
            x=xs,
            y=ys,
            name=name,
            mode="lines",
            line={"color": color, "width": 1.6, "shape": "hv"},
            fill=fill,
            hovertemplate=f"%{{y:,.3~f}} {rate_unit}",
        )
    figure.update_xaxes(title_text=f"Time since the first packet ({unit})")
    figure.update_yaxes(
        title_text=f"Throughput ({rate_unit}), {format_duration(bin_s)} bins", rangemode="tozero"
    )
    return figure


def draw_events(timeline: Mapping[str, Any]) -> go.Figure:
    """Return loss and congestion events per bin, one strip a kind, above one time axis.

    Kinds that never occurred get no strip but are named in the note below the axis.
    """
    seen = [name for name in EVENTS if has_values(timeline.get(name))]
    known = [name for name in EVENTS if timeline.get(name) is not None]
    if not seen:
        kinds = ", ".join(EVENTS[name][1] for name in known)
        return empty_figure(f"None seen: {kinds}." if kinds else "No packets with a time stamp.")
    figure = make_subplots(rows=len(seen), shared_xaxes=True, vertical_spacing=0.035)
    x, unit = seconds_axis(len(timeline[seen[0]]), timeline["bin_ns"])
    for row, name in enumerate(seen, 1):
        label, noun, color = EVENTS[name]
        xs, ys = decimate(x, timeline[name])
        figure.add_scatter(
            x=xs,
            y=ys,
            name=label,
            mode="lines",
            fill="tozeroy",
            line={"color": color, "width": 1.4, "shape": "hv"},
            hovertemplate=f"%{{y:,.0f}} {noun}<extra></extra>",
            row=row,
            col=1,
        )
        figure.update_yaxes(
            title={"text": label, "font": {"size": 11}}, rangemode="tozero",
            **count_ticks(timeline[name], 4), row=row, col=1,
        )  # fmt: skip
    missing = ", ".join(EVENTS[name][1] for name in known if name not in seen)
    bin_text = format_duration(timeline["bin_ns"] / 1e9)
    note = f"; none: {missing}" if missing else ""
    figure.update_xaxes(
        title_text=f"Time since the first packet ({unit}), packets per {bin_text}{note}",
        row=len(seen),
        col=1,
    )
    return style(figure, height=max(HEIGHT_PX, 100 * len(seen) + 60), showlegend=False)
