"""Loss: where packets went missing, why they were sent again, and what answers say about it."""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    CAUSE_NAK,
    CAUSE_RNR,
    CAUSE_TIMEOUT,
    CAUSE_UNSEEN,
    COPY,
    EVENT_COLLECTOR_LOSS,
    EVENT_DUPLICATE,
    EVENT_NAK,
    EVENT_NETWORK_LOSS,
    EVENT_OUT_OF_ORDER,
    EVENT_RECOVERY,
    EVENT_RNR,
    EVENT_TRANSPORT_ERROR,
    EVENTS_PER_KIND,
    IDENTITIES,
    NO_MESSAGE,
    RESENT,
    TIMEOUT_NS,
    TIMES,
    UNKNOWN,
)
from fabricscope.analyzers.rdma.messages.kernels import complete, mark_resent
from fabricscope.analyzers.rdma.sequence.kernels import (
    age_of,
    find_hole,
    judge_identity,
    psn_distance,
    remove_hole,
    seen_at,
)

_RC = 0
_XRC = 5


@njit(cache=True, nogil=True, _nrt=False)
def log_event(state, kind, seen, slot, cause_frame, code, psn, count, first_ns, second_ns):
    """Keep an event as evidence; past the bound of its kind it is only counted."""
    place = state.event_counts[kind]
    state.event_counts[kind] += 1
    if place >= EVENTS_PER_KIND:
        return
    event = state.events[kind, place]
    event.time_ns = seen.time_ns
    event.frame = seen.frame
    event.cause_frame = cause_frame
    event.first_ns = first_ns
    event.second_ns = second_ns
    event.qp = slot
    event.psn = psn
    event.count = count
    event.tap = seen.tap
    event.kind = kind
    event.code = code


@njit(cache=True, nogil=True, _nrt=False)
def lost_in_network(state, qp, slot, seen, psn, count, cause_frame):
    """Count packets of direction `slot` from `psn` on as lost in the network."""
    qp.network_lost += count
    state.timeline[seen.series, 6] += count
    log_event(state, EVENT_NETWORK_LOSS, seen, slot, cause_frame, 0, psn, count, -1, -1)


@njit(cache=True, nogil=True, _nrt=False)
def begin_recovery(state, qp, tracker, seen, cause, missed_ns):
    """Start an episode of sending again; `missed_ns`: the lost packet's place, -1 unknown."""
    now = seen.time_ns
    qp.recovery = cause
    qp.recovery_end = tracker.next
    qp.recovery_at = seen.psn
    qp.late_run = 0
    qp.copy_known = 0
    response = np.int64(-1)
    if cause in (CAUSE_NAK, CAUSE_RNR):
        response = now - qp.nak_ns
        qp.nak_pending = 0
    elif cause == CAUSE_TIMEOUT:
        qp.timeouts += 1
        if qp.open_operation != NO_MESSAGE:
            qp.tail_lost = 1
    mark_resent(qp, state.queue)
    missed = now - missed_ns if missed_ns >= 0 else np.int64(-1)
    log_event(state, EVENT_RECOVERY, seen, seen.slot, 0, cause, seen.psn, 1, response, missed)
    if cause == CAUSE_TIMEOUT and qp.tail_lost == 0 and find_hole(tracker, seen.psn) < 0:
        # Something that was seen here, or its answer, got lost further on: one packet at least.
        lost_in_network(state, qp, seen.slot, seen, seen.psn, 1, 0)


@njit(cache=True, nogil=True, _nrt=False)
def arrived_late(state, qp, tracker, seen, place, distance):
    """Count a packet that was overtaken on the way."""
    frame = tracker.hole_frame[place]
    waited_ns = seen.time_ns - tracker.hole_ns[place]
    # `distance` is to the expected PSN, the one after the highest seen.
    overtaken = distance - 1
    qp.out_of_order += 1
    if overtaken > qp.max_displacement:
        qp.max_displacement = overtaken
    log_event(
        state, EVENT_OUT_OF_ORDER, seen, seen.slot, frame, 0, seen.psn, overtaken, waited_ns, -1
    )


