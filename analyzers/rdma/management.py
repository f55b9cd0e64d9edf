"""Management datagrams on queue pairs 0 and 1: who set up which connection."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_text
from fabricscope.analyzers.connection_manager import ConnectionTracker, Direction
from fabricscope.records import Packets

MAD_BYTES: Final = 256
_UD: Final = 3


class ManagementWatch:
    """Feeds the datagrams of a run to the connection tracker."""

    def __init__(self) -> None:
        """Start with no connection known."""
        self.connections = ConnectionTracker()

    def update(
        self, view: NDArray[np.uint8], packets: Packets, queue_pair: NDArray[np.int64]
    ) -> None:
        """Read the management datagrams of a batch."""
        rows = np.flatnonzero((packets.dest_qp <= 1) & (queue_pair >= 0))
        for i in rows.tolist():
            if packets.opcode[i] >> 5 != _UD:
                continue
            start = int(packets.payload_offset[i])
            end = int(packets.packet_offset[i]) + int(packets.captured_length[i])
            payload = view[start : min(end, start + MAD_BYTES)].tobytes()
            self.connections.observe(
                int(packets.time_ns[i]),
                int(packets.frame[i]),
                address_text(int(packets.src_hi[i]), int(packets.src_lo[i]), infiniband=True),
                address_text(int(packets.dst_hi[i]), int(packets.dst_lo[i]), infiniband=True),
                payload,
            )

    def pairs(self, queue_pairs: NDArray[np.void]) -> Iterator[tuple[int, int]]:
        """Yield the slots that a set-up named as the two directions of one connection."""
        reverse = self.connections.pairs()
        if not reverse:
            return
        slots: dict[Direction, int] = {}
        for slot, qp in enumerate(queue_pairs):
            source = address_text(int(qp["src_hi"]), int(qp["src_lo"]), infiniband=True)
            target = address_text(int(qp["dst_hi"]), int(qp["dst_lo"]), infiniband=True)
            slots[Direction(source, target, int(qp["dest_qp"]))] = slot
        for direction, other in reverse.items():
            if direction in slots and other in slots:
                yield slots[direction], slots[other]
