"""Packet blocks of pcapng, and the units of its timestamps.

`view` (uint8) belongs to the source and is never written; the seven record columns belong to the
caller and are filled from row `state[ROW]` on; `layout` (what the file header says) and `state`
(where the walk stands) are int64 arrays of the walker: see `fabricscope.collectors.capture.layout`.
"""

import numpy as np
from numba import njit

from fabricscope.collectors.capture.erf.kernels import erf_time_ns, unwrap_erf
from fabricscope.collectors.capture.layout import (
    ACCEPT_CUT,
    BAD,
    BLOCK,
    CAPTURED_BYTES,
    ENHANCED_PACKET,
    ERF_HEADER_BYTES,
    FRAME,
    FULL,
    IF_BINARY,
    IF_EXPONENT,
    IF_LINK_TYPE,
    IF_OFFSET_S,
    IF_SNAP_LENGTH,
    IF_TAP,
    IMPOSSIBLE_TIMES,
    INTERFACE_DESCRIPTION,
    INTERFACES,
    LAST_TIME,
    LINK_ERF,
    MAX_TERM_S,
    MAX_TIME_S,
    NEED,
    OBSOLETE_PACKET,
    POSITION,
    RECORD_LIMIT,
    ROW,
    SECOND_NS,
    SECTION_HEADER,
    SHORT,
    SIMPLE_PACKET,
    SPAN_LIMIT,
    STATUS,
    STOP,
    UNREADABLE_BYTES,
    UNREADABLE_RECORDS,
    WIRE_BYTES,
)
from fabricscope.collectors.capture.read.columns import (
    Bytes,
    Lengths,
    Numbers,
    Offsets,
    State,
    Times,
)
from fabricscope.collectors.capture.read.kernels import load_u16, load_u32


@njit(cache=True, nogil=True)
def ticks_to_ns(high: int, low: int, exponent: int, binary: int, offset_s: int) -> tuple[int, int]:
    """Return nanoseconds since the epoch for a 64-bit count of timestamp units, and 0.

    `high` and `low` are the 32-bit halves as int64; the unit is 2**-exponent s if `binary`, else
    10**-exponent s. Exact, rounded down. What does not fit in int64 gives 0 and 1.
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
    # Beyond a quarter of the range either term is absurd, and within it their sum cannot wrap.
    if seconds > np.uint64(MAX_TERM_S) or offset_s > MAX_TERM_S or offset_s < -MAX_TERM_S:
        return 0, 1
    second = int(seconds) + offset_s
    if second > MAX_TIME_S or second < -MAX_TIME_S:
        return 0, 1
    return second * SECOND_NS + int(nanoseconds), 0


@njit(cache=True, nogil=True)
def walk_pcapng(
    view: Bytes,
    time_ns: Times,
    frame: Offsets,
    packet_offset: Offsets,
    wire_length: Lengths,
    captured_length: Lengths,
    tap: Numbers,
    link_type: Numbers,
    layout: State,
    big_endian: bool | None,
    interfaces: State,
    state: State,
) -> None:
    """Fill one row per packet block; pass over all others but those that redefine the section.

    `interfaces`: int64 table of IF_COLUMNS columns, owned by the walker. A record with an
    impossible timestamp, or none, gets the time of the record before it.
    """
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
        if kind in (SECTION_HEADER, INTERFACE_DESCRIPTION):
            status = BLOCK
            break
        is_packet = kind in (ENHANCED_PACKET, SIMPLE_PACKET, OBSOLETE_PACKET)
        data_at = position + 8
        if is_packet:
            data_at = position + 12 if kind == SIMPLE_PACKET else position + 28
        block_stop = position + ((length + 3) & ~3)
        if length > record_limit or position + length < data_at + 4:
            status = BAD
            break
        if block_stop > stop:
            if state[ACCEPT_CUT] == 0 or data_at > stop or not is_packet:
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
        if not is_packet:
            position = block_stop
            continue
        interface = 0
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
                captured = min(captured, int(interfaces[interface, IF_SNAP_LENGTH]))
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
            record_time, impossible = ticks_to_ns(
                load_u32(view, position + 12, big_endian),
                load_u32(view, position + 16, big_endian),
                interfaces[interface, IF_EXPONENT],
                interfaces[interface, IF_BINARY],
                interfaces[interface, IF_OFFSET_S],
            )
            state[IMPOSSIBLE_TIMES] += impossible
            if impossible == 0:
                last_time = record_time
        record_link_type = interfaces[interface, IF_LINK_TYPE]
        if record_link_type == LINK_ERF:
            if captured >= ERF_HEADER_BYTES:
                last_time = erf_time_ns(view, data_at)  # the card's, not the writer's
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
def find_block(
    view: Bytes, start: int, scan_stop: int, stop: int, layout: State, big_endian: bool | None
) -> int:
    """Return the offset of the next believable pcapng block in [start, scan_stop), or -1.

    Believable: a kind of packet block whose two length fields agree.
    """
    for at in range(start, scan_stop):
        if at + 12 > stop:
            return -1
        kind = load_u32(view, at, big_endian)
        if kind not in (ENHANCED_PACKET, SIMPLE_PACKET, OBSOLETE_PACKET):
            continue
        length = load_u32(view, at + 4, big_endian)
        if length < 16 or length > layout[RECORD_LIMIT] or (length & 3) != 0:
            continue
        if at + length <= stop and load_u32(view, at + length - 4, big_endian) == length:
            return at
    return -1
