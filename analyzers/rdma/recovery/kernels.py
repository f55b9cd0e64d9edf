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


@njit(cache=True, nogil=True)
def log_event(state, kind, slot, time_ns, frame, tap, cause_frame, code, psn, count, first, second):
    """Keep an event as evidence; past the bound of its kind it is only counted."""
    place = state.event_counts[kind]
    state.event_counts[kind] += 1
    if place >= EVENTS_PER_KIND:
        return
    event = state.events[kind, place]
    event.time_ns = time_ns
    event.frame = frame
    event.cause_frame = cause_frame
    event.first_ns = first
    event.second_ns = second
    event.qp = slot
    event.psn = psn
    event.count = count
    event.tap = tap
    event.kind = kind
    event.code = code


@njit(cache=True, nogil=True)
def _lost_in_network(state, slot, packets, i, psn, count, frame, series):
    qp = state.qps[slot]
    qp.network_lost += count
    state.timeline[series, 6] += count
    log_event(
        state,
        EVENT_NETWORK_LOSS,
        slot,
        packets.time_ns[i],
        frame,
        packets.tap[i],
        packets.frame[i],
        0,
        psn,
        count,
        np.int64(-1),
        np.int64(-1),
    )


@njit(cache=True, nogil=True)
def begin_recovery(state, slot, row, packets, i, cause, missed_ns, series):
    """Start an episode of sending again at packet `i`; `missed_ns`: the lost packet's place."""
    qp = state.qps[slot]
    now = packets.time_ns[i]
    qp.recovery = cause
    qp.recovery_end = state.trackers[row].next
    qp.recovery_at = packets.psn[i]
    qp.late_known = 0
    response = np.int64(-1)
    if cause == CAUSE_NAK or cause == CAUSE_RNR:
        response = now - qp.nak_ns
        qp.nak_pending = 0
    elif cause == CAUSE_TIMEOUT:
        qp.timeouts += 1
        if qp.open_operation != NO_MESSAGE:
            qp.tail_lost = 1
    mark_resent(state, slot)
    log_event(
        state,
        EVENT_RECOVERY,
        slot,
        now,
        packets.frame[i],
        packets.tap[i],
        0,
        cause,
        packets.psn[i],
        1,
        response,
        now - missed_ns if missed_ns >= 0 else np.int64(-1),
    )
    if cause == CAUSE_TIMEOUT and qp.tail_lost == 0 and find_hole(state, row, packets.psn[i]) < 0:
        # Something that was seen here, or its answer, got lost further on: one packet at least.
        _lost_in_network(state, slot, packets, i, packets.psn[i], 1, packets.frame[i], series)


@njit(cache=True, nogil=True)
def on_late(state, slot, row, packets, i, distance, series):
    """Judge a packet that fills a hole: sent again after a loss, or overtaken on the way."""
    qp = state.qps[slot]
    now = packets.time_ns[i]
    psn = packets.psn[i]
    place = find_hole(state, row, psn)
    if place < 0:
        return
    hole = state.holes[row, place]
    hole.missing -= 1
    reliable = qp.service == _RC or qp.service == _XRC
    missed_ns = hole.time_ns
    if qp.nak_pending == CAUSE_NAK and psn_distance(psn, qp.nak_psn) >= 0:
        begin_recovery(state, slot, row, packets, i, CAUSE_NAK, missed_ns, series)
    elif reliable and qp.recovery == 0 and now - max(missed_ns, qp.last_data_ns) >= TIMEOUT_NS:
        begin_recovery(state, slot, row, packets, i, CAUSE_TIMEOUT, missed_ns, series)
    if hole.network == 0:
        if qp.recovery != 0:
            _lost_in_network(state, slot, packets, i, psn, 1, hole.frame, series)
        else:
            qp.out_of_order += 1
            qp.late_psn = psn
            qp.late_known = 1
            if distance > qp.max_displacement:
                qp.max_displacement = distance
            log_event(
                state,
                EVENT_OUT_OF_ORDER,
                slot,
                now,
                packets.frame[i],
                packets.tap[i],
                hole.frame,
                0,
                psn,
                distance,
                now - missed_ns,
                np.int64(-1),
            )
    qp.recovery_at = psn
    if hole.missing == 0:
        remove_hole(state, row, place)


