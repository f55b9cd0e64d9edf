"""TCP sequence of one direction: order, repetition, gaps and their end.

Reordering rule: a segment above the expected sequence number waits, at most 64 of them a direction
and 256 in all. When no more can wait, the missing bytes are given up (`LOST_BYTES`), and the
direction resumes at the first segment that begins with a plausible FPDU header (`RESYNCS`).
`view` is the caller's uint8, `state` the analyzer's `IwarpState`, `s` a row of its `streams`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.analyzers.iwarp import layout as at
from fabricscope.analyzers.iwarp.fpdu.kernels import (
    abandon,
    begin_fpdu,
    big_endian,
    note_frame,
    plausible,
    walk,
)
from fabricscope.analyzers.iwarp.layout import INLINED, INNER, OUTER, IwarpState


@njit(**INNER)
def sequence_distance(later: int, earlier: int) -> int:
    """Return `later` - `earlier` modulo 2^32 as a signed number."""
    distance = (later - earlier) & 0xFFFFFFFF
    return distance - 0x100000000 if distance >= 0x80000000 else distance


@njit(**INLINED)
def crc_in_use(state: IwarpState, s: int) -> int:
    """Return 1 if either start frame asked for CRCs, 0 if both did not, -1 if one is unseen."""
    mine = state.streams[s, at.START_FLAGS]
    other = state.streams[s ^ 1, at.START_FLAGS]
    if (mine > 0 and mine & 0x40) or (other > 0 and other & 0x40):
        return 1
    return 0 if mine >= 0 and other >= 0 else -1


@njit(**INLINED)
def settle_markers(
    state: IwarpState, s: int, view: NDArray[np.uint8], start: int, captured: int
) -> None:
    """Decide, at the first byte of full operation, whether this direction carries markers.

    The receiver asks for them, so the other side's start frame tells; if that was not seen, a
    header that is plausible only after a zero marker does.
    """
    fields = state.streams[s]
    if fields[at.MARKERS] >= 0:
        return
    flags = state.streams[s ^ 1, at.START_FLAGS]
    if flags >= 0:
        fields[at.MARKERS] = flags >> 7
        return
    behind = captured >= 8 and big_endian(view, start, 4) == 0
    fields[at.MARKERS] = 1 if behind and plausible(view, start + 4, captured - 4) else 0


@njit(**INLINED)
def regain(state: IwarpState, s: int, view: NDArray[np.uint8], start: int, captured: int) -> int:
    """Return the offset of a plausible FPDU in the segment at `view[start]`, or -1.

    It stands at the segment's first byte, or behind the marker that does.
    """
    fields = state.streams[s]
    settle_markers(state, s, view, start, captured)
    skip = 0
    if fields[at.MARKERS] == 1 and fields[at.POSITION] & 511 < 4:
        skip = 4 - (fields[at.POSITION] & 511)
    if captured < skip + 4 or not plausible(view, start + skip, captured - skip):
        return -1
    return skip


@njit(**INLINED)
def take_in_order(
    state: IwarpState,
    s: int,
    view: NDArray[np.uint8],
    start: int,
    captured: int,
    length: int,
    time_ns: int,
    frame: int,
) -> None:
    """Pass the next `length` bytes of the stream through whatever phase it is in."""
    fields = state.streams[s]
    fields[at.NEXT_SEQUENCE] = (fields[at.NEXT_SEQUENCE] + length) & 0xFFFFFFFF
    if fields[at.PHASE] == at.STARTING:
        count = min(length, fields[at.START_REMAINING])
        fields[at.START_REMAINING] -= count
        start += count
        captured = max(captured - count, 0)
        length -= count
        if fields[at.START_REMAINING] == 0:
            fields[at.PHASE] = at.FULL
    if length == 0:
        return
    if fields[at.PHASE] == at.LOST or fields[at.PHASE] == at.CUT:
        skip = regain(state, s, view, start, captured)
        if skip < 0:
            fields[at.POSITION] += length
            return
        if fields[at.PHASE] == at.LOST:
            fields[at.RESYNCS] += 1
            note_frame(state, s, 1, fields[at.RESYNCS], frame)
        fields[at.PHASE] = at.FULL
        begin_fpdu(state, s)
    settle_markers(state, s, view, start, captured)
    walk(state, s, view, start, captured, length, time_ns, frame, crc_in_use(state, s))


@njit(**INNER)
def next_held(state: IwarpState, s: int) -> int:
    """Return the waiting segment of `s` with the lowest sequence number, or -1."""
    best = -1
    best_distance = 0
    for h in range(at.MAX_HELD):
        if state.held[h, at.HELD_STREAM] == s:
            distance = sequence_distance(
                state.held[h, at.HELD_SEQUENCE], state.streams[s, at.NEXT_SEQUENCE]
            )
            if best < 0 or distance < best_distance:
                best = h
                best_distance = distance
    return best


@njit(**INLINED)
def take_overlapping(
    state: IwarpState,
    s: int,
    view: NDArray[np.uint8],
    start: int,
    captured: int,
    length: int,
    sequence: int,
    time_ns: int,
    frame: int,
) -> None:
    """Pass a segment that begins at or before the expected number; what was seen is skipped."""
    fields = state.streams[s]
    old = -sequence_distance(sequence, fields[at.NEXT_SEQUENCE])
    if old > 0 and not (old == 1 and length == 1):  # one old byte is TCP's keep-alive
        fields[at.RETRANSMITTED] += 1
    if old < length:
        left = max(captured - old, 0)
        take_in_order(state, s, view, start + old, left, length - old, time_ns, frame)


@njit(**INNER)
def give_up_gap(state: IwarpState, s: int, sequence: int) -> None:
    """Count the bytes up to `sequence` as lost and expect it next."""
    fields = state.streams[s]
    gap = sequence_distance(sequence, fields[at.NEXT_SEQUENCE])
    fields[at.LOST_BYTES] += gap
    fields[at.NEXT_SEQUENCE] = sequence
    if fields[at.PHASE] == at.STARTING:
        inside = min(gap, fields[at.START_REMAINING])
        fields[at.START_REMAINING] -= inside
        gap -= inside
        if fields[at.START_REMAINING] > 0:
            return
    fields[at.POSITION] += gap
    abandon(state, s, at.LOST)


@njit(**INNER)
def hold(
    state: IwarpState,
    s: int,
    view: NDArray[np.uint8],
    start: int,
    captured: int,
    length: int,
    sequence: int,
    time_ns: int,
    frame: int,
) -> bool:
    """Let a segment wait for an earlier one; return False when no more can wait."""
    fields = state.streams[s]
    room = -1
    for h in range(at.MAX_HELD):
        if state.held[h, at.HELD_STREAM] < 0:
            room = h
        elif state.held[h, at.HELD_STREAM] == s and state.held[h, at.HELD_SEQUENCE] == sequence:
            fields[at.RETRANSMITTED] += 1
            return True
    if room < 0 or fields[at.HELD] >= at.MAX_HELD_PER_STREAM:
        return False
    copied = min(captured, at.HELD_BYTES)
    base = room * at.HELD_BYTES
    for k in range(copied):
        state.held_bytes[base + k] = view[start + k]
    held = state.held[room]
    held[at.HELD_STREAM] = s
    held[at.HELD_SEQUENCE] = sequence
    held[at.HELD_CAPTURED] = copied
    held[at.HELD_LENGTH] = length
    held[at.HELD_TIME] = time_ns
    held[at.HELD_FRAME] = frame
    fields[at.HELD] += 1
    fields[at.OUT_OF_ORDER] += 1
    return True


@njit(**OUTER)
def pass_segments(
    state: IwarpState,
    s: int,
    view: NDArray[np.uint8],
    start: int,
    captured: int,
    length: int,
    sequence: int,
    time_ns: int,
    frame: int,
    over_gaps: bool,
) -> None:
    """Pass a new segment and those that wait, lowest sequence number first.

    A gap stops this, unless no more can wait or `over_gaps` says that nothing is to come. Without
    a new segment `length` is 0.
    """
    fields = state.streams[s]
    pending = length > 0
    while pending or fields[at.HELD] > 0:
        h = next_held(state, s) if fields[at.HELD] > 0 else -1
        is_new = pending and (
            h < 0 or sequence_distance(sequence, state.held[h, at.HELD_SEQUENCE]) <= 0
        )
        first = sequence if is_new else state.held[h, at.HELD_SEQUENCE]
        if sequence_distance(first, fields[at.NEXT_SEQUENCE]) > 0:
            if not over_gaps and (
                not pending
                or hold(state, s, view, start, captured, length, sequence, time_ns, frame)
            ):
                return
            give_up_gap(state, s, first)
        buffer = view
        offset, present, count, when, number = start, captured, length, time_ns, frame
        if is_new:
            pending = False
        else:
            held = state.held[h]
            buffer = state.held_view
            offset = h * at.HELD_BYTES
            present = held[at.HELD_CAPTURED]
            count = held[at.HELD_LENGTH]
            when = held[at.HELD_TIME]
            number = held[at.HELD_FRAME]
            held[at.HELD_STREAM] = -1
            fields[at.HELD] -= 1
        take_overlapping(state, s, buffer, offset, present, count, first, when, number)
