"""One clock for all taps: pairs of taps are joined to the first tap of their component.

Each pair bounds the difference of two clocks; along and across paths the bounds form a system of
difference constraints, whose tightest solution is the shortest paths of a graph (Cormen et al.,
Introduction to Algorithms, "Difference constraints and shortest paths"). Pure arithmetic on the
samples of `samples`; no kernels.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.taps.clocks import Differences, PairClock, compare, tail_side
from fabricscope.analyzers.taps.samples import Sightings, SightingSample

_LEAST_MATCHES: Final = 2
_WIDENINGS: Final = 32


@dataclass(frozen=True, slots=True)
class TapClock:
    """A tap's clock against that of the first tap; what must be taken off its time stamps.

    At the reference time t the clock is ahead by offset_ns + drift_ppm * 1e-6 * (t - epoch_ns).
    """

    offset_ns: int
    error_ns: float | None  # None: nothing bounds the offset on both sides
    drift_ppm: float | None  # None: the data does not show one
    epoch_ns: int
    matched_packets: int  # sampled packets that another tap saw too
    reference: int  # index of the tap whose clock is kept


@dataclass(frozen=True, slots=True)
class _Match:
    """Packets that taps a and b both saw once."""

    a: int
    b: int
    at_a: Sightings
    at_b: Sightings
    base_ns: int  # median of clock b minus clock a

    @property
    def count(self) -> int:
        return int(self.at_a.time_ns.size)


def estimate_clocks(sample: SightingSample, taps: list[int]) -> dict[int, TapClock]:
    """Return the clock of each tap against the first one that it has packets in common with."""
    unique = {tap: sample.unique(tap) for tap in taps}
    matches = _matches(unique)
    roots, coarse = _coarse(taps, matches)
    matched = dict.fromkeys(taps, 0)
    for tap in taps:
        shared = [match for match in matches if tap in (match.a, match.b)]
        if shared:
            signatures = unique[tap][0]
            seen = np.zeros(signatures.size, np.bool_)
            for match in shared:
                other = unique[match.b if match.a == tap else match.a][0]
                seen |= np.isin(signatures, other, assume_unique=True)
            matched[tap] = int(seen.sum())
    epochs = {
        root: min(
            (
                int(match.at_a.time_ns.min()) - coarse[match.a]
                for match in matches
                if roots[match.a] == root
            ),
            default=0,
        )
        for root in set(roots.values())
    }
    clocks: dict[int, TapClock] = {}
    for root in sorted(set(roots.values())):
        members = [tap for tap in taps if roots[tap] == root]
        inside = [match for match in matches if roots[match.a] == root]
        solved = _solve(members, inside, coarse, epochs[root])
        for tap, (offset, error, drift) in solved.items():
            clocks[tap] = TapClock(
                coarse[tap] + round(offset),
                error,
                None if drift is None else drift * 1e6,
                epochs[root],
                matched[tap],
                root,
            )
    return clocks


def _matches(unique: dict[int, tuple[NDArray[np.uint64], Sightings]]) -> list[_Match]:
    matches = []
    taps = sorted(unique)
    for place, a in enumerate(taps):
        for b in taps[place + 1 :]:
            _, rows_a, rows_b = np.intersect1d(
                unique[a][0], unique[b][0], assume_unique=True, return_indices=True
            )
            if rows_a.size < _LEAST_MATCHES:
                continue
            at_a = unique[a][1].choose(rows_a)
            at_b = unique[b][1].choose(rows_b)
            apart = at_b.time_ns - at_a.time_ns
            base = int(np.partition(apart, apart.size // 2)[apart.size // 2])
            matches.append(_Match(a, b, at_a, at_b, base))
    return matches


def _coarse(taps: list[int], matches: list[_Match]) -> tuple[dict[int, int], dict[int, int]]:
    """Return (first tap of its component, median clock difference to it) of each tap.

    Follows the pairs with the most packets in common.
    """
    roots = {tap: tap for tap in taps}
    coarse = dict.fromkeys(taps, 0)
    for match in sorted(matches, key=lambda match: -match.count):
        if roots[match.a] == roots[match.b]:
            continue
        # Shift b's whole component onto a's clock, then make the lower root the reference.
        shift = coarse[match.a] + match.base_ns - coarse[match.b]
        kept, joined = roots[match.a], roots[match.b]
        for tap in taps:
            if roots[tap] == joined:
                coarse[tap] += shift
                roots[tap] = kept
        first = min(tap for tap in taps if roots[tap] == kept)
        origin = coarse[first]
        for tap in taps:
            if roots[tap] == kept:
                coarse[tap] -= origin
                roots[tap] = first
    return roots, coarse


def _solve(
    members: list[int], matches: list[_Match], coarse: dict[int, int], epoch_ns: int
) -> dict[int, tuple[float, float | None, float | None]]:
    """Return (offset beyond the coarse one, error, drift ratio) of the taps of one component."""
    pairs = [(match.a, match.b, _compare(match, coarse, epoch_ns)) for match in matches]
    drifts = _drifts(members, pairs)
    place = {tap: index for index, tap in enumerate(members)}
    bounds = np.full((len(members), len(members)), math.inf)
    np.fill_diagonal(bounds, 0.0)
    guesses: dict[tuple[int, int], tuple[float, float]] = {}
    for a, b, clock in pairs:
        drift = (drifts[b] or 0.0) - (drifts[a] or 0.0)
        lower, upper = clock.bounds(drift)
        if math.isinf(lower) and math.isinf(upper):
            guess = _one_sided(clock, drift)
        elif math.isinf(lower) or math.isinf(upper):
            guess = lower if math.isinf(upper) else upper
        else:
            guess = (lower + upper) / 2
        # Bounds that contradict each other say by how much the estimate may be wrong.
        lower, upper = min(lower, upper), max(lower, upper)
        bounds[place[a], place[b]] = upper
        bounds[place[b], place[a]] = -lower
        two_way = math.isfinite(upper - lower)
        guesses[a, b] = (guess, upper - lower if two_way else math.inf)
    shortest = _tightest(bounds)
    rough = _follow(members, guesses)
    solved: dict[int, tuple[float, float | None, float | None]] = {}
    for tap in members:
        upper, lower = shortest[0, place[tap]], -shortest[place[tap], 0]
        if math.isfinite(upper) and math.isfinite(lower):
            offset, error = (upper + lower) / 2, max(0.0, (upper - lower) / 2)
            solved[tap] = (float(offset), float(error), drifts[tap])
        else:
            solved[tap] = (rough[tap], None, drifts[tap])
    return solved


def _compare(match: _Match, coarse: dict[int, int], epoch_ns: int) -> PairClock:
    apart = match.at_b.time_ns - match.at_a.time_ns - (coarse[match.b] - coarse[match.a])
    since = match.at_a.time_ns - (coarse[match.a] + epoch_ns)
    return compare(
        Differences(
            since.astype(np.float64),
            apart.astype(np.float64),
            match.at_a.hosts,
            match.at_a.forward,
            match.at_a.ttl - match.at_b.ttl,
        )
    )


def _one_sided(clock: PairClock, drift: float) -> float:
    """Return the estimate where not even the order of the taps is known."""
    level = clock.difference_ns - drift * clock.since_ns
    return float(level.min() if tail_side(level) > 0 else level.max())


def _drifts(members: list[int], pairs: list[tuple[int, int, PairClock]]) -> dict[int, float | None]:
    """Return each tap's drift against the first one, along the pairs with the most packets."""
    drifts: dict[int, float | None] = {members[0]: None}
    while len(drifts) < len(members):
        reach = [pair for pair in pairs if (pair[0] in drifts) != (pair[1] in drifts)]
        a, b, clock = max(reach, key=lambda pair: (pair[2].drift_supported, pair[2].since_ns.size))
        known, new, sign = (a, b, 1.0) if a in drifts else (b, a, -1.0)
        before = drifts[known]
        if clock.drift_supported:
            drifts[new] = (before or 0.0) + sign * clock.drift
        else:
            drifts[new] = before
    return drifts


