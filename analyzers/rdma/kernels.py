"""One pass over a batch: every RDMA packet advances its queue pair.

Lookup, PSN order, messages and recovery are in the packages beside this file. What the hot path
calls takes records and a few arrays; only rare turns are passed the whole state, whose many
arrays cost more to pass than the work takes.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    EVENT_CNP,
    EVENT_ECN,
    EVENT_OUT_OF_ORDER,
    EVENT_RESTART,
    GAP,
    IN_ORDER,
    LATE,
    MISSED,
    NO_MESSAGE,
    PAIR_DISTANCE,
    READ_CUT,
    REPEAT,
    RESTART,
)
from fabricscope.analyzers.rdma.lookup.kernels import (
    answered_direction,
    find_queue_pair,
)
from fabricscope.analyzers.rdma.messages.kernels import (
    await_answer,
    begin_message,
    complete,
    drop_oldest,
    end_message,
    give_up_message,
    is_last,
    take_late_message,
)
from fabricscope.analyzers.rdma.reads.kernels import (
    on_late_response,
    on_request_again,
    on_response_again,
)
from fabricscope.analyzers.rdma.recovery.kernels import (
    log_event,
    on_expected,
    on_late,
    on_negative_answer,
    on_repeat,
    settle_holes,
)
from fabricscope.analyzers.rdma.sequence.kernels import (
    find_hole,
    mark_seen,
    psn_distance,
    span_of_request,
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
_UD = 3
_XRC = 5
_READ_REQUEST = 12
_ACKNOWLEDGE = 17
_ATOMIC_ACKNOWLEDGE = 18


@njit(cache=True, nogil=True, _nrt=False)
def _start_over(state, qp, seen):
    """Forget what the old numbers left behind: the queue pair was made anew."""
    while qp.head >= 0:
        drop_oldest(qp, state.queue, state.queue_free, state.cursor)
    qp.restarts += 1
    qp.open_operation = NO_MESSAGE
    qp.orphaned = 0
    qp.recovery = 0
    qp.nak_pending = 0
    qp.tail_lost = 0
    qp.late_run = 0
    qp.copy_known = 0
    qp.last_acked = (seen.psn - 1) & 0xFFFFFF
    for k in range(MISSED):
        qp.missed[k] = 0
    log_event(state, EVENT_RESTART, seen, seen.slot, 0, 0, seen.psn, 1, -1, -1)


@njit(cache=True, nogil=True, _nrt=False)
def _on_datagram(state, qp, tracker, seen):
    """Take a UD packet: its sender numbers the packets to all destinations in one sequence."""
    if qp.dest_qp <= 1:
        # Management datagrams carry no sequence that means anything.
        return IN_ORDER
    what, distance = track(tracker, seen, np.int64(1))
    tracker.holes = 0
    if what == REPEAT:
        on_repeat(state, qp, tracker, seen, distance)
    elif what == LATE:
        overtaken = distance - 1
        qp.out_of_order += 1
        qp.max_displacement = max(qp.max_displacement, overtaken)
        log_event(state, EVENT_OUT_OF_ORDER, seen, seen.slot, 0, 0, seen.psn, overtaken, -1, -1)
    return what


@njit(cache=True, nogil=True, _nrt=False)
def _on_disturbed_data(state, qp, tracker, seen):
    """Take a request packet that is out of order, or comes while packets are sent again.

    Returns what it is to the sequence: only a REPEAT was seen at this tap before.
    """
    if qp.service == _UD:
        return _on_datagram(state, qp, tracker, seen)
    operation = seen.operation
    span = span_of_request(qp, tracker, seen)
    asks = operation == _READ_REQUEST or operation == 19 or operation == 20
    what, distance = track(tracker, seen, span)
    # A READ may ask again for a part of what an earlier one asked for.
    part = what == LATE and operation == _READ_REQUEST and find_hole(tracker, seen.psn) < 0
    if part:
        what = REPEAT
    if what == REPEAT:
        if asks:
            on_request_again(state, qp, tracker, seen, part)
        else:
            on_repeat(state, qp, tracker, seen, distance)
    elif what == LATE:
        on_late(state, qp, tracker, seen, distance)
    else:
        if what == GAP:
            qp.gaps += 1
        elif what == RESTART:
            _start_over(state, qp, seen)
        if qp.recovery | qp.nak_pending | qp.tail_lost != 0:
            on_expected(state, qp, tracker, seen)
    return what


@njit(cache=True, nogil=True, _nrt=False)
def _advance_message(qp, seen, late, messages, queue, free, cursor, counters):
    """Take a new request packet that begins or ends a message or asks for an answer."""
    operation = seen.operation
    reliable = qp.service == _RC or qp.service == _XRC
    start_ns = np.int64(-1)
    ends = False
    if operation == 1 or operation == 7:
        qp.mtu = seen.payload
    elif late:
        ends, start_ns = take_late_message(qp, seen, messages, cursor)
    else:
        begins = operation == 0 or operation == 6
        if qp.open_operation != NO_MESSAGE and not is_last(operation):
            give_up_message(qp, seen, messages, queue, free, cursor, counters, reliable)
        if begins:
            begin_message(qp, seen)
        else:
            ends = True
            qp.tail_lost = 0
            start_ns = end_message(qp, seen, messages, cursor)
    asks = seen.bits & RDMA_ACK_REQUEST != 0
    if late and qp.tail >= 0 and psn_distance(seen.psn, queue[qp.tail].psn) <= 0:
        # The queue is in the order of PSNs; what has a later one waiting is answered with it.
        return
    if (asks or ends) and reliable:
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
    what, distance = track(tracker, seen, np.int64(1))
    if what == GAP and (operation == 13 or operation == 16) and qp.response_open == 0:
        # A new response need not follow the last one: other requests took the PSNs between.
        tracker.holes -= 1
        what = IN_ORDER
    if what in (IN_ORDER, GAP):
        qp.response_open = operation == 13 or operation == 14
    qp.last_data_ns = now
    if what == REPEAT:
        on_response_again(state, qp, tracker, seen)
        return
    if what == GAP:
        qp.gaps += 1
    elif what == LATE:
        on_late_response(state, qp, tracker, seen, distance)
    elif qp.implied == 2:
        qp.implied = 0
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


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _is_its_own(known, packets, i, flow):
    """Return whether the queue pair that a flow used last is that of packet `i`."""
    return (
        known.dest_qp == packets.dest_qp[i]
        and known.source_qp == 0
        and known.flow == flow
        and known.src_lo == packets.src_lo[i]
        and known.dst_lo == packets.dst_lo[i]
        and known.src_hi == packets.src_hi[i]
        and known.dst_hi == packets.dst_hi[i]
    )


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _on_acknowledge(state, qps, trackers, qp, seen):
    """Let an ACK or NAK complete what the other direction has sent, where that is known."""
    other_slot = np.int64(qp.paired)
    if other_slot < 0 or seen.aeth >> np.uint32(29) != 0:
        _on_unpaired_acknowledge(state, qp, seen)
        return
    other = qps[other_slot]
    far = psn_distance(seen.psn, trackers[2 * other_slot].next)
    if far > PAIR_DISTANCE or far < -PAIR_DISTANCE:
        # A number that the other direction never had: the connection was made anew.
        qp.paired = -1
        other.paired = -1
        _on_unpaired_acknowledge(state, qp, seen)
        return
    other.acked_any = 1
    other.acks += 1
    other.last_acked = seen.psn
    complete(other, state.queue, state.queue_free, state.cursor, seen.psn, seen.time_ns)
    if trackers[2 * other_slot].holes > 0:
        settle_holes(state, other, other_slot, trackers[2 * other_slot], seen.psn, seen)


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
            if slot >= 0 and not _is_its_own(qps[slot], packets, i, flow[i]):
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
        seen.identity = np.int64(packets.ip_id[i]) & 0xFFFF
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
        if operation in (_ACKNOWLEDGE, _ATOMIC_ACKNOWLEDGE):
            if packets.rdma_flags[i] & RDMA_HAS_AETH == 0:
                continue
            qp.acks_sent += 1
            seen.aeth = packets.aeth[i]
            _on_acknowledge(state, qps, trackers, qp, seen)
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
        seen.bits = packets.rdma_flags[i]
        qp.payload_bytes += payload
        if qp.data_any == 0:
            qp.data_any = 1
            qp.first_data_ns = now
        if 13 <= operation <= 16:
            _on_read_response(state, qp, seen)
            continue
        if operation == _READ_REQUEST and flags & FLAG_HEADER_CUT:
            seen.dma_length = READ_CUT
        if operation > 23 or operation == 21:
            continue
        tracker = trackers[2 * slot]
        what = IN_ORDER
        if (
            seen.psn == np.int64(tracker.next)
            and tracker.started == 1
            and tracker.read_length == 0
            and operation != _READ_REQUEST
            and qp.recovery | qp.nak_pending | qp.tail_lost == 0
        ):
            tracker.next = (seen.psn + 1) & 0xFFFFFF
            mark_seen(tracker, seen.psn, now, seen.identity)
        else:
            what = _on_disturbed_data(state, qp, tracker, seen)
        qp.last_data_ns = now
        if what == REPEAT:
            continue
        qp.delivered_bytes += payload
        timeline[series, 1] += payload
        if operation == 7 and seen.bits & RDMA_ACK_REQUEST == 0:
            qp.mtu = payload
        else:
            late = what == LATE
            _advance_message(qp, seen, late, state.messages, queue, free, cursor, state.counters)
        qp.last_new_ns = now
