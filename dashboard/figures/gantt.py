"""When the ranks of a job communicated: a bar an iteration, a row a rank."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from fabricscope.dashboard.figures.drawing import (
    HEIGHT_PX,
    POINTS_LIMIT,
    empty_figure,
    escape_label,
    new_figure,
)
from fabricscope.dashboard.figures.palette import COLORWAY, GREY
from fabricscope.dashboard.quantities import format_duration, time_unit
from fabricscope.dashboard.spans import extent, join_spans
from fabricscope.dashboard.training import Job, name_collective, spans_of, suspects

ROWS_LIMIT: Final = 64
ROW_PX: Final = 22
TRACES_LIMIT: Final = len(COLORWAY) - 1
"""The last colour is that of the checkpoints."""
ITERATIONS_SHOWN: Final = 40
"""With more iterations than twice this, the figure opens on the first of them."""

FAR_FACTOR: Final = 100
"""A job that begins later than this many times its length has a time axis of its own."""

PATTERNS: Final = ("", "/", "", "\\", "", "x")
"""Hatching of neighbouring colours, for readers who cannot tell them apart."""


def draw_gantt(job: Job, start_ns: int) -> go.Figure:
    """Return the iterations of a job's collectives over time since `start_ns`.

    A row is a rank where the document tells the ranks apart, else all of them. Of more than
    `TRACES_LIMIT` collectives those with the most time are drawn, of more than `ROWS_LIMIT` ranks
    the first ones and the straggler.
    """
    shown = sorted(job.collectives, key=_time_ns, reverse=True)[:TRACES_LIMIT]
    seen = extent([spans_of(collective) for collective in shown])
    if seen is None:
        return empty_figure("No iteration was seen from start to end, so there is no timeline.")
    rows = _rows(job)
    since = "the first packet"
    if seen[0] - start_ns > FAR_FACTOR * (seen[1] - seen[0]):
        since = f"{format_duration((seen[0] - start_ns) / 1e9)} after {since}"
        start_ns = seen[0]
    unit, factor = time_unit((seen[1] - start_ns) / 1e9)
    figure = new_figure(
        height=max(HEIGHT_PX // 2, 120 + ROW_PX * len(rows)),
        barmode="overlay",
        bargap=0.3,
        hovermode="closest",
    )
    for index, collective in enumerate(shown):
        _add_bars(figure, collective, rows, start_ns, factor * 1e9, index)
    _add_checkpoints(figure, job, rows, start_ns, factor * 1e9)
    hidden = len(job.collectives) - len(shown)
    left_out = f"; {hidden:,} shorter collectives not drawn" if hidden > 0 else ""
    unlisted = max((one.get("rank_spans_left_out") or 0 for one in shown), default=0)
    if len(rows) > 1 and unlisted:
        left_out += f"; the last {unlisted:,} iterations not drawn"
    few = f"; {len(rows)} of {len(job.ranks):,} ranks" if 1 < len(rows) < len(job.ranks) else ""
    figure.update_xaxes(
        title_text=f"Time since {since} ({unit}){few}{left_out}",
        range=_opening_range(shown, seen, start_ns, factor * 1e9),
    )
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=list(reversed(rows.values())),
        range=[-0.5, len(rows) - 0.5],
        showgrid=False,
    )
    return figure


def _time_ns(collective: Mapping[str, Any]) -> int:
    return sum(end - start for start, end in spans_of(collective))


def _rows(job: Job) -> dict[str, str]:
    """Return the label of each row by rank; one row named '' for all where ranks are not told."""
    if not any(collective.get("rank_spans") for collective in job.collectives):
        return {"": f"all {len(job.ranks):,} ranks"}
    marks = {suspect.ip: suspect.label for suspect in suspects(job)}
    ranks = [rank for rank in job.ranks if rank in marks][:ROWS_LIMIT]
    ranks += [rank for rank in job.ranks if rank not in marks][: ROWS_LIMIT - len(ranks)]
    return {
        rank: f"<b>▲ {escape_label(rank)} {escape_label(marks[rank])}</b>"
        if rank in marks
        else escape_label(rank)
        for rank in sorted(ranks, key=job.ranks.index)
    }


def _spans_by_row(
    collective: Mapping[str, Any], rows: Mapping[str, str]
) -> dict[str, Sequence[Sequence[int]]]:
    by_rank = collective.get("rank_spans") or {}
    if "" in rows:
        return {"": spans_of(collective)}
    return {rank: by_rank[rank] for rank in rows if by_rank.get(rank)}


def _add_bars(
    figure: go.Figure,
    collective: Mapping[str, Any],
    rows: Mapping[str, str],
    start_ns: int,
    unit_ns: float,
    index: int,
) -> None:
    groups = _spans_by_row(collective, rows)
    limit = POINTS_LIMIT // max(len(groups), 1)
    labels: list[str] = []
    texts: list[str] = []
    parts: list[NDArray[np.int64]] = []
    for rank, spans in groups.items():
        joined = join_spans(spans, limit)
        whole = len(joined) == len(spans)
        parts.append(joined)
        labels += [rows[rank]] * len(joined)
        texts += [
            (f"iteration {number}" if whole else "several iterations")
            + f", {format_duration((end - begin) / 1e9)}"
            for number, (begin, end) in enumerate(joined.tolist(), 1)
        ]
    if not parts:
        return
    table = np.concatenate(parts)
    color = COLORWAY[index]
    figure.add_bar(
        orientation="h",
        y=labels,
        base=((table[:, 0] - start_ns) / unit_ns).tolist(),
        x=((table[:, 1] - table[:, 0]) / unit_ns).tolist(),
        name=escape_label(name_collective(collective)),
        showlegend=True,
        # The line keeps bars visible that are narrower than a pixel.
        marker={
            "color": color,
            "line": {"color": color, "width": 1},
            "pattern": {"shape": PATTERNS[index]},
        },
        customdata=texts,
        hovertemplate="%{y}: %{customdata}<br>from %{base:,.6~g}<extra>%{fullData.name}</extra>",
    )


def _add_checkpoints(
    figure: go.Figure, job: Job, rows: Mapping[str, str], start_ns: int, unit_ns: float
) -> None:
    """Add a grey bar for each checkpoint, in the row of the rank that wrote it."""
    written = [
        (rows.get(str(one.get("rank")), rows.get("")), one["start_ns"], one["end_ns"])
        for one in job.entry.get("checkpoints") or []
        if one.get("start_ns") and one.get("end_ns")
    ]
    bars = [bar for bar in written if bar[0] is not None][:POINTS_LIMIT]
    if bars:
        figure.add_bar(
            orientation="h",
            y=[label for label, _, _ in bars],
            base=[(start - start_ns) / unit_ns for _, start, _ in bars],
            x=[(end - start) / unit_ns for _, start, end in bars],
            name="Checkpoint",
            showlegend=True,
            marker={"color": GREY, "line": {"color": GREY, "width": 1}, "pattern": {"shape": "."}},
            customdata=[format_duration((end - start) / 1e9) for _, start, end in bars],
            hovertemplate="%{y}: %{customdata}<extra>%{fullData.name}</extra>",
        )


def _opening_range(
    shown: Sequence[Mapping[str, Any]], seen: tuple[int, int], start_ns: int, unit_ns: float
) -> list[float]:
    """Return the part of the time axis that is shown first, with a margin."""
    starts = sorted(start for collective in shown for start, _ in spans_of(collective))
    end = starts[ITERATIONS_SHOWN] if len(starts) > 2 * ITERATIONS_SHOWN else seen[1]
    margin = 0.01 * (end - seen[0])
    return [(seen[0] - margin - start_ns) / unit_ns, (end + margin - start_ns) / unit_ns]
