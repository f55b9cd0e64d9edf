"""Cuts a group's events into operations: silences propose, conservation of bytes disposes.

A silence of all ranks together ends an operation only if what was sent since the last one fits an
algorithm with all ranks in it; else the ranks wait for one of them in the middle, and the parts
belong together.
"""

from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_ACK, KIND_CONTROL
from fabricscope.analyzers.collectives.patterns import TOLERANCE, Pattern, pattern_of

MAX_CANDIDATES: Final = 8
MAX_JOINED: Final = 64
MAX_SKIPPED: Final = 8
"""Silences inside the rest of an operation that began before the capture did."""

LEAST_AFTER: Final = 4
MAX_ATOMS: Final = 20_000
MAX_CELLS: Final = 20_000_000
"""Numbers in the matrices of all atoms: with many hosts there are fewer atoms."""

MAX_KNOWN: Final = 200_000
"""Ranges whose answer is remembered; past it they are forgotten and looked at again."""

RDMA_FLOOR_NS: Final = 5_000
TCP_FLOOR_NS: Final = 500_000
"""Shorter silences are those of adapters and of the hosts' schedulers."""

RTT_FACTOR: Final = 1.5
"""Steps of one operation follow each other within a round trip; computing takes longer."""


@dataclass
class Segment:
    """One operation: rows of the group's events (ascending), their bytes and what they fit."""

    rows: NDArray[np.int64]
    matrix: NDArray[np.float64]
    pattern: Pattern | None
    start_ns: int = 0
    end_ns: int = 0