@njit(cache=True, nogil=True, _nrt=False)
def on_late(state, qp, tracker, seen, distance):
    """Judge a request packet that fills a hole: sent again after a loss, or overtaken."""
    now = seen.time_ns
    psn = seen.psn
    place = find_hole(tracker, psn)
    if place < 0:
        return
    tracker.hole_missing[place] -= 1
    missed_ns = tracker.hole_ns[place]
    reliable = qp.service == _RC or qp.service == _XRC
    if qp.nak_pending != 0 and psn_distance(psn, qp.nak_psn) >= 0:
        begin_recovery(state, qp, tracker, seen, np.int64(qp.nak_pending), missed_ns)
    elif reliable and qp.recovery == 0 and now - max(missed_ns, qp.last_data_ns) >= TIMEOUT_NS:
        begin_recovery(state, qp, tracker, seen, np.int64(CAUSE_TIMEOUT), missed_ns)
    if tracker.hole_network[place] == 0:
        if qp.recovery != 0:
            frame = tracker.hole_frame[place]
            lost_in_network(state, qp, seen.slot, seen, psn, 1, frame)
        else:
            arrived_late(state, qp, tracker, seen, place, distance)
            follows = psn == (np.int64(qp.late_psn) + 1) & 0xFFFFFF
            if not follows or qp.late_next != tracker.next:
                qp.late_run = 0
            qp.late_run += 1
            qp.late_psn = psn
            qp.late_next = tracker.next
    qp.recovery_at = psn
    if tracker.hole_missing[place] == 0:
        remove_hole(tracker, place)


@njit(cache=True, nogil=True, _nrt=False)
def _cause_without_answer(state, qp, tracker, seen, distance):
    """Return CAUSE_UNSEEN if a repeated packet was sent again for a reason not captured, else 0.

    What is known to be a copy, or a resend, by its IP identification does not come here unless it
    begins the resending.
    """
    psn = seen.psn
    follows = qp.late_run > 0 and psn == (np.int64(qp.late_psn) + 1) & 0xFFFFFF
    if follows and qp.late_next == tracker.next:
        # The packets before filled a hole and this one follows them: a resend, no overtaking.
        lost = np.int64(qp.late_run)
        qp.out_of_order -= lost
        first = (np.int64(qp.late_psn) - lost + 1) & 0xFFFFFF
        lost_in_network(state, qp, seen.slot, seen, first, lost, 0)
        return CAUSE_UNSEEN
    what = judge_identity(tracker, seen)
    if what == RESENT:
        lost_in_network(state, qp, seen.slot, seen, psn, 1, 0)
        return CAUSE_UNSEEN
    if what == COPY:
        return 0
    owed = distance > 1 and qp.head >= 0 and qp.paired < 0
    if owed and seen.time_ns - state.queue[qp.head].time_ns >= TIMEOUT_NS:
        # Answers of this connection are not captured at all.
        return CAUSE_UNSEEN
    follows = qp.copy_known != 0 and psn == (np.int64(qp.copy_psn) + 1) & 0xFFFFFF
    if follows and qp.copy_next == tracker.next:
        # Two in a row, older than a round trip, and nothing new between them.
        qp.duplicates -= 1
        qp.retransmissions += 1
        state.timeline[seen.series, 2] += 1
        lost_in_network(state, qp, seen.slot, seen, np.int64(qp.copy_psn), 1, 0)
        return CAUSE_UNSEEN
    return 0


@njit(cache=True, nogil=True, _nrt=False)
def _is_fresh(qp, tracker, seen):
    """Tell whether the PSN was seen so short ago that no answer can have asked for it again."""
    age_ns = age_of(tracker, seen.psn, seen.time_ns)
    return age_ns >= 0 and qp.ack_rtt_min_ns > 0 and age_ns < qp.ack_rtt_min_ns


