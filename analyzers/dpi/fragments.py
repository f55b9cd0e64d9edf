"""Fragmented IP datagrams put together, up to the first bytes that a head can hold.

Bounded: `MAX_PENDING` datagrams at once; the oldest incomplete one is handed on as it is.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.dpi.state import HEAD_BYTES
from fabricscope.records import FLAG_LATER_FRAGMENT, Packets

MAX_PENDING: Final = 256
MAX_PIECES: Final = 64

Assembled = tuple[bytes, int, int, int, int]
"""Payload, its length on the wire, TCP sequence number, slot, side."""


@dataclass
class _Datagram:
    slot: int = -1
    side: int = 0
    header_bytes: int = 0
    total: int = 0
    sequence: int = 0
    pieces: dict[int, bytes] = field(default_factory=dict)
    present: int = 0
    end: int = -1

    def keep(self, offset: int, piece: bytes) -> None:
        """Keep a piece; the first copy wins."""
        if offset not in self.pieces:
            self.pieces[offset] = piece
            self.present += len(piece)


class FragmentTable:
    """Fragments of datagrams that are not complete yet."""

    def __init__(self) -> None:
        """Start empty."""
        self.dropped = 0
        self._pending: dict[tuple[int, ...], _Datagram] = {}

    def add(
        self, view: NDArray[np.uint8], packets: Packets, row: int, slot: int, side: int
    ) -> Assembled | None:
        """Take in the fragment in `row`; return a datagram that is complete or must make room."""
        place = _fragment_place(view, packets, row)
        if place is None:
            self.dropped += 1
            return None
        offset, more = place
        key = (
            int(packets.src_hi[row]), int(packets.src_lo[row]), int(packets.dst_hi[row]),
            int(packets.dst_lo[row]), int(packets.ip_id[row]), int(packets.ip_protocol[row]),
        )  # fmt: skip
        evicted = None
        if key not in self._pending:
            if len(self._pending) >= MAX_PENDING:
                oldest = next(iter(self._pending))
                evicted = _assemble(self._pending.pop(oldest))
                self.dropped += evicted is None
            self._pending[key] = _Datagram()
        datagram = self._pending[key]
        start = int(packets.payload_offset[row])
        stop = int(packets.packet_offset[row]) + int(packets.captured_length[row])
        stop = max(start, min(stop, start + int(packets.payload_length[row]), start + HEAD_BYTES))
        if not packets.flags[row] & FLAG_LATER_FRAGMENT:
            datagram.slot, datagram.side = slot, side
            datagram.header_bytes = 8 if int(packets.ip_protocol[row]) == 17 else 20
            datagram.total = int(packets.payload_length[row])
            datagram.sequence = int(packets.tcp_seq[row])
            datagram.keep(0, view[start:stop].tobytes())
        elif len(datagram.pieces) < MAX_PIECES:
            datagram.keep(offset, view[start:stop].tobytes())
            if not more:
                datagram.end = offset + int(packets.payload_length[row])
        else:
            self.dropped += 1
        if datagram.end < 0 and datagram.present < HEAD_BYTES:
            return evicted
        done = _assemble(datagram, complete_only=True)
        if done is not None:
            del self._pending[key]
            return done
        return evicted

    def flush(self) -> list[Assembled]:
        """Return all datagrams whose first part is known, complete or not, and forget them."""
        assembled = [_assemble(datagram) for datagram in self._pending.values()]
        self._pending.clear()
        return [datagram for datagram in assembled if datagram is not None]


def _fragment_place(view: NDArray[np.uint8], packets: Packets, row: int) -> tuple[int, bool] | None:
    """Return offset in bytes and the more-fragments flag of a fragment; None if unreadable."""
    if not packets.flags[row] & FLAG_LATER_FRAGMENT:
        return 0, True
    start = int(packets.payload_offset[row])
    first = int(packets.packet_offset[row])
    if packets.ethertype[row] == 0x86DD and start - first >= 48:
        field_value = int(view[start - 6]) << 8 | int(view[start - 5])
        return field_value & 0xFFF8, bool(field_value & 1)
    for header_bytes in range(20, 64, 4):
        ip = start - header_bytes
        if ip < first:
            return None
        if view[ip] == 0x40 | header_bytes // 4:
            field_value = int(view[ip + 6]) << 8 | int(view[ip + 7])
            return (field_value & 0x1FFF) * 8, bool(field_value & 0x2000)
    return None


def _assemble(datagram: _Datagram, *, complete_only: bool = False) -> Assembled | None:
    """Join the contiguous pieces from the first on."""
    if 0 not in datagram.pieces:
        return None
    data = bytearray(datagram.pieces[0])
    for offset in sorted(datagram.pieces):
        at = offset - datagram.header_bytes
        if offset and at <= len(data):
            data += datagram.pieces[offset][len(data) - at :]
    complete = len(data) >= HEAD_BYTES or (
        datagram.end >= 0 and len(data) >= datagram.end - datagram.header_bytes
    )
    if complete_only and not complete:
        return None
    total = datagram.total
    if datagram.end >= 0:
        total = datagram.end - datagram.header_bytes
    return bytes(data[:HEAD_BYTES]), total, datagram.sequence, datagram.slot, datagram.side
