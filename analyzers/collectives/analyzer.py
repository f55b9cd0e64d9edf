"""The analyzer of training jobs: takes batches, keeps transfers, and recognises at the end.

Memory is bounded: when the list of transfers fills up, neighbours on a channel are joined, first
those with short pauses between them; what a bound still costs is counted.
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives import layout
from fabricscope.analyzers.collectives.compaction.kernels import join_neighbours
from fabricscope.analyzers.collectives.layout import CURSOR_CHANNELS, CURSOR_TRANSFERS
from fabricscope.analyzers.collectives.transfers.kernels import (
    close_acks,
    close_transfer,
    follow_transfers,
)
from fabricscope.analyzers.flows.table import FlowTable
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.records import BATCH_ROWS, PROTOCOLS, Packets

if TYPE_CHECKING:
    from fabricscope.analyzers.collectives.results import CollectiveResult

FIRST_PAUSE_NS: Final = 1_000

_STOPS: Final = (PROTOCOLS.index("pause"), PROTOCOLS.index("pfc"))
FULL_PART: Final = 0.75
LATELY_NS: Final = (5_000_000_000, 1_000_000_000)
"""When such a part of the channels is taken, those without transfers are forgotten; where that does
not leave half of them, TCP's that were silent for so long too."""

MAX_STOPS: Final = 65_536
"""Pause frames whose times are kept, the latest ones."""


