"""PSN tracking: 24-bit sequence numbers, a window of seen ones, and the holes in it.

`tracker` is a `layout.TRACKER_DTYPE` record of the caller's.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    COPY,
    GAP,
    HOLES,
    IDENTITIES,
    IN_ORDER,
    LATE,
    READ_CUT,
    REPEAT,
    RESENT,
    RESTART,
    RESTART_AHEAD,
    RESTART_BEHIND,
    TIMES,
    UNKNOWN,
    WINDOW_PSNS,
    WINDOW_WORDS,
)

_ONE = np.uint64(1)
_READ_REQUEST = 12


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def psn_distance(later, earlier):
    """Return `later` - `earlier` modulo 2**24 as a signed int64 (half window each way)."""
    distance = (np.int64(later) - np.int64(earlier)) & 0xFFFFFF
    return distance - 0x1000000 if distance >= 0x800000 else distance


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def mark_seen(tracker, psn, now, identity):
    """Note that `psn` (int64) was seen at `now` with this IP identification (low 16 bits)."""
    tracker.window[(psn >> 6) & (WINDOW_WORDS - 1)] |= _ONE << np.uint64(psn & 63)
    tracker.times[psn & (TIMES - 1)] = now
    tracker.identities[psn & (IDENTITIES - 1)] = identity


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
def track(tracker, seen, span):
    """Take the packet `seen`, which stands for `span` PSNs (int64), into the sequence.

    Returns (what, distance): IN_ORDER; GAP and the number of missing PSNs; LATE or REPEAT and how
    far behind the expected PSN; RESTART when the numbers have nothing to do with the old ones.
    """
    psn = seen.psn
    now = seen.time_ns
    if tracker.started == 0:
        tracker.started = 1
        tracker.next = (psn + span) & 0xFFFFFF
        mark_seen(tracker, psn, now, seen.identity)
        return IN_ORDER, np.int64(0)
    distance = psn_distance(psn, tracker.next)
    if distance == 0:
        tracker.next = (psn + span) & 0xFFFFFF
        mark_seen(tracker, psn, now, seen.identity)
        return IN_ORDER, distance
    if distance > RESTART_AHEAD or distance < -RESTART_BEHIND:
        for word in range(WINDOW_WORDS):
            tracker.window[word] = 0
        tracker.holes = 0
        tracker.next = (psn + span) & 0xFFFFFF
        mark_seen(tracker, psn, now, seen.identity)
        return RESTART, distance
    if distance > 0:
        for k in range(min(distance, WINDOW_PSNS)):
            missing = psn - 1 - k
            word = (missing >> 6) & (WINDOW_WORDS - 1)
            tracker.window[word] &= ~(_ONE << np.uint64(missing & 63))
        _add_hole(tracker, np.int64(tracker.next), distance, now, seen.frame)
        tracker.next = (psn + span) & 0xFFFFFF
        mark_seen(tracker, psn, now, seen.identity)
        return GAP, distance
    word = (psn >> 6) & (WINDOW_WORDS - 1)
    bit = _ONE << np.uint64(psn & 63)
    if distance < -WINDOW_PSNS or tracker.window[word] & bit != 0:
        return REPEAT, -distance
    mark_seen(tracker, psn, now, seen.identity)
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
def age_of(tracker, psn, now):
    """Return how long ago `psn` (int64, seen before) was seen: at least so, if it is far behind.

    -1 when nothing is known.
    """
    at_ns = seen_at(tracker, psn)
    if at_ns < 0:
        at_ns = tracker.times[np.int64(tracker.next) & (TIMES - 1)]
        if at_ns == 0:
            return np.int64(-1)
    return now - at_ns


@njit(cache=True, nogil=True, _nrt=False)
def judge_identity(tracker, seen):
    """Tell a copy made by a mirror from a packet sent again, by the IP identification.

    A copy has the identification of the original. An equal one proves nothing where the sender
    gives all packets the same. Returns COPY, RESENT or UNKNOWN.
    """
    behind = -psn_distance(seen.psn, tracker.next)
    if behind <= 0 or behind > IDENTITIES:
        return UNKNOWN
    known = tracker.identities[seen.psn & (IDENTITIES - 1)]
    if known != seen.identity:
        return RESENT
    beside = seen.psn + 1 if behind > 1 else seen.psn - 1
    return COPY if tracker.identities[beside & (IDENTITIES - 1)] != known else UNKNOWN


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


@njit(cache=True, nogil=True, _nrt=False)
def span_of_request(qp, tracker, seen):
    """Return how many PSNs the packet stands for; settles what the READ before it reserved."""
    ahead = np.int64(0)
    if tracker.started:
        ahead = psn_distance(seen.psn, tracker.next)
    length = tracker.read_length
    if length == READ_CUT:
        # What follows tells how far the READ reached: a loss behind it cannot be told from that.
        if 0 <= ahead <= RESTART_AHEAD:
            tracker.next = seen.psn
        if ahead >= 0:
            tracker.read_length = 0
    elif length > 0 and (ahead > 0 or qp.mtu > 0):
        known = span_of_read(np.int64(qp.mtu), length, ahead + 1)
        tracker.next = (np.int64(tracker.next) + known - 1) & 0xFFFFFF
        tracker.read_length = 0
    if seen.operation != _READ_REQUEST:
        return np.int64(1)
    if qp.mtu == 0 or seen.dma_length == READ_CUT:
        if ahead >= 0:
            tracker.read_length = seen.dma_length
        return np.int64(1)
    return span_of_read(np.int64(qp.mtu), seen.dma_length, np.int64(0))
