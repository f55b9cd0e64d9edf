"""The flow table's kernel: one pass over a batch that finds or makes each packet's flow.

State arrays are those of `layout.FlowState`. Hashes and slots are in the packages beside this file;
percentiles and text are made by `table` at the end. What the loop calls takes records and single
values: the state's many arrays cost more to pass than the work takes.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.flows.identity.kernels import flow_hash, fragment_ports, tunnel_key_of
from fabricscope.analyzers.flows.layout import (
    END_ACTIVE,
    END_IDLE,
    END_OPEN,
    GAP_BUCKETS,
    SIZE_BUCKETS,
)
from fabricscope.analyzers.flows.slots.kernels import close_flow, open_flow, take_sketch
from fabricscope.analyzers.sketch.kernels import bucket_of
from fabricscope.analyzers.timeline.kernels import bin_of
from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_FRAGMENT,
    FLAG_HEADER_CUT,
    FLAG_MALFORMED,
    FLAG_TOO_DEEP,
    FLAG_TRUNCATED,
)

_CNP = 0x81


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _count_packet(counters, flags, size, captured, now):
    """Count a packet of the capture, duplicates too: lengths, flags, first and last time."""
    counters[0] += 1
    counters[1] += size
    counters[2] += captured
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


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _find(
    index, flows, hashed, tunnel_key, ip_protocol,
    src_hi, src_lo, src_port, dst_hi, dst_lo, dst_port,
):  # fmt: skip
    """Return the open flow of a packet (-1: none), its side, and where the search ended."""
    mask = np.int64(index.size - 1)
    tag = np.int64(hashed >> np.uint64(33)) << 32
    probe = np.int64(hashed & np.uint64(mask))
    while True:
        entry = index[probe]
        if entry == 0:
            return np.int64(-1), np.int64(0), probe
        if (entry & -4294967296) == tag:
            candidate = (entry & 0xFFFFFFFF) - 1
            known = flows[candidate]
            if known.tunnel_key == tunnel_key and known.ip_protocol == ip_protocol:
                if (
                    known.a_lo == src_lo
                    and known.b_lo == dst_lo
                    and known.a_port == src_port
                    and known.b_port == dst_port
                    and known.a_hi == src_hi
                    and known.b_hi == dst_hi
                ):
                    return candidate, np.int64(0), probe
                if (
                    known.a_lo == dst_lo
                    and known.b_lo == src_lo
                    and known.a_port == dst_port
                    and known.b_port == src_port
                    and known.a_hi == dst_hi
                    and known.b_hi == src_hi
                ):
                    return candidate, np.int64(1), probe
        probe = (probe + 1) & mask


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _time_out(known, now, idle_ns, active_ns):
    """Return why a flow is over before the packet at `now`, END_OPEN if it is not."""
    if now - known.last_ns > idle_ns:
        return END_IDLE
    if now - known.first_ns > active_ns:
        return END_ACTIVE
    return END_OPEN


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _count_sizes(direction, size, payload, marked, truncated, tcp_flags):
    """Add a packet's lengths and marks to the direction it went."""
    direction.bytes += size
    direction.payload_bytes += payload
    direction.payload_packets += payload > 0
    direction.size_square_sum += np.float64(size) * np.float64(size)
    if size < direction.size_min:
        direction.size_min = size
    if size > direction.size_max:
        direction.size_max = size
    direction.ecn_marked += marked
    direction.truncated += truncated
    direction.tcp_flags |= tcp_flags


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _count_times(direction, now, sketches, row):
    """Add the gap since the last packet of the direction; row: its sketch, negative for none."""
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
        if row >= 0:
            sketches[row, SIZE_BUCKETS + bucket_of(gap, GAP_BUCKETS)] += 1
    direction.packets += 1


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
        _count_packet(counters, flags, size, np.int64(packets.captured_length[i]), now)
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
            src_port, dst_port = fragment_ports(state, packets, i)
        tunnel_key = np.uint64(0)
        if packets.tunnel_kinds[i] != 0:
            tunnel_key = tunnel_key_of(
                packets.tunnel_kinds[i], packets.tunnel_ids_low[i], packets.tunnel_ids_high[i]
            )
        src_hi = packets.src_hi[i]
        src_lo = packets.src_lo[i]
        dst_hi = packets.dst_hi[i]
        dst_lo = packets.dst_lo[i]
        ip_protocol = packets.ip_protocol[i]
        hashed = flow_hash(
            src_hi, src_lo, np.uint64(src_port), dst_hi, dst_lo, np.uint64(dst_port),
            np.uint64(ip_protocol), tunnel_key,
        )  # fmt: skip
        slot, direction_side, probe = _find(
            index, flows, hashed, tunnel_key, ip_protocol,
            src_hi, src_lo, src_port, dst_hi, dst_lo, dst_port,
        )  # fmt: skip
        if slot >= 0:
            reason = _time_out(flows[slot], now, idle_ns, active_ns)
            if reason != END_OPEN:
                close_flow(state, slot, reason)
                counters[10] += reason == END_IDLE
                counters[11] += reason == END_ACTIVE
                slot = np.int64(-1)
                direction_side = np.int64(0)
                probe = np.int64(hashed & np.uint64(mask))
                while index[probe] != 0:
                    probe = (probe + 1) & mask
        if slot < 0:
            slot = open_flow(state, packets, i, hashed, tunnel_key, src_port, dst_port)
            if slot < 0:
                counters[13] += 1
                continue
            index[probe] = (np.int64(hashed >> np.uint64(33)) << 32) | (slot + 1)
        flow[i] = slot
        side[i] = direction_side
        known = flows[slot]
        if now > known.last_ns:
            known.last_ns = now
        direction = directions[2 * slot + direction_side]
        _count_sizes(
            direction, size, np.int64(packets.payload_length[i]), packets.ecn[i] == 3,
            flags & FLAG_TRUNCATED, packets.tcp_flags[i],
        )  # fmt: skip
        sketch = np.int64(known.sketch)
        if sketch < 0:
            sketch = take_sketch(known, free_sketches, cursor)
        row = 2 * sketch + direction_side
        if sketch >= 0:
            sketches[row, size_bucket] += 1
        _count_times(direction, now, sketches, row)
