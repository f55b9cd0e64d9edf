"""Which hosts use which applications, and how these behave: a flow of bytes from left to right."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

from fabricscope.dashboard.figures.drawing import TALL_PX, empty_figure, escape_label, new_figure
from fabricscope.dashboard.figures.palette import BLUE, COLORWAY, GREY
from fabricscope.dashboard.quantities import format_bytes

__all__ = ["draw_sankey"]

HOSTS: Final = 12
APPLICATIONS: Final = 10
BEHAVIOURS: Final = 8
SMALLEST_PART: Final = 0.01
"""Of all bytes: names of smaller ones would lie upon each other."""

_UNCLEAR: Final = "unclear"
_FADED: Final = "66"
"""Opacity of links, as two more digits of a colour."""


def draw_sankey(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return host to application to behaviour by bytes; small ones are one node named others.

    rows: with src, application, behaviour (None while unclear) and bytes.
    """
    rows = [row for row in rows if row["bytes"]]
    if not rows:
        return empty_figure("No traffic was looked at in this time range.")
    columns = [
        _choose(rows, "src", HOSTS, "hosts"),
        _choose(rows, "application", APPLICATIONS, "applications"),
        _choose(rows, "behaviour", BEHAVIOURS, "behaviours"),
    ]
    labels: list[str] = []
    places: list[dict[str, int]] = []
    for names in columns:
        known = list(dict.fromkeys(names.values()))
        places.append({name: len(labels) + number for number, name in enumerate(known)})
        labels += known
    volumes: dict[tuple[int, int, int], int] = {}
    for row in rows:
        host, application, behaviour = (
            place[names[str(row[key] or _UNCLEAR)]]
            for place, names, key in zip(
                places, columns, ("src", "application", "behaviour"), strict=True
            )
        )
        for ends in ((host, application), (application, behaviour)):
            key = (*ends, application)
            volumes[key] = volumes.get(key, 0) + int(row["bytes"])
    figure = new_figure(
        height=TALL_PX, hovermode="closest", margin={"l": 4, "r": 4, "t": 8, "b": 8}
    )
    figure.add_sankey(**_trace(labels, volumes, places))
    return figure


def _choose(rows: Sequence[Mapping[str, Any]], key: str, limit: int, kind: str) -> dict[str, str]:
    """Return the node of each name: its own for the largest ones, else that of the others."""
    sizes: dict[str, int] = {}
    for row in rows:
        name = str(row[key] or _UNCLEAR)
        sizes[name] = sizes.get(name, 0) + int(row["bytes"])
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    least = SMALLEST_PART * sum(sizes.values())
    shown = sum(sizes[name] >= least for name in order[:limit])
    rest = len(order) - shown
    # One that is small has no less room under its own name.
    shown += rest == 1
    return {
        name: name.replace("_", " ") if number < shown else f"{rest:,} other {kind}"
        for number, name in enumerate(order)
    }


def _trace(
    labels: Sequence[str], volumes: Mapping[tuple[int, int, int], int], places: Sequence[Any]
) -> dict[str, Any]:
    colors = [BLUE] * len(places[0])
    applications = dict(zip(places[1].values(), _colors(places[1]), strict=True))
    colors += [*applications.values(), *([GREY] * len(places[2]))]
    shown = [escape_label(label) for label in labels]
    return {
        "node": {"label": shown, "color": colors, "pad": 12, "thickness": 14, "line": {"width": 0},
                 "hovertemplate": "%{label}: %{customdata}<extra></extra>",
                 "customdata": _totals(len(labels), volumes)},
        "link": {
            "source": [source for source, _, _ in volumes],
            "target": [target for _, target, _ in volumes],
            "value": list(volumes.values()),
            "color": [applications[middle] + _FADED for _, _, middle in volumes],
            "customdata": [format_bytes(size) for size in volumes.values()],
            "hovertemplate": "%{source.label} to %{target.label}: %{customdata}<extra></extra>",
        },
        "textfont": {"size": 12},
    }  # fmt: skip


def _colors(applications: Mapping[str, int]) -> list[str]:
    return [
        GREY if name == "unknown" else COLORWAY[number % (len(COLORWAY) - 1)]
        for number, name in enumerate(applications)
    ]


def _totals(count: int, volumes: Mapping[tuple[int, int, int], int]) -> list[str]:
    """Return what passes through each node: the larger of what comes in and goes out."""
    into, out = [0] * count, [0] * count
    for (source, target, _), size in volumes.items():
        out[source] += size
        into[target] += size
    return [format_bytes(max(pair)) for pair in zip(into, out, strict=True)]
