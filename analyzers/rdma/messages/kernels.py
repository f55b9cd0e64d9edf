"""Messages and the queue of PSNs that await an acknowledgement.

`qp` is a `layout.QP_DTYPE` record; queue, free, cursor, counters and messages are the arrays of
`layout.RdmaState` with those names (`free` is `queue_free`).
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.rdma.layout import (
    CURSOR_MESSAGES,
    CURSOR_QUEUE_FREE,
    MISSED,
    NO_MESSAGE,
    QUEUE_LIMIT,
    SKETCH_BUCKETS,
)
from fabricscope.analyzers.rdma.sequence.kernels import psn_distance
from fabricscope.analyzers.sketch.kernels import bucket_of


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def drop_oldest(qp, queue, free, cursor):
    """Take the oldest entry off the queue of `qp`, which has one."""
    entry = np.int64(qp.head)
    qp.head = queue[entry].next
    if qp.head < 0:
        qp.tail = -1
    qp.queued -= 1
    free[cursor[CURSOR_QUEUE_FREE]] = entry
    cursor[CURSOR_QUEUE_FREE] += 1


@njit(cache=True, nogil=True, _nrt=False)
def await_answer(qp, queue, free, cursor, counters, psn, now, start_ns, last, asks):
    """Queue a PSN whose answer ends a message (`last`) or gives a round trip (`asks`)."""
    if qp.queued >= QUEUE_LIMIT:
        drop_oldest(qp, queue, free, cursor)
        counters[1] += 1
    if cursor[CURSOR_QUEUE_FREE] == 0:
        counters[1] += 1
        return
    cursor[CURSOR_QUEUE_FREE] -= 1
    place = np.int64(free[cursor[CURSOR_QUEUE_FREE]])
    entry = queue[place]
    entry.time_ns = now
    entry.start_ns = start_ns
    entry.psn = psn
    entry.next = -1
    entry.last = last
    entry.asks = asks
    entry.resent = qp.recovery != 0
    if qp.tail >= 0:
        queue[qp.tail].next = place
    else:
        qp.head = place
    qp.tail = place
    qp.queued += 1


@njit(cache=True, nogil=True, _nrt=False)
def complete(qp, queue, free, cursor, psn, now):
    """Take everything up to `psn` off the queue: round trips and completion times."""
    while qp.head >= 0:
        entry = queue[qp.head]
        if psn_distance(entry.psn, psn) > 0:
            break
        if entry.asks and not entry.resent:
            rtt = max(now - entry.time_ns, 0)
            qp.ack_rtt[bucket_of(rtt, SKETCH_BUCKETS)] += 1
            if rtt > qp.ack_rtt_max_ns:
                qp.ack_rtt_max_ns = rtt
            if rtt < qp.ack_rtt_min_ns or qp.ack_rtt_min_ns == 0:
                qp.ack_rtt_min_ns = rtt
        if entry.last and entry.start_ns >= 0:
            duration = max(now - entry.start_ns, 0)
            qp.completion[bucket_of(duration, SKETCH_BUCKETS)] += 1
            if duration > qp.message_max_ns:
                qp.message_max_ns = duration
        drop_oldest(qp, queue, free, cursor)


@njit(cache=True, nogil=True, _nrt=False)
def mark_resent(qp, queue):
    """Rule out round-trip samples from all that is queued: packets are being sent again."""
    entry = np.int64(qp.head)
    while entry >= 0:
        queue[entry].resent = 1
        entry = np.int64(queue[entry].next)


@njit(cache=True, nogil=True, _nrt=False)
def record_message(qp, seen, messages, cursor, start_ns, end_ns, size):
    """Count a message and append it to the messages of this batch; start -1: First not seen.

    size: bytes; negative where the capture does not tell.
    """
    qp.messages += 1
    if start_ns >= 0 and size >= 0:
        qp.sizes[bucket_of(size, SKETCH_BUCKETS)] += 1
        if size > qp.message_bytes_max:
            qp.message_bytes_max = size
    message = messages[cursor[CURSOR_MESSAGES]]
    cursor[CURSOR_MESSAGES] += 1
    message.start_ns = start_ns
    message.end_ns = end_ns
    message.bytes = max(size, 0)
    message.qp = seen.slot
    message.immediate = seen.immediate
    message.operation = seen.operation


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def open_size(qp, psn, payload):
    """Return the bytes of the open message, whose last packet has `psn` and `payload` bytes.

    A WRITE announces them. A SEND does not, and of a packet cut short they are not known: there
    every packet of a message but its last is as long as its first.
    """
    if qp.open_bytes > 0:
        return np.int64(qp.open_bytes)
    return np.int64(qp.mtu) * psn_distance(psn, qp.open_psn) + payload


@njit(cache=True, nogil=True, _nrt=False)
def give_up_message(qp, seen, messages, queue, free, cursor, counters, reliable):
    """Count the open message though its Last was not seen: another message begins."""
    psn = (seen.psn - 1) & 0xFFFFFF
    immediate = seen.immediate
    operation = seen.operation
    seen.immediate = 0
    seen.operation = qp.open_operation
    size = open_size(qp, psn, np.int64(qp.mtu))
    record_message(qp, seen, messages, cursor, qp.open_start_ns, qp.last_new_ns, size)
    seen.immediate = immediate
    seen.operation = operation
    qp.missed[qp.missed_at] = psn + 1
    qp.missed_at = (np.int64(qp.missed_at) + 1) & (MISSED - 1)
    if reliable:
        now = seen.time_ns
        await_answer(qp, queue, free, cursor, counters, psn, now, qp.open_start_ns, True, False)
    qp.open_operation = NO_MESSAGE


@njit(cache=True, nogil=True, _nrt=False)
def begin_message(qp, seen):
    """Open the message of a First."""
    qp.open_start_ns = seen.time_ns
    qp.open_bytes = seen.dma_length if seen.operation == 6 else 0
    qp.open_operation = seen.operation
    qp.open_psn = seen.psn
    qp.mtu = seen.payload


@njit(cache=True, nogil=True, _nrt=False)
def is_last(operation):
    """Tell whether an operation ends a message that a First began."""
    return operation == 2 or operation == 3 or operation == 8 or operation == 9 or operation == 22


@njit(cache=True, nogil=True, _nrt=False)
def end_message(qp, seen, messages, cursor):
    """Record the message that a Last, an Only or a READ request ends; return its start or -1."""
    size = seen.payload
    start_ns = seen.time_ns
    if is_last(seen.operation):
        start_ns = np.int64(-1)
        if qp.open_operation == NO_MESSAGE:
            qp.orphan_psn = seen.psn
            qp.orphaned = 1
        else:
            start_ns = qp.open_start_ns
            size = open_size(qp, seen.psn, seen.payload)
        qp.open_operation = NO_MESSAGE
    elif seen.operation == 12:
        size = seen.dma_length
    record_message(qp, seen, messages, cursor, start_ns, seen.time_ns, size)
    return start_ns


@njit(cache=True, nogil=True, _nrt=False)
def take_late_message(qp, seen, messages, cursor):
    """Take a First, Last or Only that comes after packets of higher numbers.

    Returns (ends, start_ns): whether it ends a message not yet counted, and when that began (-1
    when that is not known).
    """
    operation = seen.operation
    unopened = qp.open_operation == NO_MESSAGE
    if operation == 0 or operation == 6:
        ended = qp.orphaned == 1 and psn_distance(qp.orphan_psn, seen.psn) > 0
        if unopened and not ended:
            begin_message(qp, seen)
        return False, np.int64(-1)
    if not is_last(operation):
        return True, end_message(qp, seen, messages, cursor)
    for k in range(MISSED):
        if qp.missed[k] == seen.psn + 1:
            qp.missed[k] = 0
            return False, np.int64(-1)
    if unopened or psn_distance(seen.psn, qp.open_psn) < 0:
        record_message(qp, seen, messages, cursor, np.int64(-1), seen.time_ns, seen.payload)
        return True, np.int64(-1)
    return True, end_message(qp, seen, messages, cursor)
