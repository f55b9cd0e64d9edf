"""Walk the records of capture files in place: bytes in, record columns out.

Kernels only: no files, no decisions about damage. What a record means beyond its own header is
the decoder's. Every kernel reads `view` (uint8, owned by the source, never written) and appends to
the seven record columns (owned by the caller) from row `state[ROW]` on.
"""

from typing import Final

import numpy as np
from numba import njit

# Indexes into `state`, int64, owned by the walker: where the walk stands and what it has counted.
POSITION: Final = 0  # next byte to read, into the view
STOP: Final = 1  # end of the valid bytes of the view
ROW: Final = 2  # next row to fill
FRAME: Final = 3  # records given so far
STATUS: Final = 4  # why the kernel returned, see below
NEED: Final = 5  # bytes wanted from POSITION on, when the status is SHORT
ACCEPT_CUT: Final = 6  # 1: give the record that the end of the input cuts, if its header is there
LAST_TIME: Final = 7  # time_ns of the last record
CAPTURED_BYTES: Final = 8
WIRE_BYTES: Final = 9
UNREADABLE_BYTES: Final = 10
UNREADABLE_RECORDS: Final = 11
IMPOSSIBLE_TIMES: Final = 12
STATE_SIZE: Final = 13

FULL: Final = 0  # no more rows, or enough bytes for one batch
SHORT: Final = 1  # the record at POSITION is not complete
BAD: Final = 2  # the record at POSITION claims an impossible length
BLOCK: Final = 3  # pcapng: a section header or interface description stands at POSITION

# Indexes into `layout`, int64: what the file header says about every record.
BIG_ENDIAN: Final = 0
HEADER_BYTES: Final = 1  # pcap record header
FRACTION_NS: Final = 2  # nanoseconds per unit of the second half of a pcap timestamp
RECORD_LIMIT: Final = 3  # most bytes that one record (pcapng: block) may claim
SPAN_LIMIT: Final = 4  # most bytes of the view that one call walks over
LINK_TYPE: Final = 5
TAP: Final = 6
INTERFACES: Final = 7  # pcapng: interfaces of the section so far
LAYOUT_SIZE: Final = 8

# Columns of the pcapng interface table, int64, one row an interface.
IF_LINK_TYPE: Final = 0
IF_TAP: Final = 1
IF_SNAP_LENGTH: Final = 2  # 0: no limit
IF_EXPONENT: Final = 3  # of the timestamp unit
IF_BINARY: Final = 4  # 1: the unit is 2**-exponent s, 0: 10**-exponent s
IF_OFFSET_S: Final = 5
IF_COLUMNS: Final = 6

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
OBSOLETE_PACKET: Final = 2
SIMPLE_PACKET: Final = 3
ENHANCED_PACKET: Final = 6

LINK_ETHERNET: Final = 1
LINK_RAW_IP: Final = 101
LINK_ERF: Final = 197
LINK_INFINIBAND: Final = 247
ERF_HEADER_BYTES: Final = 16
ERF_PAD: Final = 48

HALF_FRACTION: Final = 1 << 31  # rounds an ERF timestamp to the nearest nanosecond
SECOND_NS: Final = 1_000_000_000
MAX_TIME_NS: Final = 0x7FFF_FFFF_FFFF_FFFF
MAX_TIME_S: Final = MAX_TIME_NS // SECOND_NS - 1
MAX_WIRE_BYTES: Final = 0xFFFF_FFFF


@njit(cache=True, nogil=True)
def load_u32(view, at, big_endian):
    """Return the unsigned 32-bit integer at offset `at` as int64."""
    a = np.int64(view[at])
    b = np.int64(view[at + 1])
    c = np.int64(view[at + 2])
    d = np.int64(view[at + 3])
    if big_endian:
        return (a << 24) | (b << 16) | (c << 8) | d
    return (d << 24) | (c << 16) | (b << 8) | a


@njit(cache=True, nogil=True)
def load_u16(view, at, big_endian):
    """Return the unsigned 16-bit integer at offset `at` as int64."""
    a = np.int64(view[at])
    b = np.int64(view[at + 1])
    if big_endian:
        return (a << 8) | b
    return (b << 8) | a


