"""Heads: the first bytes of each direction, put in order. Arrays only.

TCP segments are placed by sequence number, datagrams one after the other; the arrays are those of
`state.HeadPool`, owned by the engine.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.dpi.state import (
    COUNT_STOLEN,
    HEAD_BYTES,
    MAX_DATAGRAMS,
    NO_HEAD,
    SCRATCH_BYTES,
    STAGE_DONE,
    STAGE_FINISHED,
    STAGE_NEW,
    STREAM_BASE,
    STREAM_COUNT,
    STREAM_HAVE,
    STREAM_KNOWN,
    STREAM_LIST,
    STREAM_TOTAL,
)


@njit(cache=True, nogil=True, _nrt=False)
def take_head(slot, state, pool, counters):
    """Give the flow a head, taking one from another flow if none is free."""
    if pool.cursor[0] > 0:
        pool.cursor[0] -= 1
        head = np.int64(pool.free[pool.cursor[0]])
    else:
        head = pool.cursor[1]
        while state.stage[pool.owner[head]] == STAGE_FINISHED:
            head = (head + 1) % pool.owner.shape[0]
            if head == pool.cursor[1]:
                break
        pool.cursor[1] = (head + 1) % pool.owner.shape[0]
        loser = pool.owner[head]
        state.head[loser] = NO_HEAD
        state.stage[loser] = STAGE_DONE
        counters[COUNT_STOLEN] += 1
    pool.owner[head] = slot
    pool.streams[head] = 0
    state.head[slot] = head
    return head


@njit(cache=True, nogil=True, _nrt=False)
def add_segment(view, offset, have, total, sequence, stream, buffer, start):
    """Put a TCP segment into a direction's head; return whether its contiguous part grew.

    Bytes that are already contiguous are never overwritten: the first copy wins, as in the
    receiver. Up to 4 out-of-order pieces are kept; more are dropped and must be sent again.
    """
    if stream[STREAM_KNOWN] == 0:
        stream[STREAM_KNOWN] = 1
        stream[STREAM_BASE] = sequence
    low = (sequence - stream[STREAM_BASE]) & 0xFFFFFFFF
    if low >= 0x80000000:
        low -= 0x100000000
    high = min(low + have, HEAD_BYTES)
    grown = stream[STREAM_HAVE]
    if low <= 0 and stream[STREAM_TOTAL] == 0:
        stream[STREAM_TOTAL] = total + low
    low_kept = max(low, grown)
    if high <= low_kept:
        return False
    for index in range(low_kept, high):
        buffer[start + index] = view[offset + index - low]
    if low > grown:
        count = stream[STREAM_COUNT]
        if count < 4:
            stream[STREAM_LIST + 2 * count] = low_kept
            stream[STREAM_LIST + 2 * count + 1] = high
            stream[STREAM_COUNT] = count + 1
        return False
    stream[STREAM_HAVE] = high
    for _ in range(4):
        for index in range(stream[STREAM_COUNT]):
            if stream[STREAM_LIST + 2 * index] <= stream[STREAM_HAVE]:
                stop = stream[STREAM_LIST + 2 * index + 1]
                stream[STREAM_HAVE] = max(stream[STREAM_HAVE], stop)
    return True


@njit(cache=True, nogil=True, _nrt=False)
def add_datagram(view, offset, have, total, stream, buffer, start, scratch):
    """Keep a datagram in a direction's head, or in the scratch part if there is no room.

    Returns (start, have, total) of the datagram and of the sender's one before it.
    """
    count = stream[STREAM_COUNT]
    used = stream[STREAM_HAVE]
    previous = (np.int64(0), np.int64(0), np.int64(0))
    if count > 0:
        entry = STREAM_LIST + 3 * (count - 1)
        previous = (start + stream[entry], stream[entry + 1], stream[entry + 2])
    room = HEAD_BYTES - used
    if count < MAX_DATAGRAMS and (have <= room or room >= 512):
        kept = min(have, room)
        entry = STREAM_LIST + 3 * count
        stream[entry], stream[entry + 1], stream[entry + 2] = used, kept, total
        stream[STREAM_COUNT] = count + 1
        stream[STREAM_HAVE] = used + kept
        at = start + used
    else:
        kept = min(have, SCRATCH_BYTES)
        at = scratch
    for index in range(kept):
        buffer[at + index] = view[offset + index]
    return (at, kept, total), previous


@njit(cache=True, nogil=True, _nrt=False)
def first_message(pool, head, side, datagrams):
    """Return (start, have, total) of a direction's stream head or first datagram."""
    start = (head * 2 + side) * HEAD_BYTES
    stream = pool.streams[head, side]
    if datagrams:
        if stream[STREAM_COUNT] == 0:
            return start, np.int64(0), np.int64(0)
        return start, stream[STREAM_LIST + 1], stream[STREAM_LIST + 2]
    return start, stream[STREAM_HAVE], stream[STREAM_TOTAL]


@njit(cache=True, nogil=True, _nrt=False)
def release_heads(slots, state, pool):
    """Return the heads of the flows to the pool."""
    for index in range(slots.shape[0]):
        slot = slots[index]
        head = state.head[slot]
        if state.stage[slot] != STAGE_NEW and head >= 0:
            pool.owner[head] = -1
            pool.free[pool.cursor[0]] = head
            pool.cursor[0] += 1
            state.head[slot] = NO_HEAD
