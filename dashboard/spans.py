"""Arithmetic on spans of time: joining neighbours, and how full each stretch is. No figures here.

A span is a pair [start_ns, end_ns]; lists of spans are in order of start.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def join_spans(spans: ArrayLike, limit: int) -> NDArray[np.int64]:
    """Return at most `limit` spans, shape (n, 2) in ns; those with the shortest pauses are joined.

    Overlapping spans count as a pause of nothing, so they are joined first.
    """
    table = _as_table(spans)
    if len(table) <= limit:
        return table
    ends = np.maximum.accumulate(table[:, 1])
    pauses = table[1:, 0] - ends[:-1]
    breaks = np.sort(np.argsort(-pauses, kind="stable")[: max(limit, 1) - 1]) + 1
    starts = np.concatenate(([0], breaks))
    stops = np.concatenate((breaks, [len(table)]))
    return np.stack((table[starts, 0], ends[stops - 1]), axis=1)


def cover(spans: ArrayLike, start_ns: int, end_ns: int, stretches: int) -> list[float]:
    """Return which share (0 to 1) of each equal stretch from start to end is inside a span."""
    if end_ns <= start_ns or stretches < 1:
        return [0.0] * max(stretches, 0)
    table = _merge(_as_table(spans))
    edges = start_ns + (end_ns - start_ns) * np.arange(stretches + 1) / stretches
    # Time inside spans up to a moment, as a curve with corners at the spans' ends.
    corners = np.concatenate(([-np.inf], table.reshape(-1).astype(np.float64), [np.inf]))
    lengths = np.concatenate(([0.0], np.cumsum(table[:, 1] - table[:, 0], dtype=np.float64)))
    passed = np.searchsorted(corners[1:-1], edges, side="right")
    whole = lengths[(passed + 1) // 2]
    open_part = np.where(passed % 2 == 1, corners[np.minimum(passed + 1, len(corners) - 1)], edges)
    inside = whole - (open_part - edges)
    width = (end_ns - start_ns) / stretches
    return [float(share) for share in np.clip(np.diff(inside) / width, 0.0, 1.0)]


def extent(groups: Sequence[ArrayLike]) -> tuple[int, int] | None:
    """Return the first start and the last end of all spans in `groups`, None without any."""
    tables = [table for table in map(_as_table, groups) if len(table)]
    if not tables:
        return None
    return min(int(t[:, 0].min()) for t in tables), max(int(t[:, 1].max()) for t in tables)


def _as_table(spans: ArrayLike) -> NDArray[np.int64]:
    table = np.asarray(spans, np.int64).reshape(-1, 2)
    return table[np.argsort(table[:, 0], kind="stable")]


def _merge(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return spans that do not overlap and cover the same time."""
    if len(table) < 2:
        return table
    ends = np.maximum.accumulate(table[:, 1])
    breaks = np.flatnonzero(table[1:, 0] > ends[:-1]) + 1
    starts = np.concatenate(([0], breaks))
    stops = np.concatenate((breaks, [len(table)]))
    return np.stack((table[starts, 0], ends[stops - 1]), axis=1)
