"""Kernels of the two heaps of `state.Queue`: flows by their end, and other events by their time.

Both are 4-ary, so that the children of an entry share a cache line.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, _nrt=False)
def push_event(queue, time_ns, code):
    """Add an event; the caller has made sure that there is room."""
    place = queue.sizes[1]
    queue.sizes[1] = place + 1
    while place > 0:
        parent = (place - 1) >> 2
        if queue.event_ns[parent] <= time_ns:
            break
        queue.event_ns[place] = queue.event_ns[parent]
        queue.event_code[place] = queue.event_code[parent]
        place = parent
    queue.event_ns[place] = time_ns
    queue.event_code[place] = code


@njit(cache=True, nogil=True, _nrt=False)
def drop_event(queue):
    """Take the first event off."""
    size = queue.sizes[1] - 1
    queue.sizes[1] = size
    time_ns = queue.event_ns[size]
    code = queue.event_code[size]
    place = np.int64(0)
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        least = child
        for other in range(child + 1, min(child + 4, size)):
            if queue.event_ns[other] < queue.event_ns[least]:
                least = other
        if queue.event_ns[least] >= time_ns:
            break
        queue.event_ns[place] = queue.event_ns[least]
        queue.event_code[place] = queue.event_code[least]
        place = least
    queue.event_ns[place] = time_ns
    queue.event_code[place] = code


@njit(cache=True, nogil=True, _nrt=False)
def set_finish(queue, flow, finish_ns):
    """Put `flow` into the heap, or move it, so that it ends at `finish_ns`."""
    before = queue.finish_ns[flow]
    place = np.int64(queue.place[flow])
    queue.finish_ns[flow] = finish_ns
    if place < 0:
        place = queue.sizes[0]
        queue.sizes[0] += 1
        before = np.inf
        _rise(queue, flow, place)
    elif finish_ns <= before:
        _rise(queue, flow, place)
    else:
        _sink(queue, flow, place)


@njit(cache=True, nogil=True, _nrt=False)
def forget_finish(queue, flow):
    """Take `flow` out of the heap, if it is in it."""
    place = np.int64(queue.place[flow])
    if place < 0:
        return
    queue.place[flow] = -1
    size = queue.sizes[0] - 1
    queue.sizes[0] = size
    if place == size:
        return
    other = queue.heap[size]
    if queue.finish_ns[other] <= queue.finish_ns[flow]:
        _rise(queue, other, place)
    else:
        _sink(queue, other, place)


@njit(cache=True, nogil=True, _nrt=False)
def _rise(queue, flow, place):
    key = queue.finish_ns[flow]
    while place > 0:
        parent = (place - 1) >> 2
        above = queue.heap[parent]
        if queue.finish_ns[above] <= key:
            break
        queue.heap[place] = above
        queue.place[above] = place
        place = parent
    queue.heap[place] = flow
    queue.place[flow] = place


@njit(cache=True, nogil=True, _nrt=False)
def _sink(queue, flow, place):
    key = queue.finish_ns[flow]
    size = queue.sizes[0]
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        least = child
        for other in range(child + 1, min(child + 4, size)):
            if queue.finish_ns[queue.heap[other]] < queue.finish_ns[queue.heap[least]]:
                least = other
        below = queue.heap[least]
        if queue.finish_ns[below] >= key:
            break
        queue.heap[place] = below
        queue.place[below] = place
        place = least
    queue.heap[place] = flow
    queue.place[flow] = place