@njit(cache=True, nogil=True)
def on_repeat(state, slot, row, packets, i, distance, series):
    """Judge a packet that was seen before: sent again (and why), or copied by the mirror."""
    qp = state.qps[slot]
    now = packets.time_ns[i]
    psn = packets.psn[i]
    reliable = qp.service == _RC or qp.service == _XRC
    silence = now - qp.last_data_ns
    back = qp.recovery == 0 or psn_distance(psn, qp.recovery_at) <= 0
    cause = 0
    if qp.nak_pending != 0 and psn_distance(psn, qp.nak_psn) >= 0:
        cause = qp.nak_pending
    elif back and reliable and silence >= TIMEOUT_NS:
        cause = CAUSE_TIMEOUT
    elif qp.recovery == 0 and reliable:
        if qp.late_known and psn_distance(psn, qp.late_psn) == 1:
            # The packet before filled a hole and this one follows it: a resend whose NAK was
            # not captured, not an overtaking.
            qp.out_of_order -= 1
            _lost_in_network(state, slot, packets, i, qp.late_psn, 1, packets.frame[i], series)
            cause = CAUSE_UNSEEN
        elif qp.paired < 0 and distance > 1:
            cause = CAUSE_UNSEEN
    if cause != 0:
        missed_ns = seen_at(state, row, psn)
        begin_recovery(state, slot, row, packets, i, cause, missed_ns, series)
    if qp.recovery != 0 and (cause != 0 or not (back and psn == qp.recovery_at)):
        qp.retransmissions += 1
        state.timeline[series, 2] += 1
        qp.recovery_at = psn
        return
    qp.duplicates += 1
    log_event(
        state,
        EVENT_DUPLICATE,
        slot,
        now,
        packets.frame[i],
        packets.tap[i],
        0,
        0,
        psn,
        1,
        np.int64(-1),
        np.int64(-1),
    )


@njit(cache=True, nogil=True)
def on_expected(state, slot, row, packets, i, series):
    """Follow an episode of sending again through a packet that was not seen before."""
    qp = state.qps[slot]
    psn = packets.psn[i]
    if qp.nak_pending != 0 and psn == qp.nak_psn:
        # The NAK asked for a packet that this tap had not seen at all.
        if qp.nak_pending == CAUSE_NAK:
            _lost_in_network(state, slot, packets, i, psn, 1, packets.frame[i], series)
        begin_recovery(state, slot, row, packets, i, qp.nak_pending, np.int64(-1), series)
    if qp.tail_lost:
        _lost_in_network(state, slot, packets, i, psn, 1, packets.frame[i], series)
    elif qp.recovery != 0 and psn_distance(psn, qp.recovery_end) >= 0:
        qp.recovery = 0


@njit(cache=True, nogil=True)
def settle_holes(state, slot, row, psn, packets, i):
    """An answer covers everything up to `psn`: what is missing there only the mirror missed."""
    qp = state.qps[slot]
    place = 0
    while place < np.int64(state.trackers[row].holes):
        hole = state.holes[row, place]
        reach = psn_distance(psn, hole.start) + 1
        if reach <= 0:
            place += 1
            continue
        covered = min(reach, np.int64(hole.missing))
        if covered > 0:
            qp.collector_lost += covered
            hole.missing -= covered
            log_event(
                state,
                EVENT_COLLECTOR_LOSS,
                slot,
                hole.time_ns,
                hole.frame,
                packets.tap[i],
                packets.frame[i],
                0,
                hole.start,
                covered,
                np.int64(-1),
                np.int64(-1),
            )
        if hole.missing == 0 or reach >= np.int64(hole.length):
            remove_hole(state, row, place)
        else:
            place += 1


