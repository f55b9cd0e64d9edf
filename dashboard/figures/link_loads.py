"""How loaded the links between switches are before, during and after a failure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from fabricscope.dashboard.figures.drawing import empty_figure, escape_label, new_figure, style
from fabricscope.dashboard.figures.palette import BLUE, GREY, ORANGE

WINDOWS: Final = ("before", "during", "after")
_COLORS: Final = dict(zip(WINDOWS, (GREY, ORANGE, BLUE), strict=True))
_CELLS_LIMIT: Final = 2_000
_SIDE_LIMIT: Final = 64
_BARS_LIMIT: Final = 40
_ROW_PX: Final = 22
_MARGIN_PX: Final = 120
_NUMBER: Final = re.compile(r"\d+")

Load = Mapping[str, Any]


def draw_link_loads(loads: Sequence[Load]) -> go.Figure:
    """Return maps of utilisation, sender by receiver, one for each window.

    Fabrics too large for a map get bars of the busiest channels.
    """
    if not loads:
        return empty_figure("No channel between switches is listed.")
    senders = _by_kind(load["from"] for load in loads)
    receivers = _by_kind(load["to"] for load in loads)
    large = len(senders) * len(receivers) > _CELLS_LIMIT
    if large or max(len(senders), len(receivers)) > _SIDE_LIMIT:
        return _draw_bars(loads)
    windows = [window for window in WINDOWS if any(load[window] is not None for load in loads)]
    figure = make_subplots(
        cols=len(windows), subplot_titles=[window.capitalize() for window in windows],
        shared_yaxes=True, horizontal_spacing=0.03,
    )  # fmt: skip
    rows = {name: place for place, name in enumerate(senders)}
    columns = {name: place for place, name in enumerate(receivers)}
    for place, window in enumerate(windows, 1):
        cells: list[list[float | None]] = [[None] * len(receivers) for _ in senders]
        for load in loads:
            if load[window] is not None:
                before = cells[rows[load["from"]]][columns[load["to"]]] or 0.0
                value = max(before, 100 * load[window])
                cells[rows[load["from"]]][columns[load["to"]]] = value
        figure.add_heatmap(
            z=cells, x=[escape_label(name) for name in receivers],
            y=[escape_label(name) for name in senders], coloraxis="coloraxis",
            hovertemplate=f"%{{y}} to %{{x}}, {window}: %{{z:.3~g}} %<extra></extra>",
            xgap=1, ygap=1, row=1, col=place,
        )  # fmt: skip
    style(
        figure,
        height=_MARGIN_PX + _ROW_PX * max(len(senders), 6),
        hovermode="closest",
        coloraxis={"cmin": 0, "cmax": 100, "colorbar": {"title": {"text": "Load (%)"}, "len": 1}},
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
    )
    figure.update_xaxes(showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _by_kind(names: Iterable[str]) -> list[str]:
    """Return distinct names, those of a kind together and by number: leaf2 before leaf10."""
    found = list(dict.fromkeys(names))
    kinds = list(dict.fromkeys(_NUMBER.sub("", name) for name in found))

    def key(name: str) -> tuple[int, list[int]]:
        return kinds.index(_NUMBER.sub("", name)), [int(part) for part in _NUMBER.findall(name)]

    return sorted(found, key=key)


def _draw_bars(loads: Sequence[Load]) -> go.Figure:
    busiest = sorted(
        loads, key=lambda load: -max(load[window] or 0.0 for window in WINDOWS)
    )[:_BARS_LIMIT]  # fmt: skip
    figure = new_figure(
        height=_MARGIN_PX + _ROW_PX * len(busiest), barmode="group", hovermode="closest"
    )
    names = [escape_label(f"{load['from']} to {load['to']}") for load in busiest]
    for window in WINDOWS:
        values = [None if load[window] is None else 100 * load[window] for load in busiest]
        if any(value is not None for value in values):
            figure.add_bar(
                y=names, x=values, orientation="h", name=window,
                marker={"color": _COLORS[window]},
                hovertemplate=f"%{{y}}, {window}: %{{x:.3~g}} %<extra></extra>",
            )  # fmt: skip
    figure.update_xaxes(title_text="Load (%)", rangemode="tozero")
    figure.update_yaxes(autorange="reversed")
    return figure