@njit(cache=True, nogil=True)
def unwrap_erf(view, at, captured, wire):
    """Return offset, captured and wire bytes and link type of the packet inside an ERF record.

    `at` is the ERF record header. A record too short for its headers, and every kind but Ethernet,
    IP and InfiniBand, stays what it is: LINK_ERF, from its first byte.
    """
    if captured < ERF_HEADER_BYTES:
        return at, captured, wire, LINK_ERF
    kind = np.int64(view[at + 8]) & 0x7F
    more = np.int64(view[at + 8]) & 0x80
    skip = ERF_HEADER_BYTES
    while more and skip + 8 <= captured:  # extension headers, 8 bytes each
        more = np.int64(view[at + skip]) & 0x80
        skip += 8
    if kind == 2 or kind == 11 or kind == 16 or kind == 20:  # Ethernet, plain or coloured
        link_type = LINK_ETHERNET
        skip += 2  # offset and pad byte before the destination address
    elif kind == 21:
        link_type = LINK_INFINIBAND
    elif kind == 22 or kind == 23:
        link_type = LINK_RAW_IP
    else:
        return at, captured, wire, LINK_ERF
    if more or skip > captured:
        return at, captured, wire, LINK_ERF
    return at + skip, captured - skip, max(wire - skip, 0), link_type


@njit(cache=True, nogil=True)
def walk_pcap(
    view, time_ns, frame, packet_offset, wire_length, captured_length, tap, link_type, layout, state
):
    """Fill one row per pcap record until the rows, the span or the bytes run out."""
    big_endian = layout[BIG_ENDIAN] != 0
    header_bytes = layout[HEADER_BYTES]
    fraction_ns = layout[FRACTION_NS]
    record_limit = layout[RECORD_LIMIT]
    file_link_type = layout[LINK_TYPE]
    file_tap = layout[TAP]
    position = state[POSITION]
    stop = state[STOP]
    row = state[ROW]
    number = state[FRAME]
    captured_bytes = state[CAPTURED_BYTES]
    wire_bytes = state[WIRE_BYTES]
    span_stop = position + layout[SPAN_LIMIT]
    rows = len(time_ns)
    status = FULL
    while row < rows and position < span_stop:
        at = position + header_bytes
        if at > stop:
            status = SHORT
            state[NEED] = header_bytes
            break
        captured = load_u32(view, position + 8, big_endian)
        if captured > record_limit:
            status = BAD
            break
        after = at + captured
        if after > stop:
            if state[ACCEPT_CUT] == 0:
                status = SHORT
                state[NEED] = header_bytes + captured
                break
            captured = stop - at
            after = stop
        wire = load_u32(view, position + 12, big_endian)
        second = load_u32(view, position, big_endian)
        fraction = load_u32(view, position + 4, big_endian)
        record_link_type = file_link_type
        if file_link_type == LINK_ERF:
            at, captured, wire, record_link_type = unwrap_erf(view, at, captured, wire)
        number += 1
        time_ns[row] = second * SECOND_NS + fraction * fraction_ns
        frame[row] = number
        packet_offset[row] = at
        wire_length[row] = wire
        captured_length[row] = captured
        tap[row] = file_tap
        link_type[row] = record_link_type
        captured_bytes += captured
        wire_bytes += wire
        row += 1
        position = after
    if row > state[ROW]:
        state[LAST_TIME] = time_ns[row - 1]
    state[POSITION] = position
    state[ROW] = row
    state[FRAME] = number
    state[CAPTURED_BYTES] = captured_bytes
    state[WIRE_BYTES] = wire_bytes
    state[STATUS] = status


@njit(cache=True, nogil=True)
def plausible_pcap(view, at, stop, layout, last_second):
    """Return the offset after the record at `at` if its header is believable, else -1."""
    if at + layout[HEADER_BYTES] > stop:
        return -1
    big_endian = layout[BIG_ENDIAN] != 0
    second = load_u32(view, at, big_endian)
    if abs(second - last_second) > 3_600:
        return -1
    if load_u32(view, at + 4, big_endian) * layout[FRACTION_NS] >= SECOND_NS:
        return -1
    captured = load_u32(view, at + 8, big_endian)
    wire = load_u32(view, at + 12, big_endian)
    if captured == 0 or captured > layout[RECORD_LIMIT] or captured > wire:
        return -1
    if wire > layout[RECORD_LIMIT]:
        return -1
    return at + layout[HEADER_BYTES] + captured


@njit(cache=True, nogil=True)
def find_pcap(view, start, scan_stop, stop, layout, last_second):
    """Return the offset of the next believable pcap record in [start, scan_stop), or -1.

    Believable: its own header is, and the record after it is too or begins at `stop` exactly.
    """
    for at in range(start, scan_stop):
        after = plausible_pcap(view, at, stop, layout, last_second)
        if after < 0:
            continue
        if after == stop or plausible_pcap(view, after, stop, layout, last_second) >= 0:
            return at
    return -1


