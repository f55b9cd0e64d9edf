"""What of a job's communication may overlap with its computation, as far as packets tell.

A mirror sees no computation. It sees the operations of a step, gradient buckets among them, and
that the later ones have not begun yet: until then ranks may still compute what those will carry.
Once the last one has begun nothing of the step is left to compute, so its time is exposed.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.operations import Collective, identify
from fabricscope.analyzers.collectives.segments import (
    RDMA_FLOOR_NS,
    RTT_FACTOR,
    TCP_FLOOR_NS,
    Segment,
    complete_pattern,
    set_times,
)

MAX_STEPS: Final = 32
"""Steps looked at, evenly chosen; the numbers are their medians."""

MAX_SILENCES: Final = 256
MIN_RING: Final = 3

Span = tuple[int, int]


def overlap_of(
    events: Events, collectives: list[Collective], steps: list[Span], rtt_ns: float
) -> dict[str, Any] | None:
    """Return how a step's communication lies in time, None where fewer than two steps were seen.

    steps: start and end of each step's operations (ns); rtt_ns: the round trip where known, else 0.
    """
    if len(steps) < 2:
        return None
    floor_ns = max(RTT_FACTOR * rtt_ns, RDMA_FLOOR_NS if events.rdma else TCP_FLOOR_NS)
    whole = [c for c in collectives if c.operation != "barrier"]
    starts = [np.array([segment.start_ns for segment in c.segments]) for c in whole]
    seen = []
    # The last step has no next one, so its silence has no end.
    for number in range(0, len(steps) - 1, -(-(len(steps) - 1) // MAX_STEPS)):
        begin, end = steps[number]
        spans: list[Span] = []
        for collective, own in zip(whole, starts, strict=True):
            for place in np.flatnonzero((own >= begin) & (own <= end)).tolist():
                spans += buckets_of(events, collective, collective.segments[place], floor_ns)
        seen.append(_step(sorted(spans), steps[number + 1][0] - begin))
    count, busy, open_end, exposed, quiet = np.median(np.array(seen, np.float64), axis=0).tolist()
    several = count > 1
    return {
        "operations_per_step": round(count),
        "communication_ms": round(busy / 1e6, 6),
        "overlappable_ms": round(open_end / 1e6, 6) if several else None,
        "overlappable_share": round(open_end / max(busy, 1.0), 4) if several else None,
        "exposed_ms": round(exposed / 1e6, 6) if several else None,
        "quiet_ms": round(quiet / 1e6, 6),
    }


def _step(spans: list[Span], length_ns: int) -> tuple[int, int, int, int, int]:
    """Return operations, time of communication, of it before and from the last start on, and rest.

    spans: the operations of a step, at least one; length_ns: to the start of the next step.
    """
    last = spans[-1][0]
    busy = overlappable = 0
    until = spans[0][0]
    for start, end in spans:
        low = max(start, until)
        if end > low:
            busy += end - low
            overlappable += max(min(end, last) - low, 0)
            until = end
    return len(spans), busy, overlappable, busy - overlappable, max(length_ns - busy, 0)


def buckets_of(
    events: Events, collective: Collective, segment: Segment, floor_ns: float
) -> list[Span]:
    """Return start and end of the operations that follow each other in one iteration.

    Only AllReduces on rings of three or more are taken apart: each part must be one by its bytes
    and by who waits for whom, which no part of a single AllReduce is.
    """
    alone = [(segment.start_ns, segment.end_ns)]
    if (collective.operation, collective.algorithm) != ("allreduce", "ring"):
        return alone
    if collective.partial or collective.ranks < MIN_RING:
        return alone
    rows = segment.rows[events.kind[segment.rows] < KIND_CONTROL]
    rows = rows[np.argsort(events.start_ns[rows], kind="stable")]
    heads = [0]
    for stop in [*_silences(events, rows, floor_ns), rows.size]:
        if _is_whole(events, collective, rows[heads[-1] : stop]):
            heads.append(stop)
    if heads[-1] != rows.size or len(heads) < 3:
        return alone
    # What belongs to a part beside its data, such as its ACKs, comes before the next one's data.
    begins = events.start_ns[rows[heads[1:-1]]]
    number = np.searchsorted(begins, events.start_ns[segment.rows], side="right")
    parts = [
        Segment(segment.rows[number == place], segment.matrix, None)
        for place in range(len(heads) - 1)
    ]
    for part in parts:
        set_times(events, part)
    return [(part.start_ns, part.end_ns) for part in parts]


def _silences(events: Events, rows: NDArray[np.int64], floor_ns: float) -> list[int]:
    """Return places in `rows` before which nobody sent for longer than `floor_ns`."""
    until = np.maximum.accumulate(events.end_ns[rows])
    gaps = events.start_ns[rows[1:]] - until[:-1]
    places = np.flatnonzero(gaps > floor_ns)
    if places.size > MAX_SILENCES:
        places = np.sort(places[np.argsort(-gaps[places], kind="stable")[:MAX_SILENCES]])
    return [place + 1 for place in places.tolist()]


def _is_whole(events: Events, collective: Collective, rows: NDArray[np.int64]) -> bool:
    """Tell whether rows are one operation of the collective's kind, whole."""
    matrix = events.matrix_of(rows)
    pattern = complete_pattern(matrix, events.slack_bytes)
    if pattern is None or pattern.order != collective.order:
        return False
    found = identify(events, [Segment(rows, matrix, pattern)])
    return found is not None and (found.operation, found.algorithm) == ("allreduce", "ring")
