"""Walks the blocks of a TPACKET_V3 ring, and takes mirrored packets out of their tunnels.

`view` (uint8) is the mapped ring; the kernel of the operating system owns a block until its status
says otherwise. Layout of the headers: linux/if_packet.h, see also `ring`.
"""

import numpy as np
from numba import njit

from fabricscope.collectors.capture.read.kernels import load_u32
from fabricscope.collectors.mirror.layout import (
    ERSPAN,
    GRE,
    KEY_ADDRESS_HI,
    KEY_ADDRESS_LO,
    KEY_RING,
    KEY_SESSION,
    SESSION_SHIFT,
    VXLAN,
)

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


_RAW_IP = 101
_IPV4 = 0x0800
_IPV6 = 0x86DD
_QTAG = 0x88A8
_TRANSPARENT_BRIDGING = 0x6558
_ERSPAN_II = 0x88BE
_ERSPAN_III = 0x22EB
_PROTOCOL_GRE = 47
_PROTOCOL_UDP = 17
_DESTINATION_OPTIONS = 60
_VXLAN_PORT = 4789
_V4_MAPPED = np.uint64(0xFFFF_0000_0000)
_LONGEST_FRAME = 16_384
_ETHERNET_BYTES = 14


@njit(cache=True, nogil=True, _nrt=False)
def load_be16(view, at):
    """Return two bytes in network order."""
    return np.int64(view[at]) << 8 | np.int64(view[at + 1])


@njit(cache=True, nogil=True, _nrt=False)
def skip_ethernet(view, at, end):
    """Return (Ethertype, first byte after it and up to two VLAN tags); Ethertype -1 if cut."""
    if at + _ETHERNET_BYTES > end:
        return np.int64(-1), at
    kind = load_be16(view, at + 12)
    at += _ETHERNET_BYTES
    for _ in range(2):
        if kind in (_CTAG, _QTAG) and at + 4 <= end:
            kind = load_be16(view, at + 2)
            at += 4
    return kind, at


@njit(cache=True, nogil=True, _nrt=False)
def enter_gre(view, at, end):
    """Return (tunnel, session, first inner byte, link type) of a GRE header; tunnel 0: no mirror.

    Sessions: of ERSPAN the session ID (0 for type I), of plain GRE the key (0 without one).
    """
    nothing = (np.int64(0), np.int64(0), at, np.int64(0))
    if at + 4 > end:
        return nothing
    flags = load_be16(view, at)
    protocol = load_be16(view, at + 2)
    if flags & 0x4007:  # source routing, or another version
        return nothing
    at += 4 + (4 if flags & 0x8000 else 0)
    key = np.int64(0)
    if flags & 0x2000:
        if at + 4 > end:
            return nothing
        key = load_be16(view, at) << 16 | load_be16(view, at + 2)
        at += 4
    at += 4 if flags & 0x1000 else 0
    if protocol == _TRANSPARENT_BRIDGING:
        return np.int64(GRE), key, at, np.int64(_ETHERNET)
    if protocol in (_IPV4, _IPV6):
        return np.int64(GRE), key, at, np.int64(_RAW_IP)
    if protocol == _ERSPAN_II and not flags & 0x1000:
        return np.int64(ERSPAN), np.int64(0), at, np.int64(_ETHERNET)
    if protocol == _ERSPAN_II and at + 8 <= end:
        return np.int64(ERSPAN), load_be16(view, at + 2) & 0x3FF, at + 8, np.int64(_ETHERNET)
    if protocol == _ERSPAN_III and at + 12 <= end:
        tail = load_be16(view, at + 10)
        frame_type = tail >> 10 & 0x1F
        session = load_be16(view, at + 2) & 0x3FF
        at += 20 if tail & 1 else 12
        if frame_type == 0:
            return np.int64(ERSPAN), session, at, np.int64(_ETHERNET)
        if frame_type == 2:
            return np.int64(ERSPAN), session, at, np.int64(_RAW_IP)
    return nothing


