"""Kernels of what happens next in `state.Queue`: ends of flows, and other events.

Arrivals come mostly in order of time, a few latencies apart, so events go to the first of a few
lanes (first in, first out) that they do not overtake, and to a heap only if there is none. The heap
of ends remembers where each flow is, since ends move.
"""

import numpy as np
from numba import njit

from fabricscope.topology.flow_level.heaps.kernels import sift_down, sift_up

_HEAP = -1


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def push_event(queue, time_ns, code):
    """Add an event; the caller has made sure that there is room in the heap."""
    lanes, room = queue.lane_ns.shape
    for lane in range(lanes):
        tail = queue.lane_end[lane, 1]
        head = queue.lane_end[lane, 0]
        if tail == head or (
            queue.lane_ns[lane, (tail - 1) & (room - 1)] <= time_ns and tail - head < room
        ):
            queue.lane_ns[lane, tail & (room - 1)] = time_ns
            queue.lane_code[lane, tail & (room - 1)] = code
            queue.lane_end[lane, 1] = tail + 1
            if tail == head:
                queue.lane_next[lane] = time_ns
            return
    place = queue.sizes[1]
    queue.sizes[1] = place + 1
    sift_up(queue.event_ns, queue.event_code, place, time_ns, code)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def next_event(queue):
    """Return the lane of the first event (-1: the heap), and its time (inf: there is none)."""
    first = np.int64(_HEAP)
    time_ns = queue.event_ns[0] if queue.sizes[1] else np.inf
    for lane in range(len(queue.lane_next)):
        if queue.lane_next[lane] < time_ns:
            first = np.int64(lane)
            time_ns = queue.lane_next[lane]
    return first, time_ns


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def event_code(queue, lane):
    """Return the code of the first event of `lane`."""
    if lane == _HEAP:
        return queue.event_code[0]
    return queue.lane_code[lane, queue.lane_end[lane, 0] & (queue.lane_ns.shape[1] - 1)]


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def drop_event(queue, lane):
    """Take the first event of `lane` off."""
    if lane != _HEAP:
        head = queue.lane_end[lane, 0] + 1
        queue.lane_end[lane, 0] = head
        queue.lane_next[lane] = np.inf
        if head < queue.lane_end[lane, 1]:
            queue.lane_next[lane] = queue.lane_ns[lane, head & (queue.lane_ns.shape[1] - 1)]
        return
    size = queue.sizes[1] - 1
    queue.sizes[1] = size
    sift_down(queue.event_ns, queue.event_code, size, queue.event_ns[size], queue.event_code[size])


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
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


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
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


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
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