@njit(cache=True, nogil=True)
def _on_sequence_nak(state, slot, packets, i, psn, series):
    """A NAK for `psn`: mark the loss it reports; return the NAK generation latency or -1."""
    qp = state.qps[slot]
    row = 2 * slot
    now = packets.time_ns[i]
    if qp.nak_pending == CAUSE_NAK and qp.nak_psn == psn:
        return np.int64(-1)
    qp.nak_pending = CAUSE_NAK
    qp.nak_psn = psn
    qp.nak_ns = now
    place = find_hole(state, row, psn)
    if place >= 0:
        hole = state.holes[row, place]
        if hole.network == 0:
            hole.network = 1
            count = np.int64(hole.missing)
            _lost_in_network(state, slot, packets, i, psn, count, hole.frame, series)
        return now - hole.time_ns
    if psn_distance(psn, state.trackers[row].next) < 0:
        _lost_in_network(state, slot, packets, i, psn, 1, packets.frame[i], series)
        after_ns = seen_at(state, row, (np.int64(psn) + 1) & 0xFFFFFF)
        if after_ns >= 0:
            return now - after_ns
    return np.int64(-1)


@njit(cache=True, nogil=True)
def on_answer(state, slot, answered, packets, i, series):
    """Apply the AETH of packet `i`, carried by `slot`, to the data of `answered`."""
    qp = state.qps[answered]
    now = packets.time_ns[i]
    psn = np.int64(packets.psn[i])
    syndrome = np.int64(packets.aeth[i] >> np.uint32(24))
    kind = syndrome >> 5
    qp.acked_any = 1
    if kind == 0:
        qp.acks += 1
        qp.last_acked = psn
        complete(state, answered, psn, now)
        settle_holes(state, answered, 2 * answered, psn, packets, i)
        return
    before = (psn - 1) & 0xFFFFFF
    complete(state, answered, before, now)
    settle_holes(state, answered, 2 * answered, before, packets, i)
    if kind == 1:
        qp.rnr_naks += 1
        qp.rnr_timer = syndrome & 31
        qp.nak_pending = CAUSE_RNR
        qp.nak_psn = psn
        qp.nak_ns = now
        log_event(
            state,
            EVENT_RNR,
            answered,
            now,
            packets.frame[i],
            packets.tap[i],
            0,
            syndrome & 31,
            psn,
            1,
            np.int64(-1),
            np.int64(-1),
        )
        return
    code = min(syndrome & 31, 4) if kind == 3 else np.int64(4)
    qp.naks += 1
    state.nak_codes[answered, code] += 1
    state.timeline[series, 5] += 1
    latency = np.int64(-1)
    event = EVENT_TRANSPORT_ERROR
    if code == 0:
        event = EVENT_NAK
        latency = _on_sequence_nak(state, answered, packets, i, psn, series)
    log_event(
        state,
        event,
        answered,
        now,
        packets.frame[i],
        packets.tap[i],
        0,
        code,
        psn,
        1,
        latency,
        np.int64(-1),
    )


@njit(cache=True, nogil=True)
def on_read_again(state, slot, packets, i, series):
    """A READ is requested again: its missing responses were lost in the network."""
    qp = state.qps[slot]
    silence = packets.time_ns[i] - qp.last_data_ns
    qp.retransmissions += 1
    state.timeline[series, 2] += 1
    if silence >= TIMEOUT_NS:
        qp.timeouts += 1
    if qp.paired < 0:
        return
    other = np.int64(qp.paired)
    row = 2 * other + 1
    psn = packets.psn[i]
    state.qps[other].recovery = CAUSE_IMPLIED
    state.qps[other].recovery_end = state.trackers[row].next
    state.qps[other].recovery_at = psn
    found = False
    for place in range(np.int64(state.trackers[row].holes)):
        hole = state.holes[row, place]
        if hole.network == 0 and psn_distance(hole.start, psn) >= 0:
            hole.network = 1
            found = True
            count = np.int64(hole.missing)
            _lost_in_network(state, other, packets, i, hole.start, count, hole.frame, series)
    if not found:
        _lost_in_network(state, slot, packets, i, psn, 1, packets.frame[i], series)
