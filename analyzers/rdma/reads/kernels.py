"""READs and atomics that are asked for again, and READ responses out of order or repeated.

Their loss draws no NAK: the requester asks again for what it misses.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    CAUSE_IMPLIED,
    COPY,
    EVENT_DUPLICATE,
    RESENT,
    TIMEOUT_NS,
    UNKNOWN,
)
from fabricscope.analyzers.rdma.recovery.kernels import (
    arrived_late,
    begin_recovery,
    count_copy,
    count_resend,
    log_event,
    lost_in_network,
)
from fabricscope.analyzers.rdma.sequence.kernels import (
    find_hole,
    judge_identity,
    psn_distance,
    remove_hole,
)

_READ_REQUEST = 12


@njit(cache=True, nogil=True, _nrt=False)
def on_late_response(state, qp, tracker, seen, distance):
    """Judge a READ response that fills a hole: sent again if its READ was, or overtaken."""
    place = find_hole(tracker, seen.psn)
    if place < 0:
        return
    tracker.hole_missing[place] -= 1
    if tracker.hole_network[place] == 0:
        if qp.implied != 0:
            qp.implied = 2
            frame = tracker.hole_frame[place]
            lost_in_network(state, qp, seen.slot, seen, seen.psn, 1, frame)
        else:
            arrived_late(state, qp, tracker, seen, place, distance)
    if tracker.hole_missing[place] == 0:
        remove_hole(tracker, place)


@njit(cache=True, nogil=True, _nrt=False)
def on_response_again(state, qp, tracker, seen):
    """Judge a READ response seen before: sent again because its READ was, or copied."""
    what = judge_identity(tracker, seen)
    if what == RESENT or (what == UNKNOWN and qp.implied != 0):
        qp.implied = 2
        count_resend(state, qp, tracker, seen)
    else:
        qp.duplicates += 1
        log_event(state, EVENT_DUPLICATE, seen, seen.slot, 0, 0, seen.psn, 1, -1, -1)


@njit(cache=True, nogil=True, _nrt=False)
def on_request_again(state, qp, tracker, seen, part):
    """Take a READ or atomic that is requested again: the request or its answer was lost.

    part: it asks for a part of an earlier READ, from a PSN on that was no request's before.
    """
    silence = seen.time_ns - qp.last_data_ns
    back = qp.recovery == 0 or psn_distance(seen.psn, qp.recovery_at) <= 0
    if qp.nak_pending != 0 and psn_distance(seen.psn, qp.nak_psn) >= 0:
        begin_recovery(state, qp, tracker, seen, np.int64(qp.nak_pending), np.int64(-1))
    elif qp.recovery != 0 and not back:
        # One of the requests that follow the one which was asked for.
        pass
    elif not part and judge_identity(tracker, seen) == COPY:
        count_copy(state, qp, tracker, seen)
        return
    else:
        lost = _mark_lost_responses(state, qp, seen)
        timed_out = silence >= TIMEOUT_NS
        if timed_out:
            qp.timeouts += 1
        begin_recovery(state, qp, tracker, seen, np.int64(CAUSE_IMPLIED), np.int64(-1))
        if lost == 0:
            slot = np.int64(qp.paired)
            answered = slot >= 0
            if answered and seen.operation != _READ_REQUEST:
                answered = qp.acked_any == 1 and psn_distance(seen.psn, qp.last_acked) <= 0
            elif answered:
                responses = state.trackers[2 * slot + 1]
                answered = responses.started and psn_distance(seen.psn, responses.next) < 0
            if answered:
                lost_in_network(state, state.qps[slot], slot, seen, seen.psn, 1, 0)
            else:
                lost_in_network(state, qp, seen.slot, seen, seen.psn, 1, 0)
    qp.recovery_at = seen.psn
    count_resend(state, qp, tracker, seen)


@njit(cache=True, nogil=True, _nrt=False)
def _mark_lost_responses(state, qp, seen):
    """Mark the holes in the responses that a repeated READ asks for; return how many packets."""
    slot = np.int64(qp.paired)
    if slot < 0 or seen.operation != _READ_REQUEST:
        return np.int64(0)
    other = state.qps[slot]
    tracker = state.trackers[2 * slot + 1]
    other.implied = 1
    lost = np.int64(0)
    for place in range(np.int64(tracker.holes)):
        start = np.int64(tracker.hole_start[place])
        if tracker.hole_network[place] == 0 and psn_distance(start, seen.psn) >= 0:
            tracker.hole_network[place] = 1
            count = np.int64(tracker.hole_missing[place])
            lost += count
            lost_in_network(state, other, slot, seen, start, count, tracker.hole_frame[place])
    return lost
