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
    """Return the largest lead in bytes of `edge` over the edge `before` it, and its message size."""
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
    times = events.start_ns[sent] if events.rdma else events.end_ns[sent]
    position = np.cumsum(events.bytes[sent]).astype(np.float64)
    ahead = position - received_at(events, received, times)
    return float(ahead.max()), float(np.median(events.bytes[sent]))


def least_channel_lead(events: Events, segment: Segment) -> tuple[float, float]:
    """Return the smallest lead of a channel between two ranks, and the message size.

    Each channel is compared with those the other way, of which the closest counts: a channel
    that never runs ahead of some other one waits for it.
    """
    ways = [edge_rows(events, segment, 0, 1), edge_rows(events, segment, 1, 0)]
    channels = [
        [way[events.channel[way] == number] for number in np.unique(events.channel[way])]
        for way in ways
    ]
    leads, messages = [], []
    for own, other in ((channels[0], channels[1]), (channels[1], channels[0])):
        for sent in own:
            values = [lead_of(events, received, sent) for received in other]
            leads.append(min((value[0] for value in values), default=0.0))
            messages += [value[1] for value in values]
    return min(leads, default=0.0), float(np.median(messages)) if messages else 0.0
