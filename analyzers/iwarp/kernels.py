"""From rows of a batch to connections: MPA start frames, opening, closing, and whose turn it is.

`view` is the caller's uint8, `state` the analyzer's `IwarpState`, `s` a row of its `streams`.
Source of the start frame: RFC 5044 section 7.1, RFC 6581 section 4.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.analyzers.iwarp import layout as at
from fabricscope.analyzers.iwarp.fpdu.kernels import begin_fpdu, big_endian
from fabricscope.analyzers.iwarp.layout import INNER, OUTER, IwarpState
from fabricscope.analyzers.iwarp.stream.kernels import pass_segments
from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_FRAGMENT,
    FLAG_HEADER_CUT,
    FLAG_LATER_FRAGMENT,
    PROTOCOLS,
    Packets,
)

START_PREFIX = np.frombuffer(b"MPA ID Re", np.uint8)
START_SUFFIX = np.frombuffer(b" Frame", np.uint8)
TCP = PROTOCOLS.index("tcp")
UNUSABLE = FLAG_DUPLICATE | FLAG_FRAGMENT | FLAG_HEADER_CUT | FLAG_LATER_FRAGMENT
TCP_FIN = 1
TCP_SYN = 2
TCP_RST = 4
TCP_ACK = 16
UNKNOWN = -1  # in entry_of_flow: no start frame seen
WANTED = -2  # start frame found, connection not opened yet
START_BYTES = 20  # of a start frame, before its private data


@njit(**INNER)
def start_kind(view: NDArray[np.uint8], start: int, captured: int) -> int:
    """Return 1 for a request, 2 for a reply, 0 for no MPA start frame; ten bytes must be there."""
    if captured < 10 or view[start] != START_PREFIX[0]:
        return 0
    for k in range(len(START_PREFIX)):
        if view[start + k] != START_PREFIX[k]:
            return 0
    for k in range(min(captured - 10, len(START_SUFFIX))):
        if view[start + 10 + k] != START_SUFFIX[k]:
            return 0
    if view[start + 9] == 113:
        return 1
    return 2 if view[start + 9] == 112 else 0


@njit(**INNER)
def open_connection(state: IwarpState, packets: Packets, row: int, flow: int, side: int) -> int:
    """Take a free entry for the flow of `row`; return it, or -1 when the table is full."""
    if state.totals[at.TOTAL_FREE] == 0:
        state.totals[at.TOTAL_REFUSED_ENTRY] += 1
        return -1
    state.totals[at.TOTAL_FREE] -= 1
    c = int(state.free[state.totals[at.TOTAL_FREE]])
    state.connections[c] = 0
    state.connections[c, at.IN_USE] = 1
    state.connections[c, at.FLOW] = flow
    mine = 3 * side
    state.addresses[c, mine] = packets.src_hi[row]
    state.addresses[c, mine + 1] = packets.src_lo[row]
    state.addresses[c, mine + 2] = packets.src_port[row]
    state.addresses[c, 3 - mine] = packets.dst_hi[row]
    state.addresses[c, 4 - mine] = packets.dst_lo[row]
    state.addresses[c, 5 - mine] = packets.dst_port[row]
    for s in range(2 * c, 2 * c + 2):
        state.streams[s] = 0
        state.streams[s, at.MARKERS] = -1
        state.streams[s, at.TERMINATE] = -1
        state.streams[s, at.START_FLAGS] = -1
        state.streams[s, at.PRIVATE_BYTES] = -1
        state.streams[s, at.REVISION] = -1
        state.streams[s, at.IRD] = -1
        state.streams[s, at.ORD] = -1
        state.operations[s] = 0
        state.operation_bytes[s] = 0
        state.largest_bytes[s] = 0
        state.read_times[s] = 0
        state.message_times[s] = 0
        state.longest_ns[s] = 0
        state.notable[s] = 0
    return c


@njit(**INNER)
def begin_stream(
    state: IwarpState,
    s: int,
    view: NDArray[np.uint8],
    start: int,
    captured: int,
    length: int,
    sequence: int,
    frame: int,
) -> None:
    """Read the start frame at `view[start]`; without one, full operation begins here."""
    fields = state.streams[s]
    fields[at.NEXT_SEQUENCE] = sequence
    fields[at.START_SEQUENCE] = sequence
    begin_fpdu(state, s)
    kind = start_kind(view, start, captured)
    if kind == 0:
        fields[at.PHASE] = at.FULL
        fields[at.AFTER_GAP] = 1
        return
    fields[at.PHASE] = at.STARTING
    fields[at.START_KIND] = kind
    fields[at.START_FRAME] = frame
    fields[at.START_REMAINING] = length  # the frame has its segment to itself, unless it says more
    if captured < START_BYTES:
        return
    fields[at.START_FLAGS] = np.int64(view[start + 16])
    fields[at.REVISION] = np.int64(view[start + 17])
    private = big_endian(view, start + 18, 2)
    fields[at.PRIVATE_BYTES] = private
    fields[at.START_REMAINING] = START_BYTES + private
    enhanced = fields[at.REVISION] >= 2 and fields[at.START_FLAGS] & 0x10
    if enhanced and private >= 4 and captured >= START_BYTES + 4:
        fields[at.IRD] = big_endian(view, start + 20, 2) & 0x3FFF
        fields[at.ORD] = big_endian(view, start + 22, 2) & 0x3FFF


@njit(**INNER)
def is_successor(
    state: IwarpState, c: int, s: int, tcp_flags: int, sequence: int, kind: int
) -> bool:
    """Tell whether this packet opens the next connection between the same two ports."""
    fields = state.streams[s]
    if fields[at.PHASE] == at.WAITING:
        return False
    if tcp_flags & TCP_SYN:
        return bool((sequence + 1) & 0xFFFFFFFF != fields[at.START_SEQUENCE])
    finished = state.connections[c, at.FINISHED] != 0
    return bool(kind == 1 and finished and sequence != fields[at.START_SEQUENCE])


@njit(**INNER)
def note_end(state: IwarpState, c: int, s: int, tcp_flags: int, frame: int) -> None:
    """Remember FIN and RST."""
    if tcp_flags & TCP_RST:
        if state.connections[c, at.FINISHED] == 0:
            state.connections[c, at.RESET_FRAME] = frame
        state.connections[c, at.FINISHED] = 1
    elif tcp_flags & TCP_FIN:
        state.streams[s, at.FIN] = 1
        if state.streams[s ^ 1, at.FIN]:
            state.connections[c, at.FINISHED] = 1


@njit(**OUTER)
def find_rows(
    protocol: NDArray[np.uint8],
    packet_offset: NDArray[np.int64],
    captured_length: NDArray[np.uint32],
    payload_offset: NDArray[np.int64],
    view: NDArray[np.uint8],
    flow: NDArray[np.int64],
    entry_of_flow: NDArray[np.int32],
    rows: NDArray[np.int64],
) -> int:
    """Write the rows that concern iWARP to `rows` and return their count.

    The first four are columns of `Packets`. A flow whose start frame appears is marked `WANTED` in
    `entry_of_flow`, so that its later rows are found too.
    """
    count = 0
    for row in range(len(flow)):
        if protocol[row] != TCP or flow[row] < 0:
            continue
        if entry_of_flow[flow[row]] == UNKNOWN:
            start = payload_offset[row]
            captured = packet_offset[row] + np.int64(captured_length[row]) - start
            if captured < 10 or view[start] != START_PREFIX[0]:
                continue
            if start_kind(view, start, captured) == 0:
                continue
            entry_of_flow[flow[row]] = WANTED
        rows[count] = row
        count += 1
    return count


@njit(**OUTER)
def take_rows(
    state: IwarpState,
    packets: Packets,
    view: NDArray[np.uint8],
    flow: NDArray[np.int64],
    side: NDArray[np.uint8],
    entry_of_flow: NDArray[np.int32],
    rows: NDArray[np.int64],
) -> None:
    """Pass the batch's `rows` to their connections, and open those whose start frame appears.

    `entry_of_flow` is (flow slots,) int32 of the analyzer: the connection of each slot.
    """
    for row in rows:
        if packets.flags[row] & UNUSABLE:
            continue
        length = np.int64(packets.payload_length[row])
        start = packets.payload_offset[row]
        present = packets.packet_offset[row] + np.int64(packets.captured_length[row]) - start
        captured = max(min(present, length), 0)
        c = np.int64(entry_of_flow[flow[row]])
        kind = start_kind(view, start, captured)
        if c < 0 and kind == 0:
            continue
        sender = np.int64(side[row])
        tcp_flags = np.int64(packets.tcp_flags[row])
        sequence = np.int64(packets.tcp_seq[row])
        if c >= 0 and is_successor(state, c, 2 * c + sender, tcp_flags, sequence, kind):
            entry_of_flow[flow[row]] = UNKNOWN
            state.connections[c, at.IN_USE] = 2
            state.totals[at.TOTAL_ENDED] += 1
            c = np.int64(-1)
            if kind == 0:
                continue
        if c < 0:
            c = open_connection(state, packets, row, flow[row], sender)
            entry_of_flow[flow[row]] = c  # UNKNOWN when the table is full
            if c < 0:
                continue
        s = 2 * c + sender
        if length > 0:
            fields = state.streams[s]
            state.totals[at.TOTAL_PACKETS] += 1
            if fields[at.PACKETS] == 0:
                fields[at.FIRST_TIME] = packets.time_ns[row]
            fields[at.PACKETS] += 1
            fields[at.LAST_TIME] = packets.time_ns[row]
            if tcp_flags & TCP_SYN:
                sequence = (sequence + 1) & 0xFFFFFFFF
            if fields[at.PHASE] == at.WAITING:
                begin_stream(state, s, view, start, captured, length, sequence, packets.frame[row])
            pass_segments(
                state,
                s,
                view,
                start,
                captured,
                length,
                sequence,
                packets.time_ns[row],
                packets.frame[row],
                False,
            )
        note_end(state, c, s, tcp_flags, packets.frame[row])
