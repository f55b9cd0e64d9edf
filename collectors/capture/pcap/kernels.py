"""Records of classic pcap.

`view` (uint8) belongs to the source and is never written; the seven record columns belong to the
caller and are filled from row `state[ROW]` on; `layout` (what the file header says) and `state`
(where the walk stands) are int64 arrays of the walker: see `fabricscope.collectors.capture.layout`.
"""

from numba import njit

from fabricscope.collectors.capture.erf.kernels import erf_time_ns, unwrap_erf
from fabricscope.collectors.capture.layout import (
    ACCEPT_CUT,
    BAD,
    CAPTURED_BYTES,
    ERF_HEADER_BYTES,
    FRACTION_NS,
    FRAME,
    FULL,
    HEADER_BYTES,
    LAST_TIME,
    LINK_ERF,
    LINK_TYPE,
    NEED,
    POSITION,
    RECORD_LIMIT,
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
from fabricscope.collectors.capture.read.kernels import load_u32


@njit(cache=True, nogil=True)
def walk_pcap(
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
    state: State,
) -> None:
    """Fill one row per pcap record until the rows, the span or the bytes run out."""
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
        record_time = second * SECOND_NS + fraction * fraction_ns
        record_link_type = file_link_type
        if file_link_type == LINK_ERF:
            if captured >= ERF_HEADER_BYTES:
                record_time = erf_time_ns(view, at)  # the card's, not the writer's
            at, captured, wire, record_link_type = unwrap_erf(view, at, captured, wire)
        number += 1
        time_ns[row] = record_time
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
def plausible_pcap(
    view: Bytes, at: int, stop: int, layout: State, big_endian: bool | None, last_second: int
) -> int:
    """Return the offset after the record at `at` if its header is believable, else -1."""
    if at + layout[HEADER_BYTES] > stop:
        return -1
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
    return int(at + layout[HEADER_BYTES] + captured)


@njit(cache=True, nogil=True)
def find_pcap(
    view: Bytes,
    start: int,
    scan_stop: int,
    stop: int,
    layout: State,
    big_endian: bool | None,
    last_second: int,
) -> int:
    """Return the offset of the next believable pcap record in [start, scan_stop), or -1.

    Believable: its own header is, and the record after it is too or begins at `stop` exactly.
    """
    for at in range(start, scan_stop):
        after = plausible_pcap(view, at, stop, layout, big_endian, last_second)
        if after < 0:
            continue
        if after == stop or plausible_pcap(view, after, stop, layout, big_endian, last_second) >= 0:
            return at
    return -1
