"""The flow table's kernel: one pass over a batch that finds or makes each packet's flow.

State arrays are those of `layout.FlowState`. What is not here: percentiles and text, which
`table` makes at the end.
"""

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
    FRAGMENT_SLOTS,
    GAP_BUCKETS,
    SIZE_BUCKETS,
)
from fabricscope.analyzers.sketch.kernels import bucket_of
from fabricscope.analyzers.timeline.kernels import bin_of
from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_FRAGMENT,
    FLAG_HEADER_CUT,
    FLAG_LATER_FRAGMENT,
    FLAG_MALFORMED,
    FLAG_TOO_DEEP,
    FLAG_TRUNCATED,
)

_ERSPAN = np.uint64(2)
_MULTIPLIER_A = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_B = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)
_CNP = 0x81


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def mix(value, word):
    """Fold the 64-bit `word` into the 64-bit hash `value` (both uint64)."""
    value = (value ^ word) * _MULTIPLIER_A
    return value ^ (value >> _SHIFT)


@njit(cache=True, nogil=True, _nrt=False)
def tunnel_key_of(kinds, ids_low, ids_high):
    """Return a 64-bit key of the tunnels a packet is in, 0 for none; mirrors (ERSPAN) left out."""
    key = np.uint64(0)
    for level in range(4):
        kind = np.uint64((np.uint64(kinds) >> np.uint64(8 * level)) & np.uint64(0xFF))
        if kind == 0 or kind == _ERSPAN:
            continue
        ids = ids_low if level < 2 else ids_high
        number = (np.uint64(ids) >> np.uint64(32 * (level & 1))) & np.uint64(0xFFFFFFFF)
        key = mix(key ^ _MULTIPLIER_B, (kind << _SHIFT) | number)
    return key


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def flow_hash(src_hi, src_lo, src_port, dst_hi, dst_lo, dst_port, ip_protocol, tunnel_key):
    """Return the same 64-bit hash for both directions of a flow (arguments uint64)."""
    one = mix(mix(src_hi * _MULTIPLIER_B, src_lo), src_port)
    other = mix(mix(dst_hi * _MULTIPLIER_B, dst_lo), dst_port)
    return mix(mix(one + other, ip_protocol ^ (one ^ other)), tunnel_key)


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
def _close(state, slot, reason):
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
            _close(state, place, END_IDLE)
            state.counters[10] += 1
        elif now_ns - flow.first_ns > active_ns:
            _close(state, place, END_ACTIVE)
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
            _close(state, oldest, END_EVICTED)
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
def _open(state, packets, i, hashed, tunnel_key, src_port, dst_port):
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
def _take_sketch(flow, free_sketches, cursor):
    """Give a flow a pair of sketch rows; return its number, -1 when none is left."""
    if cursor[CURSOR_FREE_SKETCHES] == 0:
        return np.int64(-1)
    cursor[CURSOR_FREE_SKETCHES] -= 1
    flow.sketch = free_sketches[cursor[CURSOR_FREE_SKETCHES]]
    return np.int64(flow.sketch)


@njit(cache=True, nogil=True, _nrt=False)
def _fragment_ports(state, packets, i):
    """Remember the ports of first fragments and return (source, destination) for later ones."""
    key = mix(mix(packets.src_lo[i], packets.dst_lo[i]), np.uint64(packets.ip_id[i]))
    key = mix(mix(key, packets.src_hi[i]), packets.dst_hi[i])
    key = mix(key, np.uint64(packets.ip_protocol[i]))
    place = np.int64(key & np.uint64(FRAGMENT_SLOTS - 1))
    ports = (np.uint64(packets.src_port[i]) << np.uint64(16)) | np.uint64(packets.dst_port[i])
    if packets.flags[i] & FLAG_LATER_FRAGMENT == 0:
        state.fragments[0, place] = key
        state.fragments[1, place] = ports
    elif state.fragments[0, place] == key:
        ports = state.fragments[1, place]
    return np.uint16(ports >> np.uint64(16)), np.uint16(ports & np.uint64(0xFFFF))