class CollectiveAnalyzer:
    """Jobs and collectives of one run; `update` each batch in order of time, `finish` once."""

    def __init__(
        self,
        *,
        flow_capacity: int = 262_144,
        queue_pair_capacity: int = 65_536,
        max_channels: int = layout.MAX_CHANNELS,
        max_transfers: int = layout.MAX_TRANSFERS,
    ) -> None:
        """Prepare empty tables; memory is touched as it is used."""
        self._state = layout.TransferState(
            flow_channels=np.zeros(2 * flow_capacity, np.int32),
            qp_channels=np.zeros(queue_pair_capacity, np.int32),
            channels=np.zeros(max_channels, layout.CHANNEL_DTYPE),
            transfers=np.zeros(max_transfers, layout.TRANSFER_DTYPE),
            cursor=np.zeros(2, np.int64),
            counters=np.zeros(len(layout.COUNTERS), np.int64),
        )
        self._pause_ns = FIRST_PAUSE_NS
        self._end_ns = 0
        self._stops_ns: deque[int] = deque(maxlen=MAX_STOPS)

    def update(
        self,
        packets: Packets,
        flow: NDArray[np.int64],
        side: NDArray[np.uint8],
        queue_pair: NDArray[np.int64],
        messages: NDArray[np.void] | None = None,
    ) -> None:
        """Take in a batch after the flow and the queue-pair table have seen it.

        `messages` is not needed: transfers are cut here by PSN, so that bytes that the mirror
        missed are counted too; it may be left out.
        """
        follow_transfers(self._state, packets, flow, side, queue_pair)
        if packets.time_ns.size:
            self._end_ns = max(self._end_ns, int(packets.time_ns[-1]))
        stops = (packets.protocol == _STOPS[0]) | (packets.protocol == _STOPS[1])
        self._stops_ns.extend(packets.time_ns[stops].tolist())
        spare = self._state.transfers.size - int(self._state.cursor[CURSOR_TRANSFERS])
        if spare < min(3 * BATCH_ROWS, self._state.transfers.size // 4):
            self._compact()

    def flow_closed(self, slots: NDArray[np.int64]) -> None:
        """Forget the channels of flows that ended, before the flow table uses their slots again."""
        for side in (0, 1):
            places = 2 * slots + side
            channels = self._state.flow_channels[places].astype(np.int64) - 1
            for channel in channels[channels >= 0].tolist():
                close_transfer(self._state, channel, False)
            self._state.flow_channels[places] = 0

    def finish(
        self, flows: FlowTable, queue_pairs: QueuePairTable, captures: Sequence[str] = ()
    ) -> "CollectiveResult":
        """Recognise jobs and collectives; after this no batch may follow.

        captures: the name of each tap's capture, for the frames of findings.
        """
        # Needed once, at the end: its import can wait until packets are under way.
        from fabricscope.analyzers.collectives.recognition import recognise

        self._close_all()
        return recognise(
            self.channels,
            self.transfers,
            self.counters,
            queue_pairs,
            self._end_ns,
            captures,
            np.sort(np.array(self._stops_ns, np.int64)),
        )

    def _close_all(self) -> None:
        for channel in range(int(self._state.cursor[CURSOR_CHANNELS])):
            close_transfer(self._state, channel, False)
            close_acks(self._state, channel)

    def snapshot(self, *, last: bool = False) -> tuple[NDArray[np.void], NDArray[np.void]]:
        """Return copies of the transfers held and of the channels that they are on.

        Batches may follow. last: nothing will follow, so that what is under way has ended.
        """
        if last:
            self._close_all()
        transfers = self.transfers.copy()
        used = np.zeros(len(self.channels), np.bool_)
        used[transfers["channel"]] = True
        transfers["channel"] = (np.cumsum(used) - 1)[transfers["channel"]]
        return self.channels[used], transfers

    def forget_before(self, time_ns: int) -> None:
        """Drop transfers that ended before `time_ns`; what is under way stays."""
        state = self._state
        kept = self.transfers[self.transfers["end_ns"] >= time_ns]
        state.transfers[: kept.size] = kept
        state.cursor[CURSOR_TRANSFERS] = kept.size
        state.channels["place"] = -1
        if len(self.channels) >= FULL_PART * state.channels.size:
            self._make_room(time_ns)

    def _make_room(self, time_ns: int) -> None:
        """Forget channels that were silent since `time_ns`, more of TCP's where these are many."""
        channels, transfers = self.channels, self.transfers
        heard_ns = np.maximum(channels["end_ns"], channels["ack_end_ns"])
        np.maximum.at(heard_ns, transfers["channel"], transfers["end_ns"])
        kept = heard_ns >= time_ns
        for lately_ns in LATELY_NS:
            if np.count_nonzero(kept) > self._state.channels.size // 2:
                kept &= (channels["qp"] >= 0) | (heard_ns >= self._end_ns - lately_ns)
        self._keep_channels(kept)

    def queue_pairs_moved(self, moved: NDArray[np.int64]) -> None:
        """Follow queue pairs to their new slots; the channels of those without one are forgotten.

        moved: the new slot by slot, -1 for none.
        """
        state = self._state
        channels = self.channels
        over_rdma = channels["qp"] >= 0
        channels["qp"][over_rdma] = moved[channels["qp"][over_rdma]]
        by_slot = state.qp_channels[: len(moved)].copy()
        state.qp_channels[:] = 0
        state.qp_channels[moved[moved >= 0]] = by_slot[moved >= 0]
        self._keep_channels(~over_rdma | (channels["qp"] >= 0))

    def _keep_channels(self, kept: NDArray[np.bool_]) -> None:
        """Close up the channels that are kept, and drop the transfers of the others."""
        state, used = self._state, len(self.channels)
        moved = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        transfers = self.transfers
        transfers = transfers[kept[transfers["channel"]]]
        transfers["channel"] = moved[transfers["channel"]]
        state.transfers[: transfers.size] = transfers
        state.cursor[CURSOR_TRANSFERS] = transfers.size
        channels = self.channels[kept]
        state.channels[: channels.size] = channels
        state.channels[channels.size : used] = np.zeros(1, layout.CHANNEL_DTYPE)
        state.channels["place"] = -1
        state.cursor[CURSOR_CHANNELS] = channels.size
        for numbers in (state.flow_channels, state.qp_channels):
            known = np.flatnonzero(numbers)
            numbers[known] = moved[numbers[known] - 1] + 1

    @property
    def channels(self) -> NDArray[np.void]:
        """CHANNEL_DTYPE records, a direction of a connection each; read only."""
        return self._state.channels[: self._state.cursor[CURSOR_CHANNELS]]

    @property
    def transfers(self) -> NDArray[np.void]:
        """TRANSFER_DTYPE records in the order in which they ended; read only."""
        return self._state.transfers[: self._state.cursor[CURSOR_TRANSFERS]]

    @property
    def counters(self) -> dict[str, int]:
        """Totals by the names of `layout.COUNTERS`: what was left out, and what the mirror lost."""
        return dict(zip(layout.COUNTERS, self._state.counters.tolist(), strict=True))

    def _compact(self) -> None:
        """Join transfers until at least half of the list is free or pauses of a second are gone."""
        state = self._state
        kept = int(state.cursor[CURSOR_TRANSFERS])
        later = np.empty(4 * state.channels.size, np.int32)
        while kept > state.transfers.size // 2 and self._pause_ns <= 1_000_000_000:
            kept = int(join_neighbours(state.transfers[:kept], later, self._pause_ns))
            self._pause_ns *= 4
        state.channels["place"] = -1
        state.cursor[CURSOR_TRANSFERS] = kept
        state.counters[layout.COUNTERS.index("compactions")] += 1
