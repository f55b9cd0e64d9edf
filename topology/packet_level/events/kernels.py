"""Kernels of the queue of events: a 4-ary heap, and what is due when."""

import numpy as np
from numba import njit

from fabricscope.topology.packet_level.layout import (
    AFTER_ALL,
)


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def push(heap, clock, time, ident):
    """Add the event `ident` at `time` to the heap (4-ary, by time alone).

    The children of place p are 4p + 1 to 4p + 4; `heap.time` is NEVER or later beyond the size, so
    that no child needs to be counted.
    """
    place = clock["heap_size"]
    clock["heap_size"] = place + 1
    while place > 0:
        parent = (place - 1) >> 2
        before = heap.time[parent]
        if before <= time:
            break
        heap.time[place] = before
        heap.ident[place] = heap.ident[parent]
        place = parent
    heap.time[place] = time
    heap.ident[place] = ident


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def replace_first(heap, time, ident):
    """Put the event `ident` at `time` in the place of the first."""
    place = np.int64(0)
    while True:
        left = 4 * place + 1
        if left + 3 >= len(heap.time):
            break
        low = left
        low_time = heap.time[left]
        other = heap.time[left + 1]
        low = left + 1 if other < low_time else low
        low_time = min(other, low_time)
        high = left + 2
        high_time = heap.time[left + 2]
        other = heap.time[left + 3]
        high = left + 3 if other < high_time else high
        high_time = min(other, high_time)
        low = high if high_time < low_time else low
        low_time = min(high_time, low_time)
        if time <= low_time:
            break
        heap.time[place] = low_time
        heap.ident[place] = heap.ident[low]
        place = low
    heap.time[place] = time
    heap.ident[place] = ident


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def drop_first(heap, clock):
    """Take the first event from the heap."""
    size = clock["heap_size"] - 1
    clock["heap_size"] = size
    time = heap.time[size]
    ident = heap.ident[size]
    heap.time[size] = AFTER_ALL
    if size > 0:
        replace_first(heap, time, ident)


@njit(cache=True, nogil=True, _nrt=False)
def schedule(heap, clock, due, time, ident):
    """Let the event `ident` happen at `time` and at no other time."""
    if due[ident] != time:
        due[ident] = time
        push(heap, clock, time, ident)
