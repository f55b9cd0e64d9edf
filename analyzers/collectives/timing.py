"""What the order of events tells: how far a sender runs ahead of what it has received.

On a ring every piece but the first is sent after it was received: a rank is never further ahead
than one chunk. So the largest lead that is seen is the chunk's size, which tells AllReduce
(2(n-1) chunks an edge) from AllGather and ReduceScatter (n-1), a ring seen in part from a line
(lead 0), and a tree of two from a ring of two.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.segments import Segment

JOINED_PART: Final = 0.75
"""Where messages may be joined, only a lead of more of a channel's bytes is beyond its half."""

MOST_EARLY: Final = 0.1
"""Part of a channel's messages whose times may lie, as those of what the mirror missed do."""

CHAIN_LEAD: Final = 0.5
"""Who waits for each message is less than half a message ahead of what was received."""


def edge_rows(events: Events, segment: Segment, source: int, destination: int) -> NDArray[np.int64]:
    """Return the rows of the segment's data from one rank to another, in order of start."""
    rows = segment.rows
    wanted = (
        (events.src[rows] == source)
        & (events.dst[rows] == destination)
        & (events.kind[rows] < KIND_CONTROL)
    )
    return np.asarray(rows[wanted], np.int64)


def received_at(
    events: Events, rows: NDArray[np.int64], times_ns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how many bytes of `rows` had passed at each time, transfers under way in part."""
    if rows.size == 0:
        return np.zeros(len(times_ns))
    starts = events.start_ns[rows]
    ends = np.maximum(events.end_ns[rows], starts + 1)
    sizes = events.bytes[rows].astype(np.float64)
    # Bytes flow from start to end; summing ramps needs no order of the ends.
    points = np.concatenate((starts, ends))
    rate = sizes / (ends - starts)
    change = np.concatenate((rate, -rate))
    order = np.argsort(points, kind="stable")
    points, slope = points[order], np.cumsum(change[order])
    level = np.concatenate(([0.0], np.cumsum(slope[:-1] * np.diff(points))))
    passed = np.interp(times_ns, points, level)
    return np.asarray(passed, np.float64)


def lead(
    events: Events, segment: Segment, before: tuple[int, int], edge: tuple[int, int]
) -> tuple[float, float]:
    """Return the largest lead in bytes of `edge` over the edge `before`, and the message size."""
    sent = edge_rows(events, segment, *edge)
    return lead_of(events, edge_rows(events, segment, *before), sent)


def lead_of(
    events: Events, received: NDArray[np.int64], sent: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the largest lead of the rows `sent` over the rows `received`, and the message size.

    A message's last byte is compared with what had arrived when it started (RDMA, whose messages
    are whole) or when it ended (TCP, whose writes may be joined).
    """
    if sent.size == 0:
        return 0.0, 0.0
    return float(_leads(events, received, sent).max()), float(np.median(events.bytes[sent]))


def _leads(
    events: Events, received: NDArray[np.int64], sent: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the lead in bytes of each of the rows `sent` over the rows `received`."""
    times = events.start_ns[sent] if events.whole else events.end_ns[sent]
    position = np.cumsum(events.bytes[sent]).astype(np.float64)
    return position - received_at(events, received, times - int(events.delay_ns))


def _whole_leads(
    events: Events, received: NDArray[np.int64], sent: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return by how many bytes each RDMA message of `sent` leads the messages wholly received.

    Rows are those of one channel each way. What came of a message only in part lets nobody pass it
    on; what the mirror missed may have come at any time, so it counts as received.
    """
    passed_ns = events.end_ns if events.passed_ns is None else events.passed_ns
    # A queue pair delivers in order: no message is complete before those ahead of it are.
    complete = np.maximum.accumulate(np.where(events.seen[received], passed_ns[received], 0))
    level = np.concatenate(([0], np.cumsum(events.bytes[received])))
    begins = events.start_ns[sent] - int(events.delay_ns)
    arrived = level[np.searchsorted(complete, begins, side="right")]
    lead = np.cumsum(events.bytes[sent]) - arrived
    return np.where(events.seen[sent], lead, 0).astype(np.float64)


class Waiting(NamedTuple):
    """What two ranks wait for, of the messages between them.

    chained: part of the channels that have an end which always sends message k only when it has
    received message k; early: part of the messages in the later half of a channel that are sent
    before their counterpart in the earlier half was received, which none is in an AllReduce.
    """

    chained: float
    early: float


def waiting_of(events: Events, segments: list[Segment]) -> Waiting:
    """Return who waits for what between two ranks, over some iterations.

    A channel is two queue pairs, one each way, numbered in the same order at both ranks.
    """
    data = np.flatnonzero(events.kind < KIND_CONTROL)
    lanes = [np.unique(events.lane[data[events.src[data] == rank]]).tolist() for rank in (0, 1)]
    ways = [
        (edge_rows(events, segment, 0, 1), edge_rows(events, segment, 1, 0)) for segment in segments
    ]
    chained, early = [], [np.zeros(0, bool)]
    for one, other in zip(*lanes, strict=False):
        waits = []
        for there, back in ways:
            ends = there[events.lane[there] == one], back[events.lane[back] == other]
            if not all(events.seen[rows].any() for rows in ends):
                continue
            judged = [_ahead(events, received, sent) for sent, received in (ends, ends[::-1])]
            # Who waits never sends the first message first, however the mirror blurs the others.
            waits.append([not ahead[0] and ahead.mean() < MOST_EARLY for ahead, _ in judged])
            early += [beyond for _, beyond in judged]
        if waits:
            chained.append(bool((np.mean(waits, axis=0) > 1 - MOST_EARLY).any()))
    beyond = np.concatenate(early)
    return Waiting(
        float(np.mean(chained)) if chained else 0.0, float(np.mean(beyond)) if beyond.size else 0.0
    )


def _ahead(
    events: Events, received: NDArray[np.int64], sent: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which messages seen of a channel's `sent` precede what they could wait for.

    First for all, that message k follows message k of `received`; then for those of the later half,
    that it follows its counterpart in the earlier half.
    """
    known = events.seen[sent]
    size = events.bytes[sent]
    if events.whole:
        leads = _whole_leads(events, received, sent)
        half = size.sum() / 2 + CHAIN_LEAD / 2 * size
    else:
        leads = _leads(events, received, sent)
        half = np.full(size.size, JOINED_PART * size.sum())
    later = known & (np.cumsum(size) > half)
    return (leads > CHAIN_LEAD * size)[known], (leads > half)[later]