def silences(events: Events) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows before which nobody sends, and for how long (ns)."""
    counted = events.kind < KIND_CONTROL
    if not events.rdma:
        counted |= events.kind == KIND_CONTROL
    rows = np.flatnonzero(counted)
    if rows.size < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    until = np.maximum.accumulate(events.end_ns[rows])
    gaps = events.start_ns[rows[1:]] - until[:-1]
    some = gaps > 0
    return rows[1:][some], gaps[some]


def thresholds(gaps: NDArray[np.int64], floor_ns: float) -> list[float]:
    """Return silences that may separate operations, those set off most clearly first."""
    lengths = np.unique(gaps[gaps > floor_ns])
    if lengths.size == 0:
        return [float("inf")]
    lower = np.maximum(np.concatenate(([floor_ns], lengths[:-1])), 1_000.0)
    cuts = np.sqrt(lengths * lower)
    order = np.argsort(-lengths / lower, kind="stable")[:MAX_CANDIDATES]
    grid = np.geomspace(max(floor_ns, 1_000.0), float(lengths[-1]), MAX_CANDIDATES)[:-1]
    chosen = [float(value) for value in cuts[order]] + [float(value) for value in grid]
    return [*chosen, float("inf")]


Known = dict[tuple[int, int], Pattern | None]
"""What ranges of event rows fit, so that no range is looked at for each threshold again."""


def segments_at(
    events: Events,
    rows: NDArray[np.int64],
    gaps: NDArray[np.int64],
    threshold_ns: float,
    known: Known,
    skipped: int = 0,
) -> list[Segment]:
    """Return the operations when silences longer than `threshold_ns` may separate them.

    skipped: how many of the first parts are the rest of an operation that the capture cut off.
    """
    bounds = np.concatenate(([0], rows[gaps > threshold_ns], [len(events.kind)]))
    most = min(MAX_ATOMS, max(MAX_CELLS // len(events.ranks) ** 2, 2))
    if len(bounds) > most:
        bounds = np.concatenate((bounds[: -1 : -(-len(bounds) // most)], bounds[-1:]))
    matrices = [events.matrix(a, b) for a, b in pairwise(bounds.tolist())]
    complete = _complete_at(matrices)
    found: list[Segment] = []
    at = 0
    while at < len(matrices):
        stop, total, pattern = at + 1, matrices[at], None
        if total.any() and at >= skipped:
            stop, total, pattern = _join(
                matrices, at, int(complete[at]), bounds, events.slack_bytes, known
            )
        own = np.arange(int(bounds[at]), int(bounds[stop]))
        found.append(Segment(own, total, pattern))
        at = stop
    return found


def _complete_at(matrices: list[NDArray[np.float64]]) -> NDArray[np.int64]:
    """Return for each part in which part the last rank shows up, len(matrices) if none does."""
    shows = np.array([matrix.any(axis=0) | matrix.any(axis=1) for matrix in matrices])
    places = np.where(shows, np.arange(len(matrices))[:, None], len(matrices))
    return np.asarray(np.minimum.accumulate(places[::-1], axis=0)[::-1].max(axis=1), np.int64)


def _join(
    matrices: list[NDArray[np.float64]],
    at: int,
    complete: int,
    bounds: NDArray[np.int64],
    slack_bytes: float,
    known: Known,
) -> tuple[int, NDArray[np.float64], Pattern | None]:
    """Add up parts from `at` on until all ranks have done theirs; one part if they never have.

    complete: the first part by which all ranks have shown up; sooner nothing can fit.
    """
    last = min(at + MAX_JOINED, len(matrices))
    if complete >= last:
        return at + 1, matrices[at], None
    total = np.sum(matrices[at:complete], axis=0) if complete > at else np.zeros_like(matrices[at])
    for end in range(complete, last):
        total = total + matrices[end]
        key = (int(bounds[at]), int(bounds[end + 1]))
        if key not in known:
            if len(known) >= MAX_KNOWN:
                known.clear()
            known[key] = complete_pattern(total, slack_bytes)
        pattern = known[key]
        if pattern is not None:
            return end + 1, total, pattern
    return at + 1, matrices[at], None


def complete_pattern(matrix: NDArray[np.float64], slack_bytes: float) -> Pattern | None:
    """Return what the bytes fit when all ranks take part, else None."""
    # Looked at first, because it is cheap and rules out most of what ordinary traffic does.
    if not (matrix.any(axis=0) | matrix.any(axis=1)).all():
        return None
    pattern = pattern_of(matrix, slack_bytes)
    return pattern if pattern is not None and len(pattern.order) == len(matrix) else None


def same_kind(one: Segment, other: Segment, slack_bytes: float) -> bool:
    """Tell whether two operations are iterations of one collective."""
    if one.pattern is None or other.pattern is None:
        return False
    if (one.pattern.shape, one.pattern.order) != (other.pattern.shape, other.pattern.order):
        return False
    largest = max(float(one.matrix.max()), float(other.matrix.max()))
    difference = float(np.abs(one.matrix - other.matrix).max())
    return difference <= TOLERANCE * largest + 2 * slack_bytes


def cluster(segments: list[Segment], slack_bytes: float) -> list[list[Segment]]:
    """Group operations into collectives, in order of first start."""
    groups: list[list[Segment]] = []
    for segment in segments:
        if segment.pattern is None:
            continue
        for group in groups:
            if same_kind(group[0], segment, slack_bytes):
                group.append(segment)
                break
        else:
            groups.append([segment])
    return groups


def _score(segments: list[Segment], all_bytes: float, slack_bytes: float) -> tuple[float, float]:
    """Return which part of the bytes is explained, and how much must be told to explain it.

    Ten iterations of one collective are told by one of them. So is the part of one that lies
    before the capture's start or after its end.
    """
    groups = cluster(segments, slack_bytes)
    explained = sum(float(segment.matrix.sum()) for group in groups for segment in group)
    explained += _explained_as_part(segments, slack_bytes)
    explained += _explained_as_part(segments[::-1], slack_bytes)
    told = sum(float(group[0].matrix.sum()) for group in groups)
    return explained / max(all_bytes, 1.0), told / max(all_bytes, 1.0)


def _starts_oddly(segments: list[Segment], slack_bytes: float) -> bool:
    """Tell whether what the capture begins with never comes again."""
    if len(segments) < LEAST_AFTER:
        return False
    return not any(same_kind(segments[0], other, slack_bytes) for other in segments[1:])


def _explained_as_part(segments: list[Segment], slack_bytes: float) -> float:
    """Return the bytes before the first operation if they are the rest of one like it, else 0."""
    rest = list(takewhile(lambda segment: segment.pattern is None, segments))
    if not rest or len(rest) == len(segments):
        return 0.0
    matrix = np.sum([segment.matrix for segment in rest], axis=0)
    if (matrix > (1 + TOLERANCE) * segments[len(rest)].matrix).any():
        return 0.0
    if len(rest) > 1 and complete_pattern(matrix, slack_bytes) is not None:
        return 0.0
    return float(matrix.sum())


def cut(events: Events, rtt_ns: float) -> list[Segment]:
    """Return the operations of a group; rtt_ns: the round trip where known, else 0."""
    rows, gaps = silences(events)
    total = float(events.matrix(0, len(events.kind)).sum())
    floor_ns = max(RTT_FACTOR * rtt_ns, RDMA_FLOOR_NS if events.rdma else TCP_FLOOR_NS)
    known: Known = {}
    limits = thresholds(gaps, floor_ns)
    tried = [segments_at(events, rows, gaps, threshold, known) for threshold in limits]
    for threshold, segments in zip(limits, tuple(tried), strict=True):
        if _starts_oddly(segments, events.slack_bytes):
            for skipped in range(1, MAX_SKIPPED + 1):
                again = segments_at(events, rows, gaps, threshold, known, skipped)
                if _explained_as_part(again, events.slack_bytes):
                    tried.append(again)
    scores = [_score(segments, total, events.slack_bytes) for segments in tried]
    most = max(explained for explained, _ in scores)
    best, least = tried[-1], float("inf")
    for segments, (explained, told) in zip(tried, scores, strict=True):
        if explained >= most - 0.02 and told < 0.98 * least:
            best, least = segments, told
    for segment in best:
        set_times(events, segment)
    return _attach_openings(best, events)


def _attach_openings(segments: list[Segment], events: Events) -> list[Segment]:
    """Give the notifications of ranks that wait already to the operation that they wait for."""
    kept: list[Segment] = []
    for segment in reversed(segments):
        following = kept[-1] if kept else None
        if following is not None and following.pattern is not None and not segment.matrix.any():
            rows = segment.rows
            pairs = following.matrix + following.matrix.T > 0
            if pairs[events.src[rows], events.dst[rows]].all():
                following.rows = np.concatenate((rows, following.rows))
                following.start_ns = min(segment.start_ns, following.start_ns)
                continue
        kept.append(segment)
    return kept[::-1]


def set_times(events: Events, segment: Segment) -> None:
    """Set start and end: first to last packet of data, over TCP of control as well."""
    rows = segment.rows[events.seen[segment.rows]]
    kind = events.kind[rows]
    starts, ends = events.start_ns[rows], events.end_ns[rows]
    counted = kind < KIND_CONTROL
    if not events.rdma:
        pairs = segment.matrix + segment.matrix.T > 0
        counted |= (kind == KIND_CONTROL) & pairs[events.src[rows], events.dst[rows]]
    if not counted.any():
        counted = kind < KIND_ACK
    if not counted.any():
        return
    segment.start_ns = int(starts[counted].min())
    segment.end_ns = int(ends[counted].max())
    answered = (kind == KIND_ACK) & (starts >= segment.start_ns)
    if answered.any():
        segment.end_ns = max(segment.end_ns, int(ends[answered].max()))
