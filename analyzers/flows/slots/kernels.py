"""Kernels of the flow table's slots: opening, time-outs, making room, giving back."""

import numpy as np
from numba import njit

from fabricscope.analyzers.flows.layout import (
    CURSOR_CLOSED,
    CURSOR_FREE,
    CURSOR_FREE_SKETCHES,
    CURSOR_HIGH_WATER,
    CURSOR_NEXT_ID,
    CURSOR_SWEEP,
    END_ACTIVE,
    END_EVICTED,
    END_IDLE,
    END_OPEN,
)


@njit(cache=True, nogil=True, _nrt=False)
def _unlink(state, slot):
    """Take `slot` out of the index, moving later entries of its run back (no tombstones)."""
    index = state.index
    mask = np.int64(index.size - 1)
    hole = np.int64(state.flows[slot].hash & np.uint64(mask))
    while (index[hole] & 0xFFFFFFFF) != slot + 1:
        hole = (hole + 1) & mask
    probe = hole
    while True:
        probe = (probe + 1) & mask
        entry = index[probe]
        if entry == 0:
            break
        home = np.int64(state.flows[(entry & 0xFFFFFFFF) - 1].hash & np.uint64(mask))
        if ((probe - home) & mask) >= ((probe - hole) & mask):
            index[hole] = entry
            hole = probe
    index[hole] = 0


@njit(cache=True, nogil=True, _nrt=False)
def close_flow(state, slot, reason):
    """Close a flow: out of the index, onto the list that Python collects after the batch."""
    _unlink(state, slot)
    state.flows[slot].end = reason
    state.closed[state.cursor[CURSOR_CLOSED]] = slot
    state.cursor[CURSOR_CLOSED] += 1


@njit(cache=True, nogil=True, _nrt=False)
def close_silent(state, now_ns, idle_ns, active_ns, most):
    """Look at the next `most` slots for flows past their time-outs and close them."""
    high = state.cursor[CURSOR_HIGH_WATER]
    if high == 0:
        return
    place = state.cursor[CURSOR_SWEEP]
    for _ in range(min(most, high)):
        place = place + 1 if place + 1 < high else 0
        flow = state.flows[place]
        if flow.id < 0 or flow.end != END_OPEN:
            continue
        if now_ns - flow.last_ns > idle_ns:
            close_flow(state, place, END_IDLE)
            state.counters[10] += 1
        elif now_ns - flow.first_ns > active_ns:
            close_flow(state, place, END_ACTIVE)
            state.counters[11] += 1
    state.cursor[CURSOR_SWEEP] = place


@njit(cache=True, nogil=True, _nrt=False)
def make_room(state, wanted):
    """Close the longest silent of each 8 swept flows until `wanted` slots are free or closing."""
    high = state.cursor[CURSOR_HIGH_WATER]
    capacity = np.int64(state.flows.size)
    place = state.cursor[CURSOR_SWEEP]
    for _ in range(4 * capacity):
        room = state.cursor[CURSOR_FREE] + capacity - high + state.cursor[CURSOR_CLOSED]
        if room >= wanted:
            break
        oldest = np.int64(-1)
        for _ in range(8):
            place = place + 1 if place + 1 < high else 0
            flow = state.flows[place]
            if flow.id < 0 or flow.end != END_OPEN:
                continue
            if oldest < 0 or flow.last_ns < state.flows[oldest].last_ns:
                oldest = place
        if oldest >= 0:
            close_flow(state, oldest, END_EVICTED)
            state.counters[12] += 1
    state.cursor[CURSOR_SWEEP] = place


@njit(cache=True, nogil=True, _nrt=False)
def recycle(state, slots):
    """Give closed slots back once every analyzer has let go of them."""
    for slot in slots:
        sketch = state.flows[slot].sketch
        if sketch >= 0:
            for row in range(2 * sketch, 2 * sketch + 2):
                for bucket in range(state.sketches.shape[1]):
                    state.sketches[row, bucket] = 0
            state.free_sketches[state.cursor[CURSOR_FREE_SKETCHES]] = sketch
            state.cursor[CURSOR_FREE_SKETCHES] += 1
        state.flows[slot].id = -1
        state.free[state.cursor[CURSOR_FREE]] = slot
        state.cursor[CURSOR_FREE] += 1


@njit(cache=True, nogil=True, _nrt=False)
def open_flow(state, packets, i, hashed, tunnel_key, src_port, dst_port):
    """Start a flow for packet `i`; -1 when no slot is free. The index entry is the caller's."""
    cursor = state.cursor
    if cursor[CURSOR_FREE] > 0:
        cursor[CURSOR_FREE] -= 1
        slot = np.int64(state.free[cursor[CURSOR_FREE]])
    elif cursor[CURSOR_HIGH_WATER] < state.flows.size:
        slot = cursor[CURSOR_HIGH_WATER]
        cursor[CURSOR_HIGH_WATER] += 1
    else:
        return np.int64(-1)
    flow = state.flows[slot]
    flow.a_hi = packets.src_hi[i]
    flow.a_lo = packets.src_lo[i]
    flow.b_hi = packets.dst_hi[i]
    flow.b_lo = packets.dst_lo[i]
    flow.a_port = src_port
    flow.b_port = dst_port
    flow.tunnel_key = tunnel_key
    flow.hash = hashed
    flow.id = cursor[CURSOR_NEXT_ID]
    cursor[CURSOR_NEXT_ID] += 1
    flow.first_ns = packets.time_ns[i]
    flow.last_ns = packets.time_ns[i]
    flow.first_frame = packets.frame[i]
    flow.tunnel_ids_low = packets.tunnel_ids_low[i]
    flow.tunnel_ids_high = packets.tunnel_ids_high[i]
    flow.tunnel_kinds = packets.tunnel_kinds[i]
    flow.tap = packets.tap[i]
    flow.vlan = packets.vlan[i]
    flow.ip_protocol = packets.ip_protocol[i]
    flow.protocol = packets.protocol[i]
    flow.dscp = packets.dscp[i]
    flow.end = END_OPEN
    flow.sketch = -1
    for side in range(2):
        direction = state.directions[2 * slot + side]
        direction.packets = 0
        direction.bytes = 0
        direction.payload_bytes = 0
        direction.payload_packets = 0
        direction.first_ns = 0
        direction.last_ns = 0
        direction.size_square_sum = 0.0
        direction.gap_square_sum = 0.0
        direction.gap_max_ns = 0
        direction.size_min = 0xFFFFFFFF
        direction.size_max = 0
        direction.ecn_marked = 0
        direction.truncated = 0
        direction.tcp_flags = 0
    state.counters[9] += 1
    return slot


@njit(cache=True, nogil=True, _nrt=False)
def take_sketch(flow, free_sketches, cursor):
    """Give a flow a pair of sketch rows; return its number, -1 when none is left."""
    if cursor[CURSOR_FREE_SKETCHES] == 0:
        return np.int64(-1)
    cursor[CURSOR_FREE_SKETCHES] -= 1
    flow.sketch = free_sketches[cursor[CURSOR_FREE_SKETCHES]]
    return np.int64(flow.sketch)
