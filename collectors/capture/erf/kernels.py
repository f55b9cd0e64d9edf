"""ERF records, in a file of their own or inside the packets of a pcap or pcapng file.

`view` (uint8) belongs to the source and is never written; the seven record columns belong to the
caller and are filled from row `state[ROW]` on; `layout` (what the file header says) and `state`
(where the walk stands) are int64 arrays of the walker: see `fabricscope.collectors.capture.layout`.
"""

import numpy as np
from numba import njit

from fabricscope.collectors.capture.layout import (
    ACCEPT_CUT,
    BAD,
    CAPTURED_BYTES,
    ERF_HEADER_BYTES,
    ERF_PAD,
    FRAME,
    FULL,
    HALF_FRACTION,
    LAST_TIME,
    LINK_ERF,
    LINK_ETHERNET,
    LINK_INFINIBAND,
    LINK_RAW_IP,
    NEED,
    POSITION,
    ROW,
    SECOND_NS,
    SHORT,
    SPAN_LIMIT,
    STATUS,
    STOP,
    TAP,
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
def unwrap_erf(view: Bytes, at: int, captured: int, wire: int) -> tuple[int, int, int, int]:
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
def erf_time_ns(view: Bytes, at: int) -> int:
    """Return nanoseconds since the epoch from the ERF record header at offset `at`.

    Seconds in 32.32 fixed point, little endian; rounded to the nearest nanosecond.
    """
    second = load_u32(view, at + 4, None)
    fraction = load_u32(view, at, None)
    return second * SECOND_NS + ((fraction * SECOND_NS + HALF_FRACTION) >> 32)


@njit(cache=True, nogil=True)
def walk_erf(
    view: Bytes,
    time_ns: Times,
    frame: Offsets,
    packet_offset: Offsets,
    wire_length: Lengths,
    captured_length: Lengths,
    tap: Numbers,
    link_type: Numbers,
    layout: State,
    state: State,
) -> None:
    """Fill one row per ERF record; pad records are passed over."""
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
        time_ns[row] = erf_time_ns(view, position)
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
