"""Sets of times as sorted, disjoint, half-open intervals (from, until); until may be inf."""

from collections.abc import Iterable

__all__ = ["Intervals", "intersect", "subtract", "unite"]

Intervals = tuple[tuple[float, float], ...]


def unite(parts: Iterable[Intervals]) -> Intervals:
    """Return the times that lie in at least one of `parts`."""
    out: list[tuple[float, float]] = []
    for start, end in sorted(interval for part in parts for interval in part):
        if end <= start:
            continue
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return tuple(out)


def subtract(times: Intervals, without: Intervals) -> Intervals:
    """Return the times in `times` that do not lie in `without`."""
    if not without:
        return times
    out: list[tuple[float, float]] = []
    for start, end in times:
        rest = start
        for from_ns, until_ns in without:
            if until_ns <= rest or from_ns >= end:
                continue
            if from_ns > rest:
                out.append((rest, from_ns))
            rest = max(rest, until_ns)
        if rest < end:
            out.append((rest, end))
    return tuple(out)


def intersect(first: Intervals, second: Intervals) -> Intervals:
    """Return the times that lie in both."""
    return tuple(
        (max(a, c), min(b, d)) for a, b in first for c, d in second if max(a, c) < min(b, d)
    )