@njit(cache=True, nogil=True, _nrt=False)
def assign_flows(state, packets, idle_ns, active_ns, flow, side):
    """Find or make the flow of each packet and count it.

    packets: decoded columns; idle_ns, active_ns: time-outs (int64). Written: `flow` int64 (slot,
    -1 for a duplicate or when the table is full), `side` uint8 (0: sent by the flow's first
    sender), and `state`. Slots closed here stay untouched until `recycle`.
    """
    index, flows, directions = state.index, state.flows, state.directions
    sketches, free_sketches, cursor = state.sketches, state.free_sketches, state.cursor
    counters, protocols, link_types = state.counters, state.protocols, state.link_types
    packet_sizes, timeline, scale = state.packet_sizes, state.timeline, state.timeline_scale
    mask = np.int64(index.size - 1)
    for i in range(packets.time_ns.size):
        flags = packets.flags[i]
        size = np.int64(packets.wire_length[i])
        now = packets.time_ns[i]
        counters[0] += 1
        counters[1] += size
        counters[2] += np.int64(packets.captured_length[i])
        if flags != 0:
            counters[3] += (flags & FLAG_TRUNCATED) != 0
            counters[4] += (flags & FLAG_MALFORMED) != 0
            counters[5] += (flags & FLAG_HEADER_CUT) != 0
            counters[6] += (flags & FLAG_DUPLICATE) != 0
            counters[7] += (flags & FLAG_TOO_DEEP) != 0
            counters[8] += (flags & FLAG_FRAGMENT) != 0
        if counters[0] == 1:
            counters[15] = now
            counters[16] = now
        elif now > counters[16]:
            counters[16] = now
        else:
            counters[17] += now < counters[16]
            if now < counters[15]:
                counters[15] = now
        link = np.int64(packets.link_type[i])
        link_types[min(link, link_types.size - 1)] += 1
        flow[i] = -1
        side[i] = 0
        if flags & FLAG_DUPLICATE:
            continue
        protocols[packets.protocol[i]] += 1
        counters[14] += packets.opcode[i] == _CNP
        size_bucket = bucket_of(size, SIZE_BUCKETS)
        packet_sizes[size_bucket] += 1
        place = bin_of(now, timeline, scale)
        timeline[place, 0] += 1
        timeline[place, 1] += size

        src_port = packets.src_port[i]
        dst_port = packets.dst_port[i]
        if flags & FLAG_FRAGMENT:
            src_port, dst_port = _fragment_ports(state, packets, i)
        tunnel_key = np.uint64(0)
        if packets.tunnel_kinds[i] != 0:
            tunnel_key = tunnel_key_of(
                packets.tunnel_kinds[i], packets.tunnel_ids_low[i], packets.tunnel_ids_high[i]
            )
        src_hi = packets.src_hi[i]
        src_lo = packets.src_lo[i]
        dst_hi = packets.dst_hi[i]
        dst_lo = packets.dst_lo[i]
        hashed = flow_hash(
            src_hi,
            src_lo,
            np.uint64(src_port),
            dst_hi,
            dst_lo,
            np.uint64(dst_port),
            np.uint64(packets.ip_protocol[i]),
            tunnel_key,
        )
        tag = np.int64(hashed >> np.uint64(33)) << 32
        probe = np.int64(hashed & np.uint64(mask))
        slot = np.int64(-1)
        while True:
            entry = index[probe]
            if entry == 0:
                break
            if (entry & -4294967296) == tag:
                candidate = (entry & 0xFFFFFFFF) - 1
                known = flows[candidate]
                if known.tunnel_key == tunnel_key and known.ip_protocol == packets.ip_protocol[i]:
                    if (
                        known.a_lo == src_lo
                        and known.b_lo == dst_lo
                        and known.a_port == src_port
                        and known.b_port == dst_port
                        and known.a_hi == src_hi
                        and known.b_hi == dst_hi
                    ):
                        slot = candidate
                        break
                    if (
                        known.a_lo == dst_lo
                        and known.b_lo == src_lo
                        and known.a_port == dst_port
                        and known.b_port == src_port
                        and known.a_hi == dst_hi
                        and known.b_hi == src_hi
                    ):
                        slot = candidate
                        side[i] = 1
                        break
            probe = (probe + 1) & mask
        if slot >= 0:
            known = flows[slot]
            reason = END_OPEN
            if now - known.last_ns > idle_ns:
                reason = END_IDLE
            elif now - known.first_ns > active_ns:
                reason = END_ACTIVE
            if reason != END_OPEN:
                _close(state, slot, reason)
                counters[10] += reason == END_IDLE
                counters[11] += reason == END_ACTIVE
                slot = np.int64(-1)
                side[i] = 0
                probe = np.int64(hashed & np.uint64(mask))
                while index[probe] != 0:
                    probe = (probe + 1) & mask
        if slot < 0:
            slot = _open(state, packets, i, hashed, tunnel_key, src_port, dst_port)
            if slot < 0:
                counters[13] += 1
                continue
            index[probe] = tag | (slot + 1)
        flow[i] = slot
        known = flows[slot]
        if now > known.last_ns:
            known.last_ns = now
        direction = directions[2 * slot + np.int64(side[i])]
        payload = np.int64(packets.payload_length[i])
        direction.bytes += size
        direction.payload_bytes += payload
        direction.payload_packets += payload > 0
        direction.size_square_sum += np.float64(size) * np.float64(size)
        if size < direction.size_min:
            direction.size_min = size
        if size > direction.size_max:
            direction.size_max = size
        direction.ecn_marked += packets.ecn[i] == 3
        direction.truncated += flags & FLAG_TRUNCATED
        direction.tcp_flags |= packets.tcp_flags[i]
        sketch = np.int64(known.sketch)
        if sketch < 0:
            sketch = _take_sketch(known, free_sketches, cursor)
        row = 2 * sketch + np.int64(side[i])
        if sketch >= 0:
            sketches[row, size_bucket] += 1
        if direction.packets == 0:
            direction.first_ns = now
            direction.last_ns = now
        else:
            gap = max(now - direction.last_ns, 0)
            direction.gap_square_sum += np.float64(gap) * np.float64(gap)
            if gap > direction.gap_max_ns:
                direction.gap_max_ns = gap
            if now > direction.last_ns:
                direction.last_ns = now
            if sketch >= 0:
                sketches[row, SIZE_BUCKETS + bucket_of(gap, GAP_BUCKETS)] += 1
        direction.packets += 1
