"""Messages and the queue of PSNs that await an acknowledgement."""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    CURSOR_MESSAGES,
    CURSOR_QUEUE_FREE,
    NO_MESSAGE,
    QUEUE_LIMIT,
    SKETCH_BUCKETS,
)
from fabricscope.analyzers.rdma.sequence.kernels import psn_distance
from fabricscope.analyzers.sketch.kernels import bucket_of
from fabricscope.records import RDMA_ACK_REQUEST


@njit(cache=True, nogil=True)
def _pop(state, qp):
    entry = np.int64(qp.head)
    qp.head = state.queue[entry].next
    if qp.head < 0:
        qp.tail = -1
    qp.queued -= 1
    state.queue_free[state.cursor[CURSOR_QUEUE_FREE]] = entry
    state.cursor[CURSOR_QUEUE_FREE] += 1


@njit(cache=True, nogil=True)
def await_answer(state, slot, psn, now, start_ns, size, last, asks, operation):
    """Queue a PSN whose answer ends a message (`last`) or gives a round trip (`asks`)."""
    qp = state.qps[slot]
    if qp.queued >= QUEUE_LIMIT:
        _pop(state, qp)
        state.counters[1] += 1
    if state.cursor[CURSOR_QUEUE_FREE] == 0:
        state.counters[1] += 1
        return
    state.cursor[CURSOR_QUEUE_FREE] -= 1
    place = np.int64(state.queue_free[state.cursor[CURSOR_QUEUE_FREE]])
    entry = state.queue[place]
    entry.time_ns = now
    entry.start_ns = start_ns
    entry.bytes = size
    entry.psn = psn
    entry.next = -1
    entry.last = last
    entry.asks = asks
    entry.resent = qp.recovery != 0
    entry.operation = operation
    if qp.tail >= 0:
        state.queue[qp.tail].next = place
    else:
        qp.head = place
    qp.tail = place
    qp.queued += 1


@njit(cache=True, nogil=True)
def complete(state, slot, psn, now):
    """Take everything up to `psn` off the queue: round trips and completion times."""
    qp = state.qps[slot]
    while qp.head >= 0:
        entry = state.queue[qp.head]
        if psn_distance(entry.psn, psn) > 0:
            break
        if entry.asks and not entry.resent:
            rtt = max(now - entry.time_ns, 0)
            state.sketches[slot, 0, bucket_of(rtt, SKETCH_BUCKETS)] += 1
            if rtt > qp.ack_rtt_max_ns:
                qp.ack_rtt_max_ns = rtt
        if entry.last and entry.start_ns >= 0:
            duration = max(now - entry.start_ns, 0)
            state.sketches[slot, 1, bucket_of(duration, SKETCH_BUCKETS)] += 1
            if duration > qp.message_max_ns:
                qp.message_max_ns = duration
        _pop(state, qp)


@njit(cache=True, nogil=True)
def mark_resent(state, slot):
    """Rule out round-trip samples from all that is queued: packets are being sent again."""
    entry = np.int64(state.qps[slot].head)
    while entry >= 0:
        state.queue[entry].resent = 1
        entry = np.int64(state.queue[entry].next)


@njit(cache=True, nogil=True)
def _record(state, slot, start_ns, now, size, immediate, operation):
    qp = state.qps[slot]
    qp.messages += 1
    state.sketches[slot, 2, bucket_of(size, SKETCH_BUCKETS)] += 1
    if size > qp.message_bytes_max:
        qp.message_bytes_max = size
    message = state.messages[state.cursor[CURSOR_MESSAGES]]
    state.cursor[CURSOR_MESSAGES] += 1
    message.start_ns = start_ns
    message.end_ns = now
    message.bytes = size
    message.qp = slot
    message.immediate = immediate
    message.operation = operation


@njit(cache=True, nogil=True)
def follow_message(state, slot, packets, i, operation, reliable):
    """Advance the message of `slot` by a data packet that was not seen before.

    Opens it on First, records it on Last and Only (also when the next First shows that the Last
    was missed), and queues the PSN when an answer is due (`reliable`).
    """
    qp = state.qps[slot]
    now = packets.time_ns[i]
    payload = np.int64(packets.payload_length[i])
    first = operation == 0 or operation == 6
    middle = operation == 1 or operation == 7
    last = operation == 2 or operation == 3 or operation == 8 or operation == 9 or operation == 22
    size = payload
    start_ns = now
    if first:
        if qp.open_operation != NO_MESSAGE:
            _record(state, slot, qp.open_start_ns, qp.last_new_ns, qp.open_bytes, 0, operation)
        qp.open_start_ns = now
        qp.open_bytes = np.int64(packets.dma_length[i]) if operation == 6 else payload
        qp.open_operation = operation
        qp.mtu = payload
    elif middle:
        qp.mtu = payload
        if qp.open_operation == 0:
            qp.open_bytes += payload
    elif last:
        start_ns = np.int64(-1)
        if qp.open_operation != NO_MESSAGE:
            start_ns = qp.open_start_ns
            size = qp.open_bytes + (payload if qp.open_operation == 0 else 0)
        qp.open_operation = NO_MESSAGE
        _record(state, slot, start_ns, now, size, packets.immediate[i], operation)
    else:
        if operation == 12:
            size = np.int64(packets.dma_length[i])
        _record(state, slot, now, now, size, packets.immediate[i], operation)
    asks = packets.rdma_flags[i] & RDMA_ACK_REQUEST != 0
    ends = not first and not middle
    if reliable and (asks or ends):
        # Requests whose answer is data or a value are answered whether or not the bit is set.
        asks = asks or operation == 19 or operation == 20
        if operation == 12:
            asks = False
        await_answer(state, slot, packets.psn[i], now, start_ns, size, ends, asks, operation)
