"""Arithmetic on histograms with given edges: trimming, merging, cumulation, percentiles.

`edges` has one entry more than `counts`. No figures here.
"""

from collections.abc import Sequence


def percentile(edges: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Return the value below which `share` (0 to 1) of the counts lies, None without counts.

    Linear inside a bin, so the error is at most one bin.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, passed = share * total, 0
    for index, count in enumerate(counts):
        if count and passed + count >= wanted:
            inside = (wanted - passed) / count
            return edges[index] + inside * (edges[index + 1] - edges[index])
        passed += count
    return float(edges[-1])


def cumulate(counts: Sequence[int]) -> list[float]:
    """Return the share (0 to 1) that lies below each edge: one entry more than `counts`."""
    total = sum(counts) or 1
    shares, passed = [0.0], 0
    for count in counts:
        passed += count
        shares.append(passed / total)
    return shares


def trim(edges: Sequence[float], counts: Sequence[int]) -> tuple[list[float], list[int]]:
    """Return the histogram without empty bins at either end; empty if all bins are."""
    filled = [index for index, count in enumerate(counts) if count]
    if not filled:
        return [], []
    first, last = filled[0], filled[-1]
    return list(edges[first : last + 2]), list(counts[first : last + 1])


def merge_bins(
    edges: Sequence[float], counts: Sequence[int], limit: int
) -> tuple[list[float], list[int]]:
    """Return the histogram with at most `limit` bins; neighbours are added up."""
    step = -(-len(counts) // limit)
    if step <= 1:
        return list(edges), list(counts)
    merged = [sum(counts[start : start + step]) for start in range(0, len(counts), step)]
    kept = [*edges[: len(counts) : step], edges[-1]]
    return kept, merged
