"""What the order of events tells: how far a sender runs ahead of what it has received.

On a ring every piece but the first is sent after it was received: a rank is never further ahead
than one chunk. So the largest lead that is seen is the chunk's size, which tells AllReduce
(2(n-1) chunks an edge) from AllGather and ReduceScatter (n-1), a ring seen in part from a line
(lead 0), and a tree of two from a ring of two.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.segments import Segment


def edge_rows(
    events: Events, segment: Segment, source: int, destination: int
) -> NDArray[np.int64]:
    """Return the rows of the segment's data from one rank to another, in order of start."""
    rows = np.arange(segment.start, segment.stop)
    wanted = (
        (events.src[rows] == source)
        & (events.dst[rows] == destination)
        & (events.kind[rows] < KIND_CONTROL)
    )
    return rows[wanted]


def received_at(
    events: Events, rows: NDArray[np.int64], times_ns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how many bytes of `rows` had passed at each time, transfers under way in part."""
    if rows.size == 0:
        return np.zeros(len(times_ns))
    starts, ends = events.start_ns[rows], events.end_ns[rows]
    sizes = events.bytes[rows].astype(np.float64)
    # Bytes flow from start to end; summing ramps needs no order of the ends.
    points = np.concatenate((starts, ends))
    rate = sizes / np.maximum(ends - starts, 1)
    change = np.concatenate((rate, -rate))
    order = np.argsort(points, kind="stable")
    points, slope = points[order], np.cumsum(change[order])
    level = np.concatenate(([0.0], np.cumsum(slope[:-1] * np.diff(points))))
    passed = np.interp(times_ns, points, level)
    return np.asarray(passed, np.float64)


def lead(
    events: Events, segment: Segment, before: tuple[int, int], edge: tuple[int, int]
) -> tuple[float, float]:
    """Return the largest lead in bytes of `edge` over the edge `before` it, and its message size.

    A message's last byte is compared with what had arrived when it started (RDMA, whose messages
    are whole) or when it ended (TCP, whose writes may be joined).
    """
    sent = edge_rows(events, segment, *edge)
    received = edge_rows(events, segment, *before)
    if sent.size == 0:
        return 0.0, 0.0
    times = events.start_ns[sent] if events.rdma else events.end_ns[sent]
    position = np.cumsum(events.bytes[sent]).astype(np.float64)
    ahead = position - received_at(events, received, times)
    return float(ahead.max()), float(np.median(events.bytes[sent]))
