"""What is said once, at the end of a run: of holes, of messages, of directions that are a pair."""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import NO_MESSAGE, WINDOW_PSNS
from fabricscope.analyzers.rdma.lookup.kernels import pair_directions
from fabricscope.analyzers.rdma.sequence.kernels import psn_distance


@njit(cache=True, nogil=True, _nrt=False)
def settle_at_end(state, slots):
    """Say of the holes and messages that are left what can be said: nothing more will come.

    READ responses that were never asked for again reached the requester; requests that were
    acknowledged reached the responder; others stay unresolved.
    """
    for slot in range(slots):
        qp = state.qps[slot]
        for kind in range(2):
            tracker = state.trackers[2 * slot + kind]
            for place in range(np.int64(tracker.holes)):
                if tracker.hole_network[place] == 0:
                    missing = np.int64(tracker.hole_missing[place])
                    reach = psn_distance(qp.last_acked, tracker.hole_start[place]) + 1
                    acked = kind == 1 or (
                        qp.acked_any == 1 and reach >= np.int64(tracker.hole_length[place])
                    )
                    if acked:
                        qp.collector_lost += missing
                    else:
                        qp.unresolved_lost += missing
            tracker.holes = 0
        requests = state.trackers[2 * slot]
        if qp.acked_any == 1 and requests.started == 1 and requests.read_length == 0:
            unseen = psn_distance(qp.last_acked, requests.next) + 1
            if 0 < unseen <= WINDOW_PSNS:
                qp.collector_lost += unseen
                if qp.open_operation != NO_MESSAGE:
                    qp.open_operation = NO_MESSAGE
                    qp.messages += 1


@njit(cache=True, nogil=True, _nrt=False)
def pair_by_numbers(state, one, other):
    """Pair two slots that a connection set-up named, unless answers have paired them already."""
    if state.qps[one].paired < 0 and state.qps[other].paired < 0:
        pair_directions(state, one, other)
