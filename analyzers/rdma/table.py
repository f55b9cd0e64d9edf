"""The queue-pair table: RDMA state of one run, a direction each, bounded.

A direction is (source, destination, destination QP), plus the source QP for UD. The metrics are
those of the field's definitions: a packet seen again is a retransmission; a PSN that is missing
was lost in the network if it was asked for or sent again, by the collector if it was acknowledged.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.rdma import layout
from fabricscope.analyzers.rdma.kernels import follow_queue_pairs
from fabricscope.analyzers.rdma.layout import CURSOR_MESSAGES, CURSOR_QUEUE_FREE, CURSOR_SLOTS
from fabricscope.analyzers.rdma.settlement.kernels import pair_by_numbers, settle_at_end
from fabricscope.analyzers.timeline.fold import TIMELINE_BINS
from fabricscope.records import Packets

MANAGEMENT_QPS: Final = 2  # queue pairs 0 and 1 carry management datagrams


class QueuePairs(Protocol):
    """What those who ask about queue pairs need: a table, or a copy of what it holds."""

    @property
    def queue_pairs(self) -> NDArray[np.void]:
        """QP_DTYPE records (slots,); read only."""
        ...

    def events(self, kind: int) -> NDArray[np.void]:
        """Return the EVENT_DTYPE records kept of `kind`, the first ones in time."""
        ...


class QueuePairTable:
    """Queue pairs of one run; `update` each batch after the flow table, `finish` once."""

    def __init__(
        self,
        *,
        capacity: int = 65_536,
        flow_capacity: int = 262_144,
        queue_entries: int = 262_144,
        batch_rows: int = 65_536,
    ) -> None:
        """Prepare an empty table of `capacity` directions; memory is touched as it is used."""
        self._state = layout.RdmaState(
            index=np.zeros(1 << (2 * capacity - 1).bit_length(), np.int32),
            pairs=np.zeros(1 << (2 * capacity - 1).bit_length(), np.int32),
            hints=np.zeros(2 * flow_capacity, np.int32),
            seen=np.zeros(1, layout.SEEN_DTYPE).view(np.recarray),
            qps=np.zeros(capacity, layout.QP_DTYPE).view(np.recarray),
            trackers=np.zeros(2 * capacity, layout.TRACKER_DTYPE).view(np.recarray),
            queue=np.zeros(queue_entries, layout.QUEUE_DTYPE).view(np.recarray),
            queue_free=np.arange(queue_entries, dtype=np.int32)[::-1].copy(),
            events=np.zeros((layout.EVENT_KINDS, layout.EVENTS_PER_KIND), layout.EVENT_DTYPE).view(
                np.recarray
            ),
            event_counts=np.zeros(layout.EVENT_KINDS, np.int64),
            messages=np.zeros(2 * batch_rows, layout.MESSAGE_DTYPE).view(np.recarray),
            cursor=np.zeros(3, np.int64),
            counters=np.zeros(len(layout.COUNTERS), np.int64),
            timeline=np.zeros((TIMELINE_BINS, len(layout.SERIES)), np.int64),
            timeline_scale=np.array([-1, 10], np.int64),
        )
        self._state.cursor[CURSOR_QUEUE_FREE] = queue_entries
        self._finished = False

    def update(
        self,
        packets: Packets,
        flow: NDArray[np.int64],
        side: NDArray[np.uint8],
        queue_pair: NDArray[np.int64],
    ) -> NDArray[np.void]:
        """Advance by a batch; `queue_pair` (int64) gets each packet's slot, -1 for none.

        Returns the messages that were completed, `layout.MESSAGE_DTYPE`, valid until the next call.
        """
        self._state.cursor[CURSOR_MESSAGES] = 0
        follow_queue_pairs(self._state, packets, flow, side, queue_pair)
        return self._state.messages[: self._state.cursor[CURSOR_MESSAGES]]

    def pair(self, one: int, other: int) -> None:
        """Pair two slots by what a connection set-up said."""
        pair_by_numbers(self._state, one, other)

    def finish(self) -> None:
        """Settle what is open; after this the results may be read."""
        if not self._finished:
            settle_at_end(self._state, self.slots)
            self._finished = True

    @property
    def slots(self) -> int:
        """Directions seen."""
        return int(self._state.cursor[CURSOR_SLOTS])

    @property
    def queue_pairs(self) -> NDArray[np.void]:
        """QP_DTYPE records (slots,); read only."""
        return self._state.qps[: self.slots]

    @property
    def state(self) -> layout.RdmaState:
        """Everything else: operations, sketches, events, timeline."""
        return self._state

    def events(self, kind: int) -> NDArray[np.void]:
        """Return the EVENT_DTYPE records kept of `kind`, the first ones in time."""
        kept = min(int(self._state.event_counts[kind]), layout.EVENTS_PER_KIND)
        return self._state.events[kind, :kept]

    @property
    def counters(self) -> dict[str, int]:
        """What was left out because a bound was reached."""
        return dict(zip(layout.COUNTERS, self._state.counters.tolist(), strict=True))
