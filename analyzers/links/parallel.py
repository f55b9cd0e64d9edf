"""How unevenly links that share their traffic are loaded."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["imbalance"]

LEAST_SHARE: Final = 0.02
"""Mean utilization of a group from which its spread says anything: below, one flow decides."""


def imbalance(
    groups: Sequence[str], load: NDArray[np.float64], rate: NDArray[np.float64], length_ns: int
) -> NDArray[np.float64]:
    """Return how many times the mean of its group each link carries, NaN where that says nothing.

    groups: one name a row; rows of different directions have different names. load: bytes; rate:
    Gb/s. Members are compared by the share of their rate, so that unequal rates are not unequal
    load. A group of one, and one that is nearly idle, has none.
    """
    result = np.full(len(groups), np.nan)
    if not groups:
        return result
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    share = load * 8 / (rate * max(length_ns, 1))
    known = ~np.isnan(share)
    members = np.bincount(place[known], minlength=place.max() + 1)
    total = np.bincount(place[known], share[known], minlength=place.max() + 1)
    mean = total / np.maximum(members, 1)
    use = known & (members[place] > 1) & (mean[place] >= LEAST_SHARE)
    result[use] = share[use] / mean[place][use]
    return result
