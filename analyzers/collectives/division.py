"""Iterations of a single collective, found rank by rank.

When iterations of different ranks overlap, no silence is common to all. But each rank by itself
computes between them: it sends the first byte of the next iteration only some time after it has
received the last one of this, whatever the others do. So the number of iterations is the largest
one for which, at every rank and every equal share of its bytes, that holds.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import SLACK_PACKETS, Events
from fabricscope.analyzers.collectives.layout import KIND_ACK, KIND_CONTROL
from fabricscope.analyzers.collectives.segments import (
    RDMA_FLOOR_NS,
    RTT_FACTOR,
    Segment,
    complete_pattern,
    set_times,
)

MAX_ITERATIONS: Final = 4_096
SHARE: Final = 0.002
"""By how much of an iteration's bytes a boundary may be off."""

MAX_OFF: Final = 0.4
"""Past this part of an iteration the boundaries could be anywhere."""


class _Rank:
    """What one rank sent and received, by position in its bytes."""

    def __init__(self, events: Events, data: NDArray[np.int64], rank: int) -> None:
        sent = data[events.src[data] == rank]
        received = data[events.dst[data] == rank]
        passed_ns = events.end_ns if events.passed_ns is None else events.passed_ns
        if received.size == 0:
            # The root has its buffer back when it has sent all.
            received = sent
        received = received[np.argsort(passed_ns[received], kind="stable")]
        # What the mirror missed counts its bytes, but opens no pause of its own.
        self.start_ns = np.maximum.accumulate(
            np.where(events.seen[sent], events.start_ns[sent], events.start_ns[sent[:1]])
        )
        self.sent_after = np.cumsum(events.bytes[sent])
        self.sent_before = self.sent_after - events.bytes[sent]
        self.end_ns = passed_ns[received]
        self.received_after = np.cumsum(events.bytes[received])
        # Of each queue pair the first and the last packet leave no hole when they are missed.
        edges = events.lost * max(
            np.unique(events.channel[sent]).size, np.unique(events.channel[received]).size
        )
        self.slack_bytes = events.slack_bytes * (1 + (edges + 3 * edges**0.5) / SLACK_PACKETS)

    def pauses(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Return when each iteration but the first begins, and the pause before; None: no fit."""
        total = float(self.sent_after[-1])
        share = total / count
        off = SHARE * share + self.slack_bytes
        if off > MAX_OFF * share:
            return None
        targets = share * np.arange(1, count)
        first = np.maximum(np.searchsorted(self.sent_before, targets - off), 1)
        beyond = np.searchsorted(self.sent_before, targets + off, side="right")
        if (beyond <= first).any():
            return None
        before = self._received_by(count)
        places = np.array(
            [
                a + int(np.argmax(np.diff(self.start_ns[a - 1 : b]))) if b > a + 1 else a
                for a, b in zip(first.tolist(), beyond.tolist(), strict=True)
            ]
        )
        begins = self.start_ns[places]
        return begins, begins - before

    def _received_by(self, count: int) -> NDArray[np.int64]:
        """Return when the rank had all of each iteration but the last."""
        share = float(self.received_after[-1]) / count
        targets = share * np.arange(1, count) - SHARE * share - self.slack_bytes
        places = np.minimum(np.searchsorted(self.received_after, targets), self.end_ns.size - 1)
        return np.asarray(self.end_ns[places], np.int64)


def divide(events: Events, rtt_ns: float) -> list[Segment]:
    """Return the iterations when the whole group did one collective over RDMA; else nothing."""
    if not events.rdma:
        return []
    data = np.flatnonzero(events.kind < KIND_CONTROL)
    total = events.matrix_of(data)
    pattern = complete_pattern(total, 4 * events.slack_bytes)
    if pattern is None:
        return []
    ranks = [_Rank(events, data, rank) for rank in range(len(events.ranks))]
    senders = [rank for rank in ranks if rank.start_ns.size]
    if not senders:
        return []
    floor_ns = max(RTT_FACTOR * rtt_ns, RDMA_FLOOR_NS)
    most = min(min(rank.start_ns.size for rank in senders), MAX_ITERATIONS)
    for count in range(most, 1, -1):
        begins = _fits(senders, count, floor_ns)
        if begins is not None:
            return _iterations(events, ranks, count, begins, senders)
    return []


def _fits(ranks: list[_Rank], count: int, floor_ns: float) -> list[NDArray[np.int64]] | None:
    """Return each rank's beginnings if all of them pause at every share, else None."""
    found = []
    for rank in ranks:
        pauses = rank.pauses(count)
        if pauses is None or (pauses[1] < floor_ns).any():
            return None
        found.append(pauses[0])
    return found


def _number_by_bytes(events: Events, number: NDArray[np.int64], count: int) -> None:
    """Set the iteration of data by its place among its channel's bytes where shares are equal.

    A message whose end was lost before the tap is seen only when its sender is further on.
    """
    data = np.flatnonzero(events.kind < KIND_CONTROL)
    data = data[np.argsort(events.channel[data], kind="stable")]
    heads = np.flatnonzero(np.diff(events.channel[data], prepend=-1))
    for own in np.split(data, heads[1:]):
        sizes = events.bytes[own]
        after = np.cumsum(sizes)
        share, rest = divmod(int(after[-1]), count)
        if rest == 0 and np.isin(share * np.arange(1, count + 1), after).all():
            number[own] = (after - sizes) // share


def _iterations(
    events: Events,
    ranks: list[_Rank],
    count: int,
    begins: list[NDArray[np.int64]],
    senders: list[_Rank],
) -> list[Segment]:
    """Give every event to the iteration that its data's sender was in."""
    number = np.zeros(len(events.kind), np.int64)
    by_rank = {id(rank): begin for rank, begin in zip(senders, begins, strict=True)}
    whole = np.median(np.stack(begins), axis=0).astype(np.int64)
    # An adapter acknowledges what its host, still computing, has not asked for yet.
    speaker = np.where(events.kind == KIND_ACK, events.dst, events.src)
    for place, rank in enumerate(ranks):
        own = np.flatnonzero(speaker == place)
        number[own] = np.searchsorted(
            by_rank.get(id(rank), whole), events.start_ns[own], side="right"
        )
    _number_by_bytes(events, number, count)
    if events.answered is not None:
        # Of a message that was late the ACK comes when its sender is further on.
        answers = np.flatnonzero(events.answered >= 0)
        number[answers] = number[events.answered[answers]]
    data = np.flatnonzero(events.kind < KIND_CONTROL)
    mean = events.matrix_of(data) / count
    pattern = complete_pattern(mean, events.slack_bytes)
    found = []
    for iteration in range(count):
        rows = np.flatnonzero(number == iteration)
        segment = Segment(rows, mean, pattern)
        set_times(events, segment)
        found.append(segment)
    return found
