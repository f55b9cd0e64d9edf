"""One pass over a batch: every RDMA packet advances its queue pair.

Lookup, PSN order, messages and recovery are in the packages beside this file. What the hot path
calls takes records and a few arrays; only rare turns are passed the whole state, whose many
arrays cost more to pass than the work takes.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    CAUSE_IMPLIED,
    EVENT_CNP,
    EVENT_ECN,
    EVENT_RESTART,
    GAP,
    IN_ORDER,
    LATE,
    REPEAT,
    RESTART,
)
from fabricscope.analyzers.rdma.lookup.kernels import (
    answered_direction,
    find_queue_pair,
    pair_directions,
)
from fabricscope.analyzers.rdma.messages.kernels import (
    await_answer,
    begin_message,
    complete,
    end_message,
)
from fabricscope.analyzers.rdma.recovery.kernels import (
    log_event,
    on_expected,
    on_late,
    on_negative_answer,
    on_read_again,
    on_repeat,
    settle_holes,
)
from fabricscope.analyzers.rdma.sequence.kernels import (
    mark_seen,
    psn_distance,
    span_of_read,
    track,
)
from fabricscope.analyzers.timeline.kernels import bin_of
from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_HEADER_CUT,
    FLAG_MALFORMED,
    PROTOCOLS,
    RDMA_ACK_REQUEST,
    RDMA_HAS_AETH,
)

_ROCE_V1 = PROTOCOLS.index("roce_v1")
_INFINIBAND = PROTOCOLS.index("infiniband")
_CNP = 0x81
_UNKNOWN_SERVICE = 255
_RC = 0
_XRC = 5
_READ_REQUEST = 12
_ACKNOWLEDGE = 17
_ATOMIC_ACKNOWLEDGE = 18


@njit(cache=True, nogil=True, _nrt=False)
def _span(qp, tracker, seen):
    """Return how many PSNs the packet stands for; settles what the READ before it reserved."""
    if tracker.read_length > 0 and tracker.started:
        jump = psn_distance(seen.psn, tracker.next)
        if jump > 0:
            known = span_of_read(np.int64(qp.mtu), np.int64(tracker.read_length), jump + 1)
            tracker.next = (np.int64(tracker.next) + known - 1) & 0xFFFFFF
        tracker.read_length = 0
    if seen.operation != _READ_REQUEST:
        return np.int64(1)
    if qp.mtu == 0:
        tracker.read_length = seen.dma_length
        return np.int64(1)
    return span_of_read(np.int64(qp.mtu), seen.dma_length, np.int64(0))


@njit(cache=True, nogil=True, _nrt=False)
def _on_disturbed_data(state, qp, tracker, seen):
    """Take a request packet that is out of order, or comes while packets are sent again.

    Returns whether it is new: not seen at this tap before.
    """
    span = _span(qp, tracker, seen)
    read = seen.operation == _READ_REQUEST
    what, distance = track(tracker, seen.psn, span, seen.time_ns, seen.frame)
    if what == REPEAT or (what == LATE and read):
        if read:
            on_read_again(state, qp, seen)
        else:
            on_repeat(state, qp, tracker, seen, distance)
        return False
    if what == LATE:
        on_late(state, qp, tracker, seen, distance)
        return True
    if what == GAP:
        qp.gaps += 1
    elif what == RESTART:
        qp.restarts += 1
        log_event(state, EVENT_RESTART, seen, seen.slot, 0, 0, seen.psn, 1, -1, -1)
    if qp.recovery != 0 or qp.nak_pending != 0 or qp.tail_lost != 0:
        on_expected(state, qp, tracker, seen)
    return True


@njit(cache=True, nogil=True, _nrt=False)
def _advance_message(qp, seen, messages, queue, free, cursor, counters):
    """Take a new request packet that begins or ends a message or asks for an answer."""
    operation = seen.operation
    start_ns = np.int64(-1)
    ends = False
    if operation == 0 or operation == 6:
        begin_message(qp, seen, messages, cursor)
    elif operation == 1 or operation == 7:
        qp.mtu = seen.payload
        if qp.open_operation == 0:
            qp.open_bytes += seen.payload
    else:
        ends = True
        qp.tail_lost = 0
        start_ns = end_message(qp, seen, messages, cursor)
    asks = seen.flags & RDMA_ACK_REQUEST != 0
    if (asks or ends) and (qp.service == _RC or qp.service == _XRC):
        # Atomics are answered by a value and READs by data, whether or not the bit is set.
        asks = (asks or operation == 19 or operation == 20) and operation != _READ_REQUEST
        await_answer(
            qp, queue, free, cursor, counters, seen.psn, seen.time_ns, start_ns, ends, asks
        )


@njit(cache=True, nogil=True, _nrt=False)
def _on_read_response(state, qp, seen):
    """Take a READ response, which answers a request of the other direction."""
    tracker = state.trackers[2 * seen.slot + 1]
    now = seen.time_ns
    operation = seen.operation
    requester = answered_direction(state, seen.slot, seen.psn, False)
    if (operation == 13 or operation == 14) and seen.payload > 0:
        qp.mtu = seen.payload
        if requester >= 0:
            state.qps[requester].mtu = seen.payload
    what, distance = track(tracker, seen.psn, np.int64(1), now, seen.frame)
    if what == GAP and (operation == 13 or operation == 16):
        # A new response need not follow the last one: other requests took the PSNs between.
        tracker.holes -= 1
        what = IN_ORDER
    qp.last_data_ns = now
    if what == REPEAT:
        if qp.recovery != 0:
            qp.retransmissions += 1
            state.timeline[seen.series, 2] += 1
        else:
            on_repeat(state, qp, tracker, seen, distance)
        return
    if what == GAP:
        qp.gaps += 1
    elif what == LATE:
        on_late(state, qp, tracker, seen, distance)
    elif qp.recovery == CAUSE_IMPLIED and psn_distance(seen.psn, qp.recovery_end) >= 0:
        qp.recovery = 0
    qp.delivered_bytes += seen.payload
    state.timeline[seen.series, 1] += seen.payload
    qp.last_new_ns = now
    if requester >= 0 and (operation == 15 or operation == 16):
        _cover(state, requester, seen)


@njit(cache=True, nogil=True, _nrt=False)
def _on_unpaired_acknowledge(state, qp, seen):
    """Take an answer whose other direction is not known yet, or a negative one."""
    negative = (np.int64(seen.aeth) >> 29) != 0
    answered = answered_direction(state, seen.slot, seen.psn, negative)
    if answered < 0:
        qp.acks_unmatched += 1
    elif negative:
        on_negative_answer(state, answered, seen)
    else:
        other = state.qps[answered]
        other.acked_any = 1
        other.acks += 1
        other.last_acked = seen.psn
        _cover(state, answered, seen)


@njit(cache=True, nogil=True, _nrt=False)
def _cover(state, slot, seen):
    """Everything of direction `slot` up to the packet's PSN has arrived."""
    qp = state.qps[slot]
    complete(qp, state.queue, state.queue_free, state.cursor, seen.psn, seen.time_ns)
    settle_holes(state, qp, slot, state.trackers[2 * slot], seen.psn, seen)


