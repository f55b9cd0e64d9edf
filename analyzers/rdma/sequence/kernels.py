"""PSN tracking: 24-bit sequence numbers, a window of seen ones, and the holes in it.

`tracker` is a `layout.TRACKER_DTYPE` record of the caller's.
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


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def psn_distance(later, earlier):
    """Return `later` - `earlier` modulo 2**24 as a signed int64 (half window each way)."""
    distance = (np.int64(later) - np.int64(earlier)) & 0xFFFFFF
    return distance - 0x1000000 if distance >= 0x800000 else distance


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def mark_seen(tracker, psn, now):
    """Note that `psn` (int64) was seen at `now`."""
    tracker.window[(psn >> 6) & (WINDOW_WORDS - 1)] |= _ONE << np.uint64(psn & 63)
    tracker.times[psn & (TIMES - 1)] = now


@njit(cache=True, nogil=True, _nrt=False)
def _move_hole(tracker, source, target):
    tracker.hole_start[target] = tracker.hole_start[source]
    tracker.hole_length[target] = tracker.hole_length[source]
    tracker.hole_missing[target] = tracker.hole_missing[source]
    tracker.hole_network[target] = tracker.hole_network[source]
    tracker.hole_ns[target] = tracker.hole_ns[source]
    tracker.hole_frame[target] = tracker.hole_frame[source]


@njit(cache=True, nogil=True, _nrt=False)
def remove_hole(tracker, place):
    """Forget hole `place`; later ones move up."""
    for k in range(place, np.int64(tracker.holes) - 1):
        _move_hole(tracker, k + 1, k)
    tracker.holes -= 1


@njit(cache=True, nogil=True, _nrt=False)
def _add_hole(tracker, start, length, now, frame):
    """Remember a hole; when all places are taken the two oldest become one."""
    if tracker.holes == HOLES:
        reach = psn_distance(tracker.hole_start[1], tracker.hole_start[0])
        length_both = reach + np.int64(tracker.hole_length[1])
        missing_both = tracker.hole_missing[0] + tracker.hole_missing[1]
        network_both = tracker.hole_network[0] & tracker.hole_network[1]
        remove_hole(tracker, 1)
        tracker.hole_length[0] = length_both
        tracker.hole_missing[0] = missing_both
        tracker.hole_network[0] = network_both
    count = np.int64(tracker.holes)
    tracker.hole_start[count] = start
    tracker.hole_length[count] = length
    tracker.hole_missing[count] = length
    tracker.hole_network[count] = 0
    tracker.hole_ns[count] = now
    tracker.hole_frame[count] = frame
    tracker.holes = count + 1


@njit(cache=True, nogil=True, _nrt=False)
def find_hole(tracker, psn):
    """Return the place of the hole that `psn` lies in, or -1."""
    for place in range(np.int64(tracker.holes)):
        distance = psn_distance(psn, tracker.hole_start[place])
        if 0 <= distance < np.int64(tracker.hole_length[place]):
            return np.int64(place)
    return np.int64(-1)


@njit(cache=True, nogil=True, _nrt=False)
def track(tracker, psn, span, now, frame):
    """Take packet `psn` (int64), which stands for `span` PSNs, into the sequence.

    Returns (what, distance): IN_ORDER; GAP and the number of missing PSNs; LATE or REPEAT and how
    far behind the expected PSN; RESTART when the numbers have nothing to do with the old ones.
    """
    if tracker.started == 0:
        tracker.started = 1
        tracker.next = (psn + span) & 0xFFFFFF
        mark_seen(tracker, psn, now)
        return IN_ORDER, np.int64(0)
    distance = psn_distance(psn, tracker.next)
    if distance == 0:
        tracker.next = (psn + span) & 0xFFFFFF
        mark_seen(tracker, psn, now)
        return IN_ORDER, distance
    if distance > RESTART_DISTANCE or distance < -RESTART_DISTANCE:
        for word in range(WINDOW_WORDS):
            tracker.window[word] = 0
        tracker.holes = 0
        tracker.next = (psn + span) & 0xFFFFFF
        mark_seen(tracker, psn, now)
        return RESTART, distance
    if distance > 0:
        for k in range(min(distance, WINDOW_PSNS)):
            missing = psn - 1 - k
            word = (missing >> 6) & (WINDOW_WORDS - 1)
            tracker.window[word] &= ~(_ONE << np.uint64(missing & 63))
        _add_hole(tracker, np.int64(tracker.next), distance, now, frame)
        tracker.next = (psn + span) & 0xFFFFFF
        mark_seen(tracker, psn, now)
        return GAP, distance
    word = (psn >> 6) & (WINDOW_WORDS - 1)
    bit = _ONE << np.uint64(psn & 63)
    if distance < -WINDOW_PSNS or tracker.window[word] & bit != 0:
        return REPEAT, -distance
    mark_seen(tracker, psn, now)
    return LATE, -distance


@njit(cache=True, nogil=True, _nrt=False)
def seen_at(tracker, psn):
    """Return when `psn` (int64) was last seen, -1 if that is too long ago or it was not."""
    behind = -psn_distance(psn, tracker.next)
    if behind <= 0 or behind > TIMES:
        return np.int64(-1)
    if tracker.window[(psn >> 6) & (WINDOW_WORDS - 1)] & (_ONE << np.uint64(psn & 63)) == 0:
        return np.int64(-1)
    return tracker.times[psn & (TIMES - 1)]


@njit(cache=True, nogil=True, _nrt=False)
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
