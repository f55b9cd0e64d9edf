"""What the order of events tells: how far a sender runs ahead of what it has received.

On a ring every piece but the first is sent after it was received: a rank is never further ahead
than one chunk. So the largest lead that is seen is the chunk's size, which tells AllReduce
(2(n-1) chunks an edge) from AllGather and ReduceScatter (n-1), a ring seen in part from a line
(lead 0), and a tree of two from a ring of two.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.segments import Segment

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
    times = events.start_ns[sent] if events.whole else events.end_ns[sent]
    position = np.cumsum(events.bytes[sent]).astype(np.float64)
    ahead = position - received_at(events, received, times - int(events.delay_ns))
    return float(ahead.max()), float(np.median(events.bytes[sent]))


def waiting_channels(events: Events, segment: Segment) -> float:
    """Return which part of the channels between two ranks has an end that always waits.

    A channel is two queue pairs, one each way, numbered in the same order at both ranks.
    """
    ways = [edge_rows(events, segment, 0, 1), edge_rows(events, segment, 1, 0)]
    lanes = [
        [way[events.lane[way] == number] for number in np.unique(events.lane[way])] for way in ways
    ]
    waiting = []
    for one, other in zip(lanes[0], lanes[1], strict=False):
        ahead = [lead_of(events, one, other), lead_of(events, other, one)]
        waiting.append(min(value for value, _ in ahead) < CHAIN_LEAD * min(m for _, m in ahead))
    return float(np.mean(waiting)) if waiting else 0.0