@njit(cache=True, nogil=True, _nrt=False)
def _is_copy_in_recovery(qp, tracker, seen):
    """Tell copies by the mirror from packets sent again while packets are being sent again."""
    ahead = psn_distance(seen.psn, qp.recovery_at)
    if 0 < ahead <= TIMES:
        return False
    what = judge_identity(tracker, seen)
    if what != UNKNOWN:
        return what == COPY
    return ahead == 0 or _is_fresh(qp, tracker, seen)


@njit(cache=True, nogil=True, _nrt=False)
def on_repeat(state, qp, tracker, seen, distance):
    """Judge a packet that was seen before: sent again (and why), or copied by the mirror."""
    psn = seen.psn
    reliable = qp.service == _RC or qp.service == _XRC
    silence = seen.time_ns - qp.last_data_ns
    back = qp.recovery == 0 or psn_distance(psn, qp.recovery_at) <= 0
    past_nak = psn_distance(psn, qp.nak_psn) if qp.nak_pending != 0 else np.int64(-1)
    cause = np.int64(0)
    copy = not reliable
    if past_nak == 0:
        cause = np.int64(qp.nak_pending)
    elif reliable and back and silence >= TIMEOUT_NS:
        cause = np.int64(CAUSE_TIMEOUT)
        if past_nak > 0:
            cause = np.int64(qp.nak_pending)
    elif reliable and past_nak > 0:
        what = judge_identity(tracker, seen)
        copy = what == COPY or (what == UNKNOWN and _is_fresh(qp, tracker, seen))
        if not copy:
            cause = np.int64(qp.nak_pending)
    elif reliable and qp.recovery == 0:
        cause = np.int64(_cause_without_answer(state, qp, tracker, seen, distance))
        copy = cause == 0
    elif reliable:
        copy = _is_copy_in_recovery(qp, tracker, seen)
    if copy:
        count_copy(state, qp, tracker, seen)
        return
    if cause != 0:
        begin_recovery(state, qp, tracker, seen, cause, seen_at(tracker, psn))
    qp.recovery_at = psn
    count_resend(state, qp, tracker, seen)


@njit(cache=True, nogil=True, _nrt=False)
def count_copy(state, qp, tracker, seen):
    """Count a copy by the mirror, and remember it in case more follow that are none."""
    qp.copy_known = not _is_fresh(qp, tracker, seen) and qp.ack_rtt_min_ns > 0
    if judge_identity(tracker, seen) == COPY:
        qp.copy_known = 0
    qp.copy_psn = seen.psn
    qp.copy_next = tracker.next
    qp.duplicates += 1
    log_event(state, EVENT_DUPLICATE, seen, seen.slot, 0, 0, seen.psn, 1, -1, -1)


@njit(cache=True, nogil=True, _nrt=False)
def count_resend(state, qp, tracker, seen):
    """Count a packet sent again; it is what later repetitions are compared with."""
    qp.retransmissions += 1
    state.timeline[seen.series, 2] += 1
    behind = -psn_distance(seen.psn, tracker.next)
    if behind <= TIMES:
        tracker.times[seen.psn & (TIMES - 1)] = seen.time_ns
    if behind <= IDENTITIES:
        tracker.identities[seen.psn & (IDENTITIES - 1)] = seen.identity


@njit(cache=True, nogil=True, _nrt=False)
def on_expected(state, qp, tracker, seen):
    """Follow an episode of sending again through a packet that was not seen before."""
    psn = seen.psn
    if qp.nak_pending != 0 and psn == np.int64(qp.nak_psn):
        # The NAK asked for a packet that this tap had not seen at all.
        cause = np.int64(qp.nak_pending)
        if cause == CAUSE_NAK:
            lost_in_network(state, qp, seen.slot, seen, psn, 1, 0)
        begin_recovery(state, qp, tracker, seen, cause, np.int64(-1))
    if qp.tail_lost:
        lost_in_network(state, qp, seen.slot, seen, psn, 1, 0)
    elif qp.recovery != 0 and psn_distance(psn, qp.recovery_end) >= 0:
        qp.recovery = 0


