"""Walks the blocks of a TPACKET_V3 ring.

`view` (uint8) is the mapped ring; the kernel of the operating system owns a block until its status
says otherwise. Layout of the headers: linux/if_packet.h, see also `ring`.
"""

import numpy as np
from numba import njit

from fabricscope.collectors.capture.read.kernels import load_u32

BLOCK_STATUS = 8
BLOCK_PACKETS = 12
BLOCK_FIRST = 16
NEXT = 0
SECONDS = 4
NANOSECONDS = 8
CAPTURED = 12
WIRE = 16
STATUS = 20
MAC = 24
VLAN_TAG = 32
VLAN_TYPE = 36
VLAN_VALID = 0x10
VLAN_TYPE_VALID = 0x40
TAG_BYTES = 4
_MACS_BYTES = 12
_ETHERNET = 1
_CTAG = 0x8100
_SECOND_NS = 1_000_000_000


@njit(cache=True, nogil=True, _nrt=False)
def walk_block(view, packets, row, position, left, tap, first_frame):
    """Fill rows from packet `position` (byte offset in `view`) on; `left` packets remain.

    Returns (row, position, left) after the last row filled. A VLAN tag that the network card took
    out is put back in its place, into the 4 bytes that are kept free in front of each packet.
    """
    rows = packets.time_ns.shape[0]
    while left > 0 and row < rows:
        captured = np.int64(load_u32(view, position + CAPTURED, None))
        wire = np.int64(load_u32(view, position + WIRE, None))
        status = np.int64(load_u32(view, position + STATUS, None))
        at = position + np.int64(view[position + MAC]) + (np.int64(view[position + MAC + 1]) << 8)
        if status & VLAN_VALID and captured >= _MACS_BYTES:
            at -= TAG_BYTES
            for place in range(at, at + _MACS_BYTES):
                view[place] = view[place + TAG_BYTES]
            kind = np.int64(_CTAG)
            if status & VLAN_TYPE_VALID:
                kind = np.int64(load_u32(view, position + VLAN_TYPE, None)) & 0xFFFF
            tag = np.int64(load_u32(view, position + VLAN_TAG, None)) & 0xFFFF
            view[at + 12] = kind >> 8
            view[at + 13] = kind & 0xFF
            view[at + 14] = tag >> 8
            view[at + 15] = tag & 0xFF
            captured += TAG_BYTES
            wire += TAG_BYTES
        packets.time_ns[row] = (
            np.int64(load_u32(view, position + SECONDS, None)) * _SECOND_NS
        ) + np.int64(load_u32(view, position + NANOSECONDS, None))
        packets.frame[row] = first_frame + row
        packets.packet_offset[row] = at
        packets.wire_length[row] = wire
        packets.captured_length[row] = captured
        packets.tap[row] = tap
        packets.link_type[row] = _ETHERNET
        row += 1
        left -= 1
        if left > 0:
            position += np.int64(load_u32(view, position + NEXT, None))
    return row, position, left