@njit(cache=True, nogil=True, _nrt=False)
def _log_first(state, kind, seen):
    log_event(state, kind, seen, seen.slot, 0, 0, seen.psn, 1, -1, -1)


@njit(cache=True, nogil=True, _nrt=False)
def follow_queue_pairs(state, packets, flow, side, queue_pair):
    """Advance the queue pairs by one batch in time order.

    flow int64, side uint8: from the flow table. Written: `state`, and `queue_pair` int64, the
    slot of each packet (-1 for none).
    """
    seen = state.seen[0]
    qps, trackers, hints, timeline = state.qps, state.trackers, state.hints, state.timeline
    queue, free, cursor = state.queue, state.queue_free, state.cursor
    for i in range(packets.time_ns.size):
        queue_pair[i] = -1
        protocol = packets.protocol[i]
        if protocol < _ROCE_V1 or protocol > _INFINIBAND:
            continue
        flags = packets.flags[i]
        if flags & (FLAG_DUPLICATE | FLAG_HEADER_CUT | FLAG_MALFORMED):
            if flags & FLAG_DUPLICATE:
                continue
            if flags & FLAG_MALFORMED or packets.payload_offset[i] == 0:
                state.counters[3] += 1
                continue
        slot = np.int64(-1)
        if flow[i] >= 0 and packets.source_qp[i] == 0:
            slot = np.int64(hints[2 * flow[i] + np.int64(side[i])]) - 1
            if slot >= 0:
                known = qps[slot]
                if (
                    known.dest_qp != packets.dest_qp[i]
                    or known.source_qp != 0
                    or known.flow != flow[i]
                    or known.src_lo != packets.src_lo[i]
                    or known.dst_lo != packets.dst_lo[i]
                    or known.src_hi != packets.src_hi[i]
                    or known.dst_hi != packets.dst_hi[i]
                ):
                    slot = np.int64(-1)
        if slot < 0:
            slot = find_queue_pair(state, packets, i, flow[i], np.int64(side[i]))
            if slot < 0:
                continue
        queue_pair[i] = slot
        qp = qps[slot]
        now = packets.time_ns[i]
        qp.packets += 1
        qp.bytes += np.int64(packets.wire_length[i])
        qp.last_ns = now
        qp.last_frame = packets.frame[i]
        series = bin_of(now, timeline, state.timeline_scale)
        timeline[series, 0] += 1
        seen.time_ns = now
        seen.frame = packets.frame[i]
        seen.series = series
        seen.slot = slot
        seen.psn = packets.psn[i]
        seen.tap = packets.tap[i]
        opcode = np.int64(packets.opcode[i])
        if opcode == _CNP:
            qp.operations[24] += 1
            qp.cnps += 1
            timeline[series, 4] += 1
            if qp.cnps == 1:
                _log_first(state, EVENT_CNP, seen)
            continue
        operation = opcode & 31
        qp.operations[operation if operation <= 23 else 25] += 1
        if qp.service == _UNKNOWN_SERVICE:
            qp.service = opcode >> 5
        seen.operation = operation
        if operation == _ACKNOWLEDGE or operation == _ATOMIC_ACKNOWLEDGE:
            if packets.rdma_flags[i] & RDMA_HAS_AETH == 0:
                continue
            qp.acks_sent += 1
            seen.aeth = packets.aeth[i]
            other_slot = np.int64(qp.paired)
            if other_slot < 0 or packets.aeth[i] >> np.uint32(29) != 0:
                _on_unpaired_acknowledge(state, qp, seen)
                continue
            other = qps[other_slot]
            other.acked_any = 1
            other.acks += 1
            other.last_acked = seen.psn
            complete(other, queue, free, cursor, seen.psn, now)
            if trackers[2 * other_slot].holes > 0:
                settle_holes(state, other, other_slot, trackers[2 * other_slot], seen.psn, seen)
            continue
        if packets.ecn[i] != 0:
            qp.ecn_capable += 1
            if packets.ecn[i] == 3:
                qp.ecn_marked += 1
                timeline[series, 3] += 1
                if qp.ecn_marked == 1:
                    _log_first(state, EVENT_ECN, seen)
        payload = np.int64(packets.payload_length[i])
        seen.payload = payload
        seen.dma_length = np.int64(packets.dma_length[i])
        seen.immediate = packets.immediate[i]
        seen.flags = packets.rdma_flags[i]
        qp.payload_bytes += payload
        if qp.data_any == 0:
            qp.data_any = 1
            qp.first_data_ns = now
        if 13 <= operation <= 16:
            _on_read_response(state, qp, seen)
            continue
        if operation > 23 or operation == 21:
            continue
        tracker = trackers[2 * slot]
        new = True
        if (
            seen.psn == np.int64(tracker.next)
            and tracker.started == 1
            and tracker.read_length == 0
            and operation != _READ_REQUEST
            and qp.recovery | qp.nak_pending | qp.tail_lost == 0
        ):
            tracker.next = (seen.psn + 1) & 0xFFFFFF
            mark_seen(tracker, seen.psn, now)
        else:
            new = _on_disturbed_data(state, qp, tracker, seen)
        qp.last_data_ns = now
        if not new:
            continue
        qp.delivered_bytes += payload
        timeline[series, 1] += payload
        if operation == 7 and seen.flags & RDMA_ACK_REQUEST == 0:
            qp.mtu = payload
        else:
            _advance_message(qp, seen, state.messages, queue, free, cursor, state.counters)
        qp.last_new_ns = now


@njit(cache=True, nogil=True, _nrt=False)
def settle_at_end(state, slots):
    """Say of the holes that are left what can be said: nothing more will come.

    READ responses that were never asked for again reached the requester; requests that were never
    answered stay unresolved.
    """
    for slot in range(slots):
        qp = state.qps[slot]
        for kind in range(2):
            tracker = state.trackers[2 * slot + kind]
            for place in range(np.int64(tracker.holes)):
                if tracker.hole_network[place] == 0:
                    if kind == 1:
                        qp.collector_lost += np.int64(tracker.hole_missing[place])
                    else:
                        qp.unresolved_lost += np.int64(tracker.hole_missing[place])
            tracker.holes = 0


@njit(cache=True, nogil=True, _nrt=False)
def pair_by_numbers(state, one, other):
    """Pair two slots that a connection set-up named, unless answers have paired them already."""
    if state.qps[one].paired < 0 and state.qps[other].paired < 0:
        pair_directions(state, one, other)
