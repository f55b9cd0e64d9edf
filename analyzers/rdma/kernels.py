"""One pass over a batch: every RDMA packet advances its queue pair.

Lookup, PSN order, messages and recovery are in the packages beside this file.
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
from fabricscope.analyzers.rdma.messages.kernels import complete, follow_message
from fabricscope.analyzers.rdma.recovery.kernels import (
    log_event,
    on_answer,
    on_expected,
    on_late,
    on_read_again,
    on_repeat,
    settle_holes,
)
from fabricscope.analyzers.rdma.sequence.kernels import psn_distance, span_of_read, track
from fabricscope.analyzers.timeline.kernels import bin_of
from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_HEADER_CUT,
    FLAG_MALFORMED,
    PROTOCOLS,
    RDMA_HAS_AETH,
)

_ROCE_V1 = PROTOCOLS.index("roce_v1")
_INFINIBAND = PROTOCOLS.index("infiniband")
_CNP = 0x81
_RC = 0
_XRC = 5
_READ_REQUEST = 12
_ACKNOWLEDGE = 17
_ATOMIC_ACKNOWLEDGE = 18


@njit(cache=True, nogil=True)
def _span(state, slot, packets, i, operation):
    """Return how many PSNs packet `i` stands for; settles what the READ before it reserved."""
    qp = state.qps[slot]
    tracker = state.trackers[2 * slot]
    if tracker.read_length > 0 and tracker.started:
        jump = psn_distance(packets.psn[i], tracker.next)
        if jump > 0:
            known = span_of_read(np.int64(qp.mtu), tracker.read_length, jump + 1)
            tracker.next = (np.int64(tracker.next) + known - 1) & 0xFFFFFF
        tracker.read_length = 0
    if operation != _READ_REQUEST:
        return np.int64(1)
    if qp.mtu == 0:
        tracker.read_length = packets.dma_length[i]
        return np.int64(1)
    return span_of_read(np.int64(qp.mtu), np.int64(packets.dma_length[i]), np.int64(0))


@njit(cache=True, nogil=True)
def _on_data(state, slot, packets, i, operation, series):
    """A request packet: SEND, WRITE, READ request or atomic, of any transport service."""
    qp = state.qps[slot]
    row = 2 * slot
    now = packets.time_ns[i]
    payload = np.int64(packets.payload_length[i])
    qp.payload_bytes += payload
    if not qp.data_any:
        qp.data_any = 1
        qp.first_data_ns = now
    span = _span(state, slot, packets, i, operation)
    what, distance = track(state, row, packets.psn[i], span, now, packets.frame[i])
    if what == REPEAT or (what == LATE and operation == _READ_REQUEST):
        if operation == _READ_REQUEST:
            on_read_again(state, slot, packets, i, series)
        else:
            on_repeat(state, slot, row, packets, i, distance, series)
        qp.last_data_ns = now
        return
    if what == LATE:
        on_late(state, slot, row, packets, i, distance, series)
    else:
        if what == GAP:
            qp.gaps += 1
        elif what == RESTART:
            qp.restarts += 1
            log_event(
                state,
                EVENT_RESTART,
                slot,
                now,
                packets.frame[i],
                packets.tap[i],
                0,
                0,
                packets.psn[i],
                1,
                np.int64(-1),
                np.int64(-1),
            )
        if qp.recovery != 0 or qp.nak_pending != 0 or qp.tail_lost != 0:
            on_expected(state, slot, row, packets, i, series)
    qp.delivered_bytes += payload
    state.timeline[series, 1] += payload
    reliable = qp.service == _RC or qp.service == _XRC
    before = qp.messages
    follow_message(state, slot, packets, i, operation, reliable)
    if qp.messages != before:
        qp.tail_lost = 0
    qp.last_data_ns = now
    qp.last_new_ns = now


@njit(cache=True, nogil=True)
def _on_read_response(state, slot, packets, i, operation, series):
    """A READ response, carried by `slot`, answers a request of the other direction."""
    qp = state.qps[slot]
    row = 2 * slot + 1
    now = packets.time_ns[i]
    payload = np.int64(packets.payload_length[i])
    qp.payload_bytes += payload
    requester = answered_direction(state, slot, np.int64(packets.psn[i]), False)
    if (operation == 13 or operation == 14) and payload > 0:
        qp.mtu = payload
        if requester >= 0:
            state.qps[requester].mtu = payload
    what, distance = track(state, row, packets.psn[i], np.int64(1), now, packets.frame[i])
    if what == GAP and (operation == 13 or operation == 16):
        # A new response need not follow the last one: other requests took the PSNs between.
        count = np.int64(state.trackers[row].holes)
        if count > 0:
            state.trackers[row].holes = count - 1
        what = IN_ORDER
    if what == REPEAT:
        if qp.recovery != 0:
            qp.retransmissions += 1
            state.timeline[series, 2] += 1
        else:
            on_repeat(state, slot, row, packets, i, distance, series)
        qp.last_data_ns = now
        return
    if what == GAP:
        qp.gaps += 1
    elif what == LATE:
        on_late(state, slot, row, packets, i, distance, series)
    elif qp.recovery == CAUSE_IMPLIED and psn_distance(packets.psn[i], qp.recovery_end) >= 0:
        qp.recovery = 0
    qp.delivered_bytes += payload
    state.timeline[series, 1] += payload
    qp.last_data_ns = now
    qp.last_new_ns = now
    if requester >= 0 and (operation == 15 or operation == 16):
        complete(state, requester, np.int64(packets.psn[i]), now)
        settle_holes(state, requester, 2 * requester, np.int64(packets.psn[i]), packets, i)


@njit(cache=True, nogil=True)
def _on_acknowledge(state, slot, packets, i, operation, series):
    """An Acknowledge or Atomic Acknowledge carried by `slot`."""
    state.qps[slot].acks_sent += 1
    if packets.rdma_flags[i] & RDMA_HAS_AETH == 0:
        return
    nak = (packets.aeth[i] >> np.uint32(29)) != 0
    answered = answered_direction(state, slot, np.int64(packets.psn[i]), nak)
    if answered >= 0:
        on_answer(state, slot, answered, packets, i, series)
    else:
        state.qps[slot].acks_unmatched += 1


@njit(cache=True, nogil=True)
def _count_congestion(state, slot, packets, i, is_data, series):
    """ECN marks of data packets, and congestion notifications."""
    qp = state.qps[slot]
    if packets.opcode[i] == _CNP:
        qp.cnps += 1
        state.timeline[series, 4] += 1
        kind = EVENT_CNP
        first = qp.cnps == 1
    elif is_data and packets.ecn[i] != 0:
        qp.ecn_capable += 1
        if packets.ecn[i] != 3:
            return
        qp.ecn_marked += 1
        state.timeline[series, 3] += 1
        kind = EVENT_ECN
        first = qp.ecn_marked == 1
    else:
        return
    if first:
        log_event(
            state,
            kind,
            slot,
            packets.time_ns[i],
            packets.frame[i],
            packets.tap[i],
            0,
            0,
            packets.psn[i],
            1,
            np.int64(-1),
            np.int64(-1),
        )


@njit(cache=True, nogil=True)
def follow_queue_pairs(state, packets, flow, side, queue_pair):
    """Advance the queue pairs by one batch in time order.

    flow int64, side uint8: from the flow table. Written: `state`, and `queue_pair` int64, the
    slot of each packet (-1 for none).
    """
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
        slot = find_queue_pair(state, packets, i, flow[i], np.int64(side[i]))
        if slot < 0:
            continue
        queue_pair[i] = slot
        qp = state.qps[slot]
        opcode = np.int64(packets.opcode[i])
        qp.packets += 1
        qp.bytes += packets.wire_length[i]
        qp.last_ns = packets.time_ns[i]
        qp.last_frame = packets.frame[i]
        series = bin_of(packets.time_ns[i], state.timeline, state.timeline_scale)
        state.timeline[series, 0] += 1
        if opcode == _CNP:
            state.operations[slot, 24] += 1
            _count_congestion(state, slot, packets, i, False, series)
            continue
        if qp.service == 255:
            qp.service = opcode >> 5
        operation = opcode & 31
        state.operations[slot, operation if operation <= 23 else 25] += 1
        answer = operation == _ACKNOWLEDGE or operation == _ATOMIC_ACKNOWLEDGE
        if packets.ecn[i] != 0:
            _count_congestion(state, slot, packets, i, not answer, series)
        if answer:
            _on_acknowledge(state, slot, packets, i, operation, series)
        elif 13 <= operation <= 16:
            _on_read_response(state, slot, packets, i, operation, series)
        elif operation <= 23 and operation != 21:
            _on_data(state, slot, packets, i, operation, series)


@njit(cache=True, nogil=True)
def settle_at_end(state, slots):
    """Say of the holes that are left what can be said: nothing more will come.

    READ responses that were never asked for again reached the requester; requests that were never
    answered stay unresolved.
    """
    for slot in range(slots):
        qp = state.qps[slot]
        for kind in range(2):
            row = 2 * slot + kind
            for place in range(np.int64(state.trackers[row].holes)):
                hole = state.holes[row, place]
                if kind == 1 and hole.network == 0:
                    qp.collector_lost += hole.missing
                elif hole.network == 0:
                    qp.unresolved_lost += hole.missing
            state.trackers[row].holes = 0


@njit(cache=True, nogil=True)
def pair_by_numbers(state, one, other):
    """Pair two slots that a connection set-up named, unless answers have paired them already."""
    if state.qps[one].paired < 0 and state.qps[other].paired < 0:
        pair_directions(state, one, other)
