"""Who sends to whom in a job: its ranks on a circle, the straggler marked."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go

from fabricscope.dashboard.figures.drawing import (
    POINTS_LIMIT,
    TALL_PX,
    empty_figure,
    escape_label,
    new_figure,
)
from fabricscope.dashboard.figures.palette import BLUE, GREY, VERMILION
from fabricscope.dashboard.training import Edge, Job, Suspect, slow_edges, suspects

RANKS_LIMIT: Final = 128
ARROWS_LIMIT: Final = 160
"""Past it edges are plain lines: arrow heads would hide each other."""
LABELS_LIMIT: Final = 32
EDGES_LIMIT: Final = POINTS_LIMIT // 3
"""An edge takes three points of its trace: both ends and a break."""
_NODE_GAP_PX: Final = 14

Place = tuple[float, float]


def draw_ranks(job: Job, edges: Sequence[Edge]) -> go.Figure:
    """Return the ranks and the `edges` between them; stragglers and slow links stand out.

    A straggler is a diamond with its trouble in words beside it, a slow link a thick dashed line.
    """
    ranks = job.ranks
    if not edges or len(ranks) > RANKS_LIMIT:
        note = (
            f"{len(ranks):,} ranks are too many to draw; the collectives table has the straggler."
            if edges
            else "Nobody was seen sending to another rank, so there is no graph."
        )
        return empty_figure(note)
    marks = {suspect.ip: suspect for suspect in suspects(job)}
    slow = {edge for suspect in marks.values() for edge in slow_edges(suspect, edges)}
    places = _circle(ranks)
    figure = new_figure(
        height=TALL_PX, hovermode="closest", showlegend=bool(marks) or len(edges) > EDGES_LIMIT
    )
    _add_edges(figure, [edge for edge in edges if edge not in slow], places, GREY, "solid", 1.4)
    _add_edges(figure, sorted(slow), places, VERMILION, "dash", 3.2)
    _add_nodes(figure, ranks, places, marks)
    # Equal units on both axes keep the circle round; the range leaves room for the labels.
    figure.update_xaxes(visible=False, range=[-2.1, 2.1])
    figure.update_yaxes(visible=False, range=[-1.35, 1.35], scaleanchor="x")
    return figure


def _circle(ranks: Sequence[str]) -> dict[str, Place]:
    """Return a place for each rank, clockwise from the top."""
    angles = [math.tau * index / len(ranks) for index in range(len(ranks))]
    return {
        rank: (math.sin(angle), math.cos(angle)) for rank, angle in zip(ranks, angles, strict=True)
    }


def _add_edges(
    figure: go.Figure,
    edges: Sequence[Edge],
    places: Mapping[str, Place],
    color: str,
    dash: str,
    width: float,
) -> None:
    """Add lines; of two opposite edges one line with a head at both ends."""
    if not edges:
        return
    known = set(edges)
    drawn = [edge for edge in edges if edge[::-1] not in known or edge < edge[::-1]]
    named = "Slow link" if dash == "dash" else "Data"
    if len(drawn) > EDGES_LIMIT:
        named += f" ({EDGES_LIMIT:,} of {len(drawn):,} lines)"
    xs: list[float | None] = []
    ys: list[float | None] = []
    for one, other in drawn[:EDGES_LIMIT]:
        xs += [places[one][0], places[other][0], None]
        ys += [places[one][1], places[other][1], None]
    figure.add_scatter(
        x=xs,
        y=ys,
        mode="lines",
        line={"color": color, "width": width, "dash": dash},
        name=named,
        hoverinfo="skip",
    )
    for edge in drawn if len(drawn) <= ARROWS_LIMIT else ():
        (x0, y0), (x1, y1) = places[edge[0]], places[edge[1]]
        figure.add_annotation(
            x=x1, y=y1, ax=x0, ay=y0, axref="x", ayref="y", text="", showarrow=True,
            arrowhead=2, arrowsize=1.1, arrowwidth=max(width * 0.8, 1.2), arrowcolor=color,
            standoff=_NODE_GAP_PX, startstandoff=_NODE_GAP_PX,
            arrowside="end+start" if edge[::-1] in known else "end",
        )  # fmt: skip


def _add_nodes(
    figure: go.Figure,
    ranks: Sequence[str],
    places: Mapping[str, Place],
    marks: Mapping[str, Suspect],
) -> None:
    for marked in (False, True):
        group = [rank for rank in ranks if (rank in marks) == marked]
        if not group:
            continue
        labelled = marked or len(ranks) <= LABELS_LIMIT
        figure.add_scatter(
            x=[places[rank][0] for rank in group],
            y=[places[rank][1] for rank in group],
            mode="markers+text" if labelled else "markers",
            marker={
                "size": 19 if marked else 15,
                "symbol": "diamond" if marked else "circle",
                "color": VERMILION if marked else BLUE,
            },
            text=[_label(rank, marks.get(rank)) for rank in group],
            textposition=[_beside(places[rank]) for rank in group],
            name="Straggler" if marked else "Rank",
            cliponaxis=False,
            hovertext=[escape_label(rank) for rank in group],
            hovertemplate="%{hovertext}<extra></extra>",
        )


def _label(rank: str, suspect: Suspect | None) -> str:
    trouble = f"<br><b>{escape_label(suspect.label)}</b>" if suspect else ""
    return f" {escape_label(rank)} {trouble}"


def _beside(place: Place) -> str:
    """Return the side of a node on which its label points outwards."""
    x, y = place
    if abs(x) < 0.2:
        return "top center" if y > 0 else "bottom center"
    return "middle right" if x > 0 else "middle left"