@njit(cache=True, nogil=True, _nrt=False)
def stated_length(view, at, end, link_type):
    """Return how long the mirrored frame was by its own IP header; 0 if that says nothing."""
    kind, network = np.int64(0), at
    if link_type == _ETHERNET:
        kind, network = skip_ethernet(view, at, end)
    elif at < end:
        kind = np.int64(_IPV4) if view[at] >> 4 == 4 else np.int64(_IPV6)
    length = np.int64(0)
    if kind == _IPV4 and network + 4 <= end:
        length = load_be16(view, network + 2)
    elif kind == _IPV6 and network + 6 <= end:
        length = load_be16(view, network + 4) + 40
    return length + network - at if length else np.int64(0)


@njit(cache=True, nogil=True, _nrt=False)
def unwrap_mirrors(view, packets, first_row, wanted, keys, used, first_tap, found):
    """Make rows from `first_row` on begin at the mirrored frame; returns the row to go on from.

    `wanted`: ERSPAN, VXLAN and GRE bits; rows of other kinds stay as they are, as do fragments and
    cut tunnel headers. `keys` (taps, 4; uint64): the taps known, `used` of them; the tap of a row
    becomes `first_tap` plus its place there. Stops at a row of a new tap with its key in `found`;
    when `keys` is full, later taps share the number after the last.
    """
    for row in range(first_row, packets.time_ns.shape[0]):
        start = packets.packet_offset[row]
        end = start + np.int64(packets.captured_length[row])
        wire_end = start + np.int64(packets.wire_length[row])
        kind, at = skip_ethernet(view, start, end)
        hi, lo = np.uint64(0), np.uint64(0)
        protocol = np.int64(0)
        if kind == _IPV4 and at + 20 <= end and view[at] >> 4 == 4:
            total = load_be16(view, at + 2)
            if load_be16(view, at + 6) & 0x3FFF:
                continue
            if total:
                wire_end = min(wire_end, at + total)
            protocol = np.int64(view[at + 9])
            address = load_be16(view, at + 12) << 16 | load_be16(view, at + 14)
            lo = _V4_MAPPED | np.uint64(address)
            at += np.int64(view[at] & 15) * 4
        elif kind == _IPV6 and at + 40 <= end and view[at] >> 4 == 6:
            wire_end = min(wire_end, at + 40 + load_be16(view, at + 4))
            protocol = np.int64(view[at + 6])
            for place in range(8):
                hi = hi << np.uint64(8) | np.uint64(view[at + 8 + place])
                lo = lo << np.uint64(8) | np.uint64(view[at + 16 + place])
            at += 40
            if protocol == _DESTINATION_OPTIONS and at + 8 <= end:
                protocol = np.int64(view[at])
                at += 8 + np.int64(view[at + 1]) * 8
        end = min(end, wire_end)
        tunnel, session, link_type = np.int64(0), np.int64(0), np.int64(_ETHERNET)
        if protocol == _PROTOCOL_GRE:
            tunnel, session, at, link_type = enter_gre(view, at, end)
        elif (
            protocol == _PROTOCOL_UDP
            and at + 16 <= end
            and load_be16(view, at + 2) == _VXLAN_PORT
            and view[at + 8] & 0x08
        ):
            tunnel = np.int64(VXLAN)
            session = load_be16(view, at + 12) << 8 | np.int64(view[at + 14])
            at += 16
        if not tunnel & wanted or at + _ETHERNET_BYTES > end:
            continue
        found[KEY_SESSION] = np.uint64(tunnel << SESSION_SHIFT | session)
        found[KEY_ADDRESS_HI] = hi
        found[KEY_ADDRESS_LO] = lo
        found[KEY_RING] = np.uint64(packets.tap[row])
        tap = np.int64(0)
        while tap < used and not (
            keys[tap, KEY_SESSION] == found[KEY_SESSION]
            and keys[tap, KEY_ADDRESS_HI] == hi
            and keys[tap, KEY_ADDRESS_LO] == lo
            and keys[tap, KEY_RING] == found[KEY_RING]
        ):
            tap += 1
        if tap == used and used < keys.shape[0]:
            return row
        packets.tap[row] = first_tap + tap
        packets.packet_offset[row] = at
        packets.captured_length[row] = end - at
        stated = stated_length(view, at, end, link_type)
        # A switch that cuts what it mirrors leaves the length in the IP header.
        packets.wire_length[row] = max(wire_end - at, stated if stated < _LONGEST_FRAME else 0)
        packets.link_type[row] = link_type
    return packets.time_ns.shape[0]
