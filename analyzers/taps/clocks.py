"""Clock difference of two taps from the packets that both saw.

A packet that passes tap a and then tap b is seen there with the difference d = offset + delay,
one that passes b first with d = offset - delay. Delays are not negative, so the least d of the
first kind bounds the offset from above and the greatest of the second from below; the midpoint
is the estimate and half the distance its error, as in NTP (RFC 5905, section 8) with the least
round trip. Bounds that sink or rise together show drift, found on their lower and upper edges
(after Moon, Skelly and Towsley, "Estimation and removal of clock skew", INFOCOM 1999).

Times are float nanoseconds relative to coarse offsets and an epoch that the caller takes away.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TREND_BINS: Final = 32
_OUTLIER_SPREADS: Final = 20.0
_OUTLIER_FLOOR_NS: Final = 1e6
_OUTLIER_SHARE: Final = 1000
_DRIFT_BINS: Final = 16
_DRIFT_LEAST_BINS: Final = 8
_DRIFT_SIGMAS: Final = 4.0
_ONE_WAY_SIGMAS: Final = 8.0
_CONTRADICTION_NS: Final = 1e3
_LARGEST_DRIFT: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Differences:
    """What two taps a and b saw of the same packets, one row each."""

    since_ns: Floats  # time of the packet since the epoch
    difference_ns: Floats  # clock of b minus clock of a
    hosts: NDArray[np.uint64]  # the two hosts, whichever direction
    forward: NDArray[np.bool_]  # which of the two directions
    hops: NDArray[np.int64]  # TTL at a minus TTL at b: positive when a is first

    def choose(self, rows: NDArray[np.bool_]) -> "Differences":
        """Return the chosen rows."""
        return Differences(
            self.since_ns[rows],
            self.difference_ns[rows],
            self.hosts[rows],
            self.forward[rows],
            self.hops[rows],
        )


@dataclass(frozen=True, slots=True)
class PairClock:
    """Evidence about clock b minus clock a, outliers removed, directions known."""

    since_ns: Floats
    difference_ns: Floats
    order: NDArray[np.int8]  # 1: a saw it first, -1: b did, 0: not known
    drift: float  # growth of the difference, a ratio
    drift_supported: bool  # whether the data says so

    def bounds(self, drift: float) -> tuple[float, float]:
        """Return (lower, upper) bound of the difference at the epoch, infinite where unknown.

        One packet in a thousand may contradict the bound.
        """
        level = self.difference_ns - drift * self.since_ns
        upper = _least(level[self.order > 0])
        lower = -_least(-level[self.order < 0])
        return lower, upper

    def margin(self, drift: float) -> float:
        """Return half the distance of the bounds: negative when they contradict each other."""
        lower, upper = self.bounds(drift)
        return (upper - lower) / 2


def _least(values: Floats) -> float:
    if values.size == 0:
        return math.inf
    rank = values.size // _OUTLIER_SHARE
    return float(np.partition(values, rank)[rank])


def compare(differences: Differences) -> PairClock:
    """Return what is known about two clocks from at least one matched packet."""
    slope = _trend(differences.since_ns, differences.difference_ns)
    level = differences.difference_ns - slope * differences.since_ns
    distance = np.abs(level - np.median(level))
    limit = max(_OUTLIER_SPREADS * float(np.median(distance)), _OUTLIER_FLOOR_NS)
    kept = distance <= limit
    differences = differences.choose(kept)
    order = _order(differences, level[kept])
    clock = PairClock(differences.since_ns, differences.difference_ns, order, 0.0, False)
    drift = _drift(clock, slope)
    if drift is None:
        return clock
    # Directions are clearer once the drift is out.
    order = _order(differences, differences.difference_ns - drift * differences.since_ns)
    return PairClock(differences.since_ns, differences.difference_ns, order, drift, True)


def _trend(since_ns: Floats, difference_ns: Floats) -> float:
    """Return the median slope between the medians of time bins of equal size (Theil and Sen)."""
    bins = min(since_ns.size // 16, _TREND_BINS)
    if bins < 3:
        return 0.0
    by_time = np.argsort(since_ns, kind="stable")
    parts = np.array_split(by_time, bins)
    times = np.array([np.median(since_ns[part]) for part in parts])
    levels = np.array([np.median(difference_ns[part]) for part in parts])
    one, other = np.triu_indices(bins, 1)
    spans = times[other] - times[one]
    apart = spans > 0
    if not apart.any():
        return 0.0
    slopes = (levels[other] - levels[one])[apart] / spans[apart]
    slope = float(np.median(slopes))
    return slope if abs(slope) <= _LARGEST_DRIFT else 0.0


def _order(differences: Differences, level: Floats) -> NDArray[np.int8]:
    """Return which tap saw each packet first: 1 for a, -1 for b, 0 for not known.

    A TTL that sinks on the way decides. Else the two directions of a pair of hosts lie on both
    sides of the offset, and their midpoint tells the sides of all packets apart.
    """
    _, pair = np.unique(differences.hosts, return_inverse=True)
    group = 2 * pair.astype(np.int64) + differences.forward
    groups = 2 * (int(pair.max()) + 1)
    counts = np.bincount(group, minlength=groups)
    hops = np.bincount(group, weights=np.sign(differences.hops), minlength=groups)
    by_hops = np.where(np.abs(hops) * 2 > counts, np.sign(hops), 0).astype(np.int8)
    sorted_level = level[np.lexsort((level, group))]
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    middles = np.minimum(starts + np.maximum(counts - 1, 0) // 2, level.size - 1)
    medians = sorted_level[middles]
    order = by_hops
    midpoint = _midpoint(medians, counts, by_hops)
    if midpoint is not None:
        # Without any delay both directions lie on the midpoint: either order is as good.
        directions = 2 * (np.arange(groups) & 1) - 1
        sides = np.sign(medians - midpoint)
        sides = np.where(sides == 0, directions, sides).astype(np.int8)
        order = np.where(by_hops == 0, sides, by_hops)
    return np.asarray(order[group], np.int8)


def _midpoint(
    medians: Floats, counts: NDArray[np.int64], by_hops: NDArray[np.int8]
) -> float | None:
    """Return the weighted median of the midpoints of host pairs seen in both directions."""
    weights = np.minimum(counts[0::2], counts[1::2]).astype(np.float64)
    same_way = (by_hops[0::2] != 0) & (by_hops[0::2] == by_hops[1::2])
    both = (weights > 0) & ~same_way
    if both.any():
        midpoints = ((medians[0::2] + medians[1::2]) / 2)[both]
        ascending = np.argsort(midpoints, kind="stable")
        reached = np.cumsum(weights[both][ascending])
        return float(midpoints[ascending][np.searchsorted(reached, reached[-1] / 2)])
    if (by_hops > 0).any() and (by_hops < 0).any():
        upper = float(medians[by_hops > 0].min())
        lower = float(medians[by_hops < 0].max())
        return (upper + lower) / 2
    return None


def _drift(clock: PairClock, trend: float) -> float | None:
    """Return the drift when the data supports one, else None."""
    edges = [
        edge
        for side in (1, -1)
        if (edge := _edge_slope(clock, clock.order == side, side, trend)) is not None
    ]
    two_way = bool((clock.order > 0).any() and (clock.order < 0).any())
    if not two_way:
        if not edges and not (clock.order != 0).any():
            level = clock.difference_ns - trend * clock.since_ns
            edge = _edge_slope(clock, clock.order == 0, tail_side(level), trend)
            edges = [] if edge is None else [edge]
        slope, error = edges[0] if edges else (0.0, 0.0)
        return slope if edges and abs(slope) > _ONE_WAY_SIGMAS * error else None
    still = clock.margin(0.0)
    if len(edges) == 2:
        (one, one_error), (other, other_error) = edges
        error = math.hypot(one_error, other_error)
        agree = abs(one - other) <= _DRIFT_SIGMAS * error
        weights = (max(one_error, 1e-15) ** -2, max(other_error, 1e-15) ** -2)
        slope = (one * weights[0] + other * weights[1]) / sum(weights)
        clear = abs(slope) > _DRIFT_SIGMAS * sum(weights) ** -0.5
        if agree and clear and clock.margin(slope) > min(0.0, still):
            return slope
    if still >= -_CONTRADICTION_NS:
        return None
    widest = _widest(clock, trend)
    return widest if clock.margin(widest) > max(still / 2, still + _CONTRADICTION_NS) else None


def tail_side(difference_ns: Floats) -> int:
    """Return 1 when late packets have the longer tail upwards (a is first), else -1."""
    middle = float(np.median(difference_ns))
    upward = float(difference_ns.max()) - middle
    return 1 if upward >= middle - float(difference_ns.min()) else -1


def _edge_slope(
    clock: PairClock, rows: NDArray[np.bool_], side: int, trend: float
) -> tuple[float, float] | None:
    """Return (slope, standard error) of the lower (side 1) or upper edge; None with few bins.

    The rough `trend` is taken out first, as a slope within a bin would shift its extreme.
    """
    since = clock.since_ns[rows]
    level = (clock.difference_ns[rows] - trend * since) * side
    if since.size < 2 * _DRIFT_BINS or since.max() <= since.min():
        return None
    place = (since - since.min()) / (since.max() - since.min()) * _DRIFT_BINS
    bins = np.minimum(place.astype(np.int64), _DRIFT_BINS - 1)
    ascending = np.lexsort((level, bins))
    populated, first = np.unique(bins[ascending], return_index=True)
    if populated.size < _DRIFT_LEAST_BINS:
        return None
    rows_at_edge = ascending[first]
    x = since[rows_at_edge]
    y = level[rows_at_edge]
    x = x - x.mean()
    y = y - y.mean()
    slope = float((x * y).sum() / (x * x).sum())
    residual = y - slope * x
    error = math.sqrt(float((residual**2).sum()) / (x.size - 2) / float((x * x).sum()))
    # Time stamps are whole nanoseconds at best.
    return slope * side + trend, max(error, 1.0 / float(since.max() - since.min()))


def _widest(clock: PairClock, trend: float) -> float:
    """Return the drift that leaves the widest margin; the margin is concave in the drift."""
    low, high = trend - _LARGEST_DRIFT, trend + _LARGEST_DRIFT
    for _ in range(80):
        third = (high - low) / 3
        if clock.margin(low + third) < clock.margin(high - third):
            low += third
        else:
            high -= third
    return (low + high) / 2