def _tightest(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least upper bound of each clock minus each other, by all paths (Floyd).

    Bounds that contradict each other round a circle are widened, all alike, until none do.
    """
    widening = 0.0
    linked = np.isfinite(bounds) & ~np.eye(len(bounds), dtype=np.bool_)
    shortest = bounds.copy()
    for _ in range(_WIDENINGS):
        shortest = bounds + np.where(linked, widening, 0.0)
        for middle in range(len(bounds)):
            np.minimum(
                shortest, shortest[:, middle, None] + shortest[None, middle, :], out=shortest
            )
        worst = float(shortest.diagonal().min())
        if worst >= 0:
            break
        widening = max(2 * widening, -worst / 2)
    return shortest


def _follow(
    members: list[int], guesses: dict[tuple[int, int], tuple[float, float]]
) -> dict[int, float]:
    """Return offsets along the pairs with the narrowest bounds, without any bound of their own."""
    offsets = {members[0]: 0.0}
    while len(offsets) < len(members):
        reach = [pair for pair in guesses if (pair[0] in offsets) != (pair[1] in offsets)]
        a, b = min(reach, key=lambda pair: guesses[pair][1])
        if a in offsets:
            offsets[b] = offsets[a] + guesses[a, b][0]
        else:
            offsets[a] = offsets[b] - guesses[a, b][0]
    return offsets
