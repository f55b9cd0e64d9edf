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
from fabricscope.analyzers.rdma.lookup.kernels import move_slots
from fabricscope.analyzers.rdma.settlement.kernels import pair_by_numbers, settle_at_end
from fabricscope.analyzers.timeline.fold import TIMELINE_BINS
from fabricscope.records import Packets

MANAGEMENT_QPS: Final = 2  # queue pairs 0 and 1 carry management datagrams

FULL_PART: Final = 0.75
SILENT_NS: Final = (120 * 10**9, 10 * 10**9)
OWING_NS: Final = (600 * 10**9, 120 * 10**9)
"""When such a part of the slots is taken, directions that were silent for so long are forgotten,
those that owe something after more; for the shorter times where the longer leave less than half."""


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

    def make_room(self, now_ns: int, *, always: bool = False) -> NDArray[np.int64] | None:
        """Forget directions that fell silent where the table fills up, or `always`.

        Both directions of a connection stay or go together. Returns the new slot of each, -1 for
        none; None where all stays as it is.
        """
        used = self.slots
        if not always and used < FULL_PART * self._state.qps.size:
            return None
        kept = np.zeros(used, np.bool_)
        for silent_ns, owing_ns in zip(SILENT_NS, OWING_NS, strict=True):
            kept = self._heard_since(now_ns - silent_ns, now_ns - owing_ns)
            if np.count_nonzero(kept) <= self._state.qps.size // 2:
                break
        if kept.all() and not always:
            return None
        return self._keep(kept)

    def _heard_since(self, silent_ns: int, owing_ns: int) -> NDArray[np.bool_]:
        qps = self.queue_pairs
        owes = (qps["queued"] > 0) | (qps["nak_pending"] > 0) | (qps["recovery"] > 0)
        owes |= qps["open_operation"] != layout.NO_MESSAGE
        kept = qps["last_ns"] >= np.where(owes, owing_ns, silent_ns)
        paired = qps["paired"].astype(np.int64)
        return np.asarray(kept | (kept[paired] & (paired >= 0)), np.bool_)

    def _keep(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        state, used = self._state, self.slots
        moved = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int64)
        state.index[:] = 0
        state.pairs[:] = 0
        move_slots(state, moved)
        state.qps[self.slots : used] = np.zeros(1, layout.QP_DTYPE)
        state.trackers[2 * self.slots : 2 * used] = np.zeros(1, layout.TRACKER_DTYPE)
        known = np.flatnonzero(state.hints)
        state.hints[known] = moved[state.hints[known] - 1] + 1
        for kind in range(layout.EVENT_KINDS):
            events = self.events(kind)
            self._set_events(kind, events[kept[events["qp"]]])
            events = self.events(kind)
            events["qp"] = moved[events["qp"]]
        return moved

    def forget_events(self, time_ns: int) -> None:
        """Forget events before `time_ns`, so that there is room for later ones."""
        for kind in range(layout.EVENT_KINDS):
            events = self.events(kind)
            if len(events) and events["time_ns"].min() < time_ns:
                self._set_events(kind, events[events["time_ns"] >= time_ns])

    def _set_events(self, kind: int, events: NDArray[np.void]) -> None:
        self._state.events[kind, : len(events)] = events
        self._state.event_counts[kind] = len(events)

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