@njit(cache=True, nogil=True, _nrt=False)
def settle_holes(state, qp, slot, tracker, psn, seen):
    """Put down what is missing up to `psn`, which an answer covers, to the mirror."""
    place = 0
    while place < np.int64(tracker.holes):
        start = np.int64(tracker.hole_start[place])
        reach = psn_distance(psn, start) + 1
        if reach <= 0:
            place += 1
            continue
        covered = min(reach, np.int64(tracker.hole_missing[place]))
        if covered > 0:
            qp.collector_lost += covered
            tracker.hole_missing[place] -= covered
            frame = tracker.hole_frame[place]
            log_event(state, EVENT_COLLECTOR_LOSS, seen, slot, frame, 0, start, covered, -1, -1)
        if tracker.hole_missing[place] == 0 or reach >= np.int64(tracker.hole_length[place]):
            remove_hole(tracker, place)
        else:
            place += 1


@njit(cache=True, nogil=True, _nrt=False)
def _on_sequence_nak(state, qp, slot, tracker, seen):
    """Mark the loss that a NAK reports; return the NAK generation latency or -1."""
    now = seen.time_ns
    psn = seen.psn
    if qp.nak_pending == CAUSE_NAK and np.int64(qp.nak_psn) == psn:
        return np.int64(-1)
    qp.nak_pending = CAUSE_NAK
    qp.nak_psn = psn
    qp.nak_ns = now
    place = find_hole(tracker, psn)
    if place >= 0:
        if tracker.hole_network[place] == 0:
            tracker.hole_network[place] = 1
            count = np.int64(tracker.hole_missing[place])
            lost_in_network(state, qp, slot, seen, psn, count, tracker.hole_frame[place])
        return now - tracker.hole_ns[place]
    if psn_distance(psn, tracker.next) < 0:
        lost_in_network(state, qp, slot, seen, psn, 1, 0)
        after_ns = seen_at(tracker, (psn + 1) & 0xFFFFFF)
        if after_ns >= 0:
            return now - after_ns
    return np.int64(-1)


@njit(cache=True, nogil=True, _nrt=False)
def on_negative_answer(state, slot, seen):
    """Apply a NAK or RNR NAK to the data of direction `slot`."""
    qp = state.qps[slot]
    tracker = state.trackers[2 * slot]
    now = seen.time_ns
    syndrome = np.int64(seen.aeth) >> 24
    kind = syndrome >> 5
    before = (seen.psn - 1) & 0xFFFFFF
    qp.acked_any = 1
    if psn_distance(before, qp.last_acked) > 0:
        qp.last_acked = before
    complete(qp, state.queue, state.queue_free, state.cursor, before, now)
    settle_holes(state, qp, slot, tracker, before, seen)
    if kind == 1:
        qp.rnr_naks += 1
        qp.rnr_timer = syndrome & 31
        qp.nak_pending = CAUSE_RNR
        qp.nak_psn = seen.psn
        qp.nak_ns = now
        log_event(state, EVENT_RNR, seen, slot, 0, syndrome & 31, seen.psn, 1, -1, -1)
        return
    code = min(syndrome & 31, 4) if kind == 3 else np.int64(4)
    qp.naks += 1
    qp.nak_codes[code] += 1
    state.timeline[seen.series, 5] += 1
    latency = np.int64(-1)
    event = EVENT_TRANSPORT_ERROR
    if code == 0:
        event = EVENT_NAK
        latency = _on_sequence_nak(state, qp, slot, tracker, seen)
    log_event(state, event, seen, slot, 0, code, seen.psn, 1, latency, -1)
