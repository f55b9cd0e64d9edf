"""Loss: where packets went missing, why they were sent again, and what answers say about it."""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    CAUSE_IMPLIED,
    CAUSE_NAK,
    CAUSE_RNR,
    CAUSE_TIMEOUT,
    CAUSE_UNSEEN,
    EVENT_COLLECTOR_LOSS,
    EVENT_DUPLICATE,
    EVENT_NAK,
    EVENT_NETWORK_LOSS,
    EVENT_OUT_OF_ORDER,
    EVENT_RECOVERY,
    EVENT_RNR,
    EVENT_TRANSPORT_ERROR,
    EVENTS_PER_KIND,
    NO_MESSAGE,
    TIMEOUT_NS,
)
from fabricscope.analyzers.rdma.messages.kernels import complete, mark_resent
from fabricscope.analyzers.rdma.sequence.kernels import (
    find_hole,
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
def _lost_in_network(state, qp, slot, seen, psn, count, cause_frame):
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
    qp.late_known = 0
    response = np.int64(-1)
    if cause == CAUSE_NAK or cause == CAUSE_RNR:
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
        _lost_in_network(state, qp, seen.slot, seen, seen.psn, 1, 0)


@njit(cache=True, nogil=True, _nrt=False)
def on_late(state, qp, tracker, seen, distance):
    """Judge a packet that fills a hole: sent again after a loss, or overtaken on the way."""
    now = seen.time_ns
    psn = seen.psn
    place = find_hole(tracker, psn)
    if place < 0:
        return
    tracker.hole_missing[place] -= 1
    missed_ns = tracker.hole_ns[place]
    gap_frame = tracker.hole_frame[place]
    reliable = qp.service == _RC or qp.service == _XRC
    if qp.nak_pending == CAUSE_NAK and psn_distance(psn, qp.nak_psn) >= 0:
        begin_recovery(state, qp, tracker, seen, CAUSE_NAK, missed_ns)
    elif reliable and qp.recovery == 0 and now - max(missed_ns, qp.last_data_ns) >= TIMEOUT_NS:
        begin_recovery(state, qp, tracker, seen, CAUSE_TIMEOUT, missed_ns)
    if tracker.hole_network[place] == 0:
        if qp.recovery != 0:
            _lost_in_network(state, qp, seen.slot, seen, psn, 1, gap_frame)
        else:
            qp.out_of_order += 1
            qp.late_psn = psn
            qp.late_known = 1
            if distance > qp.max_displacement:
                qp.max_displacement = distance
            log_event(
                state,
                EVENT_OUT_OF_ORDER,
                seen,
                seen.slot,
                gap_frame,
                0,
                psn,
                distance,
                now - missed_ns,
                -1,
            )
    qp.recovery_at = psn
    if tracker.hole_missing[place] == 0:
        remove_hole(tracker, place)


@njit(cache=True, nogil=True, _nrt=False)
def on_repeat(state, qp, tracker, seen, distance):
    """Judge a packet that was seen before: sent again (and why), or copied by the mirror."""
    psn = seen.psn
    reliable = qp.service == _RC or qp.service == _XRC
    silence = seen.time_ns - qp.last_data_ns
    back = qp.recovery == 0 or psn_distance(psn, qp.recovery_at) <= 0
    cause = 0
    if qp.nak_pending != 0 and psn_distance(psn, qp.nak_psn) >= 0:
        cause = np.int64(qp.nak_pending)
    elif back and reliable and silence >= TIMEOUT_NS:
        cause = CAUSE_TIMEOUT
    elif qp.recovery == 0 and reliable:
        if qp.late_known and psn_distance(psn, qp.late_psn) == 1:
            # The packet before filled a hole and this one follows it: a resend whose NAK was
            # not captured, not an overtaking.
            qp.out_of_order -= 1
            _lost_in_network(state, qp, seen.slot, seen, np.int64(qp.late_psn), 1, 0)
            cause = CAUSE_UNSEEN
        elif qp.paired < 0 and distance > 1:
            cause = CAUSE_UNSEEN
    if cause != 0:
        begin_recovery(state, qp, tracker, seen, cause, seen_at(tracker, psn))
    if qp.recovery != 0 and (cause != 0 or not (back and psn == qp.recovery_at)):
        qp.retransmissions += 1
        state.timeline[seen.series, 2] += 1
        qp.recovery_at = psn
        return
    qp.duplicates += 1
    log_event(state, EVENT_DUPLICATE, seen, seen.slot, 0, 0, psn, 1, -1, -1)


@njit(cache=True, nogil=True, _nrt=False)
def on_expected(state, qp, tracker, seen):
    """Follow an episode of sending again through a packet that was not seen before."""
    psn = seen.psn
    if qp.nak_pending != 0 and psn == np.int64(qp.nak_psn):
        # The NAK asked for a packet that this tap had not seen at all.
        cause = np.int64(qp.nak_pending)
        if cause == CAUSE_NAK:
            _lost_in_network(state, qp, seen.slot, seen, psn, 1, 0)
        begin_recovery(state, qp, tracker, seen, cause, np.int64(-1))
    if qp.tail_lost:
        _lost_in_network(state, qp, seen.slot, seen, psn, 1, 0)
    elif qp.recovery != 0 and psn_distance(psn, qp.recovery_end) >= 0:
        qp.recovery = 0


@njit(cache=True, nogil=True, _nrt=False)
def settle_holes(state, qp, slot, tracker, psn, seen):
    """An answer covers everything up to `psn`: what is missing there only the mirror missed."""
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
            _lost_in_network(state, qp, slot, seen, psn, count, tracker.hole_frame[place])
        return now - tracker.hole_ns[place]
    if psn_distance(psn, tracker.next) < 0:
        _lost_in_network(state, qp, slot, seen, psn, 1, 0)
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


@njit(cache=True, nogil=True, _nrt=False)
def on_read_again(state, qp, seen):
    """A READ is requested again: its missing responses were lost in the network."""
    qp.retransmissions += 1
    state.timeline[seen.series, 2] += 1
    if seen.time_ns - qp.last_data_ns >= TIMEOUT_NS:
        qp.timeouts += 1
    if qp.paired < 0:
        return
    slot = np.int64(qp.paired)
    other = state.qps[slot]
    tracker = state.trackers[2 * slot + 1]
    other.recovery = CAUSE_IMPLIED
    other.recovery_end = tracker.next
    other.recovery_at = seen.psn
    found = False
    for place in range(np.int64(tracker.holes)):
        start = np.int64(tracker.hole_start[place])
        if tracker.hole_network[place] == 0 and psn_distance(start, seen.psn) >= 0:
            tracker.hole_network[place] = 1
            found = True
            count = np.int64(tracker.hole_missing[place])
            _lost_in_network(state, other, slot, seen, start, count, tracker.hole_frame[place])
    if not found:
        _lost_in_network(state, qp, seen.slot, seen, seen.psn, 1, 0)