@njit(cache=True, nogil=True)
def ticks_to_ns(high, low, exponent, binary, offset_s):
    """Return nanoseconds since the epoch for a 64-bit count of timestamp units, and 1 if clamped.

    `high` and `low` are the 32-bit halves as int64; the unit is 2**-exponent s if `binary`, else
    10**-exponent s. Exact, rounded down; what does not fit in int64 becomes 0.
    """
    ticks = (np.uint64(high) << np.uint64(32)) | np.uint64(low)
    second_ns = np.uint64(SECOND_NS)
    seconds = np.uint64(0)
    nanoseconds = np.uint64(0)
    if binary != 0:
        if exponent < 64:
            seconds = ticks >> np.uint64(exponent)
            ticks = ticks & ((np.uint64(1) << np.uint64(exponent)) - np.uint64(1))
        if exponent <= 32:
            nanoseconds = (ticks * second_ns) >> np.uint64(exponent)
        elif exponent - 32 < 64:
            # The product needs up to 94 bits, of which the lowest 32 are always shifted out.
            product = (ticks >> np.uint64(32)) * second_ns
            product += ((ticks & np.uint64(0xFFFF_FFFF)) * second_ns) >> np.uint64(32)
            nanoseconds = product >> np.uint64(exponent - 32)
    elif exponent <= 9:
        unit = np.uint64(1)
        for _ in range(exponent):
            unit *= np.uint64(10)
        seconds = ticks // unit
        nanoseconds = (ticks % unit) * (second_ns // unit)
    elif exponent <= 28:
        unit = np.uint64(1)
        for _ in range(exponent - 9):
            unit *= np.uint64(10)
        total = ticks // unit
        seconds = total // second_ns
        nanoseconds = total % second_ns
    if seconds > np.uint64(MAX_TIME_S):
        return np.int64(0), 1
    # Both terms are below 2**63 in magnitude only after the offset has been checked on its own.
    if offset_s > MAX_TIME_S or offset_s < -MAX_TIME_S:
        return np.int64(0), 1
    second = np.int64(seconds) + offset_s
    if second > MAX_TIME_S or second < -MAX_TIME_S:
        return np.int64(0), 1
    return second * SECOND_NS + np.int64(nanoseconds), 0


@njit(cache=True, nogil=True)
def walk_pcapng(
    view,
    time_ns,
    frame,
    packet_offset,
    wire_length,
    captured_length,
    tap,
    link_type,
    layout,
    interfaces,
    state,
):
    """Fill one row per packet block; pass over all others but those that redefine the section.

    `interfaces`: int64 table of IF_COLUMNS columns, owned by the walker. A block of unknown kind
    may leave POSITION beyond STOP: these bytes are to be passed over when they come.
    """
    big_endian = layout[BIG_ENDIAN] != 0
    record_limit = layout[RECORD_LIMIT]
    position = state[POSITION]
    stop = state[STOP]
    row = state[ROW]
    rows = len(time_ns)
    span_stop = position + layout[SPAN_LIMIT]
    last_time = state[LAST_TIME]
    status = FULL
    while row < rows and position < span_stop:
        if position + 12 > stop:
            status = SHORT
            state[NEED] = 12
            break
        kind = load_u32(view, position, big_endian)
        length = load_u32(view, position + 4, big_endian)
        if kind == SECTION_HEADER or kind == INTERFACE_DESCRIPTION:
            status = BLOCK
            break
        if length < 12:
            status = BAD
            break
        block_stop = position + ((length + 3) & ~np.int64(3))
        if kind != ENHANCED_PACKET and kind != SIMPLE_PACKET and kind != OBSOLETE_PACKET:
            if block_stop <= stop and load_u32(view, block_stop - 4, big_endian) != length:
                status = BAD
                break
            position = block_stop
            continue
        data_at = position + 28
        if kind == SIMPLE_PACKET:
            data_at = position + 12
        if length > record_limit or position + length < data_at + 4:
            status = BAD
            break
        if block_stop > stop:
            if state[ACCEPT_CUT] == 0 or data_at > stop:
                status = SHORT
                state[NEED] = block_stop - position
                break
            room = stop - data_at
            block_stop = stop
        else:
            room = position + length - 4 - data_at
            if load_u32(view, block_stop - 4, big_endian) != length:
                status = BAD
                break
        interface = np.int64(0)
        if kind == ENHANCED_PACKET:
            interface = load_u32(view, position + 8, big_endian)
        elif kind == OBSOLETE_PACKET:
            interface = load_u16(view, position + 8, big_endian)
        if interface >= layout[INTERFACES]:
            state[UNREADABLE_RECORDS] += 1
            state[UNREADABLE_BYTES] += block_stop - position
            position = block_stop
            continue
        if kind == SIMPLE_PACKET:
            wire = load_u32(view, position + 8, big_endian)
            captured = wire
            if interfaces[interface, IF_SNAP_LENGTH] > 0:
                captured = min(captured, interfaces[interface, IF_SNAP_LENGTH])
            captured = min(captured, room)
        else:
            wire = load_u32(view, position + 24, big_endian)
            captured = load_u32(view, position + 20, big_endian)
            if captured > room and state[ACCEPT_CUT] == 0:
                state[UNREADABLE_RECORDS] += 1
                state[UNREADABLE_BYTES] += block_stop - position
                position = block_stop
                continue
            captured = min(captured, room)
            last_time, clamped = ticks_to_ns(
                load_u32(view, position + 12, big_endian),
                load_u32(view, position + 16, big_endian),
                interfaces[interface, IF_EXPONENT],
                interfaces[interface, IF_BINARY],
                interfaces[interface, IF_OFFSET_S],
            )
            state[IMPOSSIBLE_TIMES] += clamped
        record_link_type = interfaces[interface, IF_LINK_TYPE]
        if record_link_type == LINK_ERF:
            data_at, captured, wire, record_link_type = unwrap_erf(view, data_at, captured, wire)
        state[FRAME] += 1
        time_ns[row] = last_time
        frame[row] = state[FRAME]
        packet_offset[row] = data_at
        wire_length[row] = wire
        captured_length[row] = captured
        tap[row] = interfaces[interface, IF_TAP]
        link_type[row] = record_link_type
        state[CAPTURED_BYTES] += captured
        state[WIRE_BYTES] += wire
        row += 1
        position = block_stop
    state[LAST_TIME] = last_time
    state[POSITION] = position
    state[ROW] = row
    state[STATUS] = status


@njit(cache=True, nogil=True)
def find_block(view, start, scan_stop, stop, layout):
    """Return the offset of the next believable pcapng block in [start, scan_stop), or -1.

    Believable: a kind of packet block whose two length fields agree.
    """
    big_endian = layout[BIG_ENDIAN] != 0
    for at in range(start, scan_stop):
        if at + 12 > stop:
            return -1
        kind = load_u32(view, at, big_endian)
        if kind != ENHANCED_PACKET and kind != SIMPLE_PACKET and kind != OBSOLETE_PACKET:
            continue
        length = load_u32(view, at + 4, big_endian)
        if length < 16 or length > layout[RECORD_LIMIT] or (length & 3) != 0:
            continue
        if at + length <= stop and load_u32(view, at + length - 4, big_endian) == length:
            return at
    return -1


@njit(cache=True, nogil=True)
def walk_erf(
    view, time_ns, frame, packet_offset, wire_length, captured_length, tap, link_type, layout, state
):
    """Fill one row per ERF record; pad records are passed over.

    Timestamps are seconds in 32.32 fixed point, little endian; all else is big endian.
    """
    position = state[POSITION]
    stop = state[STOP]
    row = state[ROW]
    rows = len(time_ns)
    span_stop = position + layout[SPAN_LIMIT]
    status = FULL
    while row < rows and position < span_stop:
        if position + ERF_HEADER_BYTES > stop:
            status = SHORT
            state[NEED] = ERF_HEADER_BYTES
            break
        length = load_u16(view, position + 10, True)
        if length < ERF_HEADER_BYTES:
            status = BAD
            break
        after = position + length
        if after > stop:
            if state[ACCEPT_CUT] == 0:
                status = SHORT
                state[NEED] = length
                break
            after = stop
        if (np.int64(view[position + 8]) & 0x7F) == ERF_PAD:
            position = after
            continue
        wire = load_u16(view, position + 14, True)
        at, captured, _, record_link_type = unwrap_erf(view, position, after - position, wire)
        if record_link_type == LINK_ERF:
            wire = max(wire, captured)
        else:
            captured = min(captured, wire)  # records are padded to a multiple of 8 bytes
        state[FRAME] += 1
        time_ns[row] = load_u32(view, position + 4, False) * SECOND_NS + (
            (load_u32(view, position, False) * SECOND_NS + HALF_FRACTION) >> 32
        )
        state[LAST_TIME] = time_ns[row]
        frame[row] = state[FRAME]
        packet_offset[row] = at
        wire_length[row] = wire
        captured_length[row] = captured
        tap[row] = layout[TAP]
        link_type[row] = record_link_type
        state[CAPTURED_BYTES] += captured
        state[WIRE_BYTES] += wire
        row += 1
        position = after
    state[POSITION] = position
    state[ROW] = row
    state[STATUS] = status
