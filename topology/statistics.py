"""One number out of several repetitions: percentiles, mean, and how sure the mean is."""

import math
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["jain_index", "max_mean_ratio", "summarise"]

_T_975: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's t for a two-sided 95 % interval with 1 to 30 degrees of freedom."""


def summarise(values: Sequence[float | None]) -> Any:
    """Return the one value of a single run, else {p50, p95, max, mean, ci95} over several.

    None stands for what never happened: it is later than every number, so that percentiles that
    reach it, the maximum and the mean are None as well. ci95: interval of the mean at 95 %
    confidence by Student's t, None where a value is missing.
    """
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    ordered = sorted(math.inf if value is None else float(value) for value in values)
    mean = sum(ordered) / len(ordered)
    return {
        "p50": _known(_percentile(ordered, 0.5)),
        "p95": _known(_percentile(ordered, 0.95)),
        "max": _known(ordered[-1]),
        "mean": _known(mean),
        "ci95": _interval(ordered, mean) if math.isfinite(mean) else None,
    }


def max_mean_ratio(loads: Sequence[float]) -> float | None:
    """Return the largest load over the mean (MMR), None where there is no load."""
    total = sum(loads)
    return max(loads) * len(loads) / total if total > 0 else None


def jain_index(loads: Sequence[float]) -> float | None:
    """Return Jain's fairness index, 1 where all are equal, None where there is no load.

    (sum of x)^2 / (n * sum of x^2): Jain, Chiu, Hawe: A quantitative measure of fairness, 1984.
    """
    squares = sum(load * load for load in loads)
    return sum(loads) ** 2 / (len(loads) * squares) if squares > 0 else None


def _percentile(ordered: list[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    part = place - low
    if part == 0 or ordered[low] == ordered[high]:
        return ordered[low]
    return ordered[low] + part * (ordered[high] - ordered[low])


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(values: list[float], mean: float) -> list[float]:
    count = len(values)
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    freedom = count - 1
    t = _T_975[freedom - 1] if freedom <= len(_T_975) else 1.96 + 2.4 / freedom
    half = t * math.sqrt(variance / count)
    return [mean - half, mean + half]
