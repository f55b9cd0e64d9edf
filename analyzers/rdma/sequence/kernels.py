"""PSN tracking: 24-bit sequence numbers, a window of seen ones, and the holes in it.

Arrays are those of `layout.RdmaState`; `row` is 2 * slot for requests, + 1 for READ responses.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    GAP,
    HOLES,
    IN_ORDER,
    LATE,
    REPEAT,
    RESTART,
    RESTART_DISTANCE,
    TIMES,
    WINDOW_PSNS,
    WINDOW_WORDS,
)

_ONE = np.uint64(1)


@njit(cache=True, nogil=True, inline="always")
def psn_distance(later, earlier):
    """Return `later` - `earlier` modulo 2**24 as a signed int64 (half window each way)."""
    distance = (np.int64(later) - np.int64(earlier)) & 0xFFFFFF
    return distance - 0x1000000 if distance >= 0x800000 else distance


@njit(cache=True, nogil=True, inline="always")
def _mark(state, row, psn, now):
    word = (psn >> 6) & (WINDOW_WORDS - 1)
    state.windows[row, word] |= _ONE << np.uint64(psn & 63)
    state.times[row, psn & (TIMES - 1)] = now


@njit(cache=True, nogil=True)
def _add_hole(state, row, start, length, now, frame):
    """Remember a hole; when all places are taken the two oldest become one."""
    tracker = state.trackers[row]
    count = np.int64(tracker.holes)
    if count == HOLES:
        one = state.holes[row, 0]
        other = state.holes[row, 1]
        one.length = np.uint32(psn_distance(other.start, one.start) + np.int64(other.length))
        one.missing += other.missing
        one.network &= other.network
        for place in range(1, HOLES - 1):
            state.holes[row, place] = state.holes[row, place + 1]
        count -= 1
    hole = state.holes[row, count]
    hole.start = start
    hole.length = length
    hole.missing = length
    hole.network = 0
    hole.time_ns = now
    hole.frame = frame
    tracker.holes = count + 1


@njit(cache=True, nogil=True)
def remove_hole(state, row, place):
    """Forget hole `place`; later ones move up."""
    tracker = state.trackers[row]
    for k in range(place, np.int64(tracker.holes) - 1):
        state.holes[row, k] = state.holes[row, k + 1]
    tracker.holes -= 1


@njit(cache=True, nogil=True)
def find_hole(state, row, psn):
    """Return the place of the hole that `psn` lies in, or -1."""
    for place in range(np.int64(state.trackers[row].holes)):
        hole = state.holes[row, place]
        distance = psn_distance(psn, hole.start)
        if 0 <= distance < np.int64(hole.length):
            return np.int64(place)
    return np.int64(-1)


@njit(cache=True, nogil=True)
def track(state, row, psn, span, now, frame):
    """Take packet `psn`, which stands for `span` PSNs, into the sequence.

    Returns (what, distance): IN_ORDER; GAP and the number of missing PSNs; LATE or REPEAT and how
    far behind the expected PSN; RESTART when the numbers have nothing to do with the old ones.
    """
    tracker = state.trackers[row]
    psn = np.int64(psn)
    if tracker.started == 0:
        tracker.started = 1
        tracker.next = (psn + span) & 0xFFFFFF
        _mark(state, row, psn, now)
        return IN_ORDER, np.int64(0)
    distance = psn_distance(psn, tracker.next)
    if distance == 0:
        tracker.next = (psn + span) & 0xFFFFFF
        _mark(state, row, psn, now)
        return IN_ORDER, distance
    if distance > RESTART_DISTANCE or distance < -RESTART_DISTANCE:
        for word in range(WINDOW_WORDS):
            state.windows[row, word] = 0
        tracker.holes = 0
        tracker.next = (psn + span) & 0xFFFFFF
        _mark(state, row, psn, now)
        return RESTART, distance
    if distance > 0:
        for k in range(min(distance, WINDOW_PSNS)):
            missing = psn - 1 - k
            word = (missing >> 6) & (WINDOW_WORDS - 1)
            state.windows[row, word] &= ~(_ONE << np.uint64(missing & 63))
        _add_hole(state, row, tracker.next, distance, now, frame)
        tracker.next = (psn + span) & 0xFFFFFF
        _mark(state, row, psn, now)
        return GAP, distance
    word = (psn >> 6) & (WINDOW_WORDS - 1)
    bit = _ONE << np.uint64(psn & 63)
    if distance < -WINDOW_PSNS or state.windows[row, word] & bit != 0:
        return REPEAT, -distance
    _mark(state, row, psn, now)
    return LATE, -distance


@njit(cache=True, nogil=True)
def seen_at(state, row, psn):
    """Return when `psn` was last seen, -1 if that is too long ago or it was not."""
    behind = -psn_distance(psn, state.trackers[row].next)
    if behind <= 0 or behind > TIMES:
        return np.int64(-1)
    word = (np.int64(psn) >> 6) & (WINDOW_WORDS - 1)
    if state.windows[row, word] & (_ONE << np.uint64(np.int64(psn) & 63)) == 0:
        return np.int64(-1)
    return state.times[row, np.int64(psn) & (TIMES - 1)]


@njit(cache=True, nogil=True)
def span_of_read(mtu, length, jump):
    """Return how many PSNs a READ of `length` bytes reserves.

    With the path MTU (bytes) unknown (0), `jump` is the distance from the request to the next
    PSN: it is returned when one of the legal MTUs explains it, else 1.
    """
    if length == 0:
        return np.int64(1)
    if mtu > 0:
        return (np.int64(length) + mtu - 1) // mtu
    size = np.int64(256)
    while size <= 4096:
        if (np.int64(length) + size - 1) // size == jump:
            return np.int64(jump)
        size *= 2
    return np.int64(1)
