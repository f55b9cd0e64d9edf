"""Event heap, random draws, the path between two hosts, its faults and its taps.

Every function takes the whole `Simulation` (tables.py says dtype and unit of each column) and
changes it in place. Queue pairs and their protocol live in the transport package.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.tables import Simulation

Integers = NDArray[np.int64]


@njit(cache=True, nogil=True)
def push(heap: Integers, scalars: Integers, time_ns: int, kind: int, argument: int) -> None:
    """Add an event; events at the same time run in the order in which they were added."""
    hole = scalars[t.HEAP_USED]
    scalars[t.HEAP_USED] = hole + 1
    sequence = scalars[t.SEQUENCE]
    scalars[t.SEQUENCE] = sequence + 1
    while hole > 0:
        parent = (hole - 1) >> 1
        if heap[parent, 0] <= time_ns:
            break
        heap[hole, 0] = heap[parent, 0]
        heap[hole, 1] = heap[parent, 1]
        heap[hole, 2] = heap[parent, 2]
        heap[hole, 3] = heap[parent, 3]
        hole = parent
    heap[hole, 0] = time_ns
    heap[hole, 1] = sequence
    heap[hole, 2] = kind
    heap[hole, 3] = argument


@njit(cache=True, nogil=True)
def pop(heap: Integers, scalars: Integers) -> tuple[int, int, int]:
    """Remove the earliest event and return its time, kind and argument."""
    time_ns, kind, argument = heap[0, 0], heap[0, 2], heap[0, 3]
    used = scalars[t.HEAP_USED] - 1
    scalars[t.HEAP_USED] = used
    last_time, last_sequence = heap[used, 0], heap[used, 1]
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= used:
            break
        right = child + 1
        if right < used and (
            heap[right, 0] < heap[child, 0]
            or (heap[right, 0] == heap[child, 0] and heap[right, 1] < heap[child, 1])
        ):
            child = right
        if heap[child, 0] > last_time or (
            heap[child, 0] == last_time and heap[child, 1] > last_sequence
        ):
            break
        heap[hole, 0] = heap[child, 0]
        heap[hole, 1] = heap[child, 1]
        heap[hole, 2] = heap[child, 2]
        heap[hole, 3] = heap[child, 3]
        hole = child
    heap[hole, 0] = last_time
    heap[hole, 1] = last_sequence
    heap[hole, 2] = heap[used, 2]
    heap[hole, 3] = heap[used, 3]
    return int(time_ns), int(kind), int(argument)


@njit(cache=True, nogil=True)
def uniform(seed: int, number: int, salt: int) -> float:
    """Return a number in [0, 1) that depends on the three arguments only."""
    mixed = (number & 0x7FFFFFFF) * 2654435761 + (seed & 0xFFFFFF) * 0x9E3779B1
    mixed = ((mixed & 0xFFFFFFFF) + (salt & 0xFFFF) * 0x85EBCA6B) & 0xFFFFFFFF
    for _ in range(3):
        mixed ^= mixed >> 16
        mixed = (mixed * 0x45D9F3B) & 0xFFFFFFFF
    mixed ^= mixed >> 16
    return mixed / 4294967296.0


@njit(cache=True, nogil=True)
def take_slot(sim: Simulation, f: int, kind: int) -> int:
    """Return a fresh packet of flow `f`, or -1 when too many are in flight."""
    used = sim.scalars[t.FREE_USED]
    if used == 0:
        sim.scalars[t.POOL_EXHAUSTED] = 1
        return -1
    slot = int(sim.free[used - 1])
    sim.scalars[t.FREE_USED] = used - 1
    row = sim.pool[slot]
    row.uid = sim.scalars[t.NEXT_UID]
    sim.scalars[t.NEXT_UID] += 1
    row.flow = f
    row.kind = kind
    row.marks = 0
    row.ecn = 0
    row.payload_bytes = 0
    row.aeth = 0
    row.address = 0
    row.dma_length = 0
    row.immediate = 0
    row.task = -1
    row.event = 0
    row.answers = 0
    row.tail = 0
    row.ip_id = sim.flows[f].ip_id
    sim.flows[f].ip_id = (sim.flows[f].ip_id + 1) & 0xFFFF
    return slot


@njit(cache=True, nogil=True)
def give_slot(free: Integers, scalars: Integers, slot: int) -> None:
    """Take back a packet that has left the network."""
    used = scalars[t.FREE_USED]
    free[used] = slot
    scalars[t.FREE_USED] = used + 1


@njit(cache=True, nogil=True)
def note(sim: Simulation, kind: int, fault: int, slot: int, where: int, time_ns: int) -> int:
    """Record that a fault hit the packet in `slot`; return the event's number, 0 when full."""
    number = int(sim.scalars[t.EVENTS_USED]) + 1
    if number >= sim.events.shape[0]:
        sim.scalars[t.EVENTS_DROPPED] += 1
        return 0
    sim.scalars[t.EVENTS_USED] = number
    row = sim.pool[slot]
    event = sim.events[number]
    event.kind = kind
    event.fault = fault
    event.flow = row.flow
    event.index = row.index
    event.uid = row.uid
    event.where = where
    event.time_ns = time_ns
    event.previous = sim.flows[row.flow].last_event
    sim.flows[row.flow].last_event = number
    return number


@njit(cache=True, nogil=True)
def open_event(sim: Simulation, f: int, index: int) -> int:
    """Return the newest unrecovered event of packet `index` of flow `f`, or 0."""
    number = int(sim.flows[f].last_event)
    for _ in range(4096):
        if number == 0:
            return 0
        event = sim.events[number]
        if event.index == index and event.recovery == t.RECOVERY_NONE:
            return number
        number = int(event.previous)
    return 0


@njit(cache=True, nogil=True)
def emit(sim: Simulation, slot: int, time_ns: int, egress: bool) -> None:
    """Copy the packet to the taps that see it where it enters or leaves the fabric."""
    flow = sim.flows[sim.pool[slot].flow]
    for tap in range(sim.taps.shape[0]):
        place = sim.taps[tap].place
        from_here = sim.tap_hosts[tap, flow.src] == 1
        to_here = sim.tap_hosts[tap, flow.dst] == 1
        if place == t.TAP_INGRESS:
            seen = from_here and not egress
        elif place == t.TAP_EGRESS:
            seen = to_here and egress
        else:
            # A leaf mirrors what its hosts send on the way in, what they receive on the way out.
            seen = (from_here and not egress) or (egress and to_here and not from_here)
        if seen:
            used = sim.scalars[t.ROWS_USED]
            sim.out[used] = sim.pool[slot]
            sim.out[used].time_ns = time_ns
            sim.out[used].tap = tap
            sim.scalars[t.ROWS_USED] = used + 1


@njit(cache=True, nogil=True)
def draw_chance(sim: Simulation, slot: int, kind: int, time_ns: int) -> int:
    """Return 1 + the number of the random fault of `kind` that hits the packet, or 0."""
    row = sim.pool[slot]
    for c in range(sim.chances.shape[0]):
        chance = sim.chances[c]
        if (
            chance.kind == kind
            and sim.chance_flows[c, row.flow] == 1
            and chance.start_ns <= time_ns < chance.stop_ns
            and uniform(sim.scalars[t.SEED], row.uid, c) < chance.ratio
        ):
            return c + 1
    return 0


@njit(cache=True, nogil=True)
def find_trigger(sim: Simulation, slot: int, kind: int) -> int:
    """Return 1 + the trigger of `kind` that names this packet on its first way, or 0."""
    row = sim.pool[slot]
    flow = sim.flows[row.flow]
    if row.kind != t.DATA or row.marks & t.FLAG_RESENT:
        return 0
    for g in range(flow.trigger_begin, flow.trigger_end):
        trigger = sim.triggers[g]
        if trigger.kind != kind:
            continue
        if kind == t.TAIL_LOSS:
            if sim.tasks[row.task].queue_position == trigger.at and row.tail < trigger.count:
                return g + 1
        elif kind == t.REORDER:
            if row.index == trigger.at:
                return g + 1
        elif trigger.at <= row.index < trigger.at + trigger.count:
            return g + 1
    return 0


@njit(cache=True, nogil=True)
def loss_place(sim: Simulation, slot: int, time_ns: int) -> int:
    """Decide whether and where the packet is lost, and record it."""
    row = sim.pool[slot]
    flow = sim.flows[row.flow]
    if row.kind != t.DATA and row.kind != t.RESPONSE:
        chance = draw_chance(sim, slot, t.ACK_LOSS, time_ns)
        if chance == 0:
            return t.NOWHERE
        picked = sim.chances[chance - 1]
        row.event = note(sim, t.ACK_LOSS, picked.fault, slot, picked.where, time_ns)
        return int(picked.where)
    where, fault, kind = t.NOWHERE, -1, t.LOSS
    if flow.burst_left > 0:
        flow.burst_left -= 1
        where, fault = flow.burst_where & 3, flow.burst_where >> 2
    else:
        g = find_trigger(sim, slot, t.LOSS)
        if g == 0:
            g = find_trigger(sim, slot, t.TAIL_LOSS)
        if g > 0:
            where, fault, kind = (
                sim.triggers[g - 1].where,
                sim.triggers[g - 1].fault,
                sim.triggers[g - 1].kind,
            )
        else:
            chance = draw_chance(sim, slot, t.LOSS, time_ns)
            if chance > 0:
                picked = sim.chances[chance - 1]
                where, fault = picked.where, picked.fault
                flow.burst_left = picked.burst - 1
                flow.burst_where = where | (fault << 2)
    if where != t.NOWHERE:
        row.event = note(sim, kind, fault, slot, where, time_ns)
    return int(where)


@njit(cache=True, nogil=True)
def count_loss(sim: Simulation, slot: int, where: int) -> None:
    """Count a lost packet and take it out of the network."""
    row = sim.pool[slot]
    flow = sim.flows[row.flow]
    if row.kind != t.DATA and row.kind != t.RESPONSE:
        flow.controls_lost += 1
    elif where == t.UPLINK:
        flow.lost_uplink += 1
    elif where == t.FABRIC:
        flow.lost_fabric += 1
    else:
        flow.lost_downlink += 1
    give_slot(sim.free, sim.scalars, slot)


@njit(cache=True, nogil=True)
def hold_back(sim: Simulation, slot: int, depart_ns: int) -> bool:
    """Hold the packet until others have overtaken it, when a fault says so."""
    row = sim.pool[slot]
    flow = sim.flows[row.flow]
    if flow.held_slot >= 0:
        return False
    where, count, fault = t.NOWHERE, 0, 0
    g = find_trigger(sim, slot, t.REORDER)
    if g > 0:
        trigger = sim.triggers[g - 1]
        where, count, fault = trigger.where, trigger.count, trigger.fault
    else:
        chance = draw_chance(sim, slot, t.REORDER, depart_ns)
        if chance > 0:
            picked = sim.chances[chance - 1]
            where, count, fault = picked.where, picked.burst, picked.fault
    if where == t.NOWHERE:
        return False
    row.event = note(sim, t.REORDER, fault, slot, where, depart_ns)
    flow.held_slot = slot
    flow.held_left = count
    flow.held_where = where
    if where != t.UPLINK:
        emit(sim, slot, depart_ns + (sim.scalars[t.LATENCY_NS] >> 2), False)
    row.deadline_ns = depart_ns + t.HOLD_NS
    push(sim.heap, sim.scalars, row.deadline_ns, t.EVENT_RELEASE, row.flow)
    return True


@njit(cache=True, nogil=True)
def release(sim: Simulation, f: int, ingress_ns: int, egress_ns: int) -> None:
    """Let a packet that was held back go on, at the given times."""
    flow = sim.flows[f]
    slot = flow.held_slot
    flow.held_slot = -1
    row = sim.pool[slot]
    if row.event > 0:
        sim.events[row.event].recovery = t.RECOVERY_LATE
        sim.events[row.event].answer_ns = egress_ns
    if flow.held_where == t.UPLINK:
        emit(sim, slot, ingress_ns, False)
    emit(sim, slot, egress_ns, True)
    push(sim.heap, sim.scalars, egress_ns + (sim.scalars[t.LATENCY_NS] >> 2), t.EVENT_ARRIVAL, slot)


@njit(cache=True, nogil=True)
def send(sim: Simulation, slot: int, depart_ns: int) -> None:
    """Carry a packet that has left its host at `depart_ns` through the network and the taps."""
    row = sim.pool[slot]
    f = row.flow
    flow = sim.flows[f]
    quarter = sim.scalars[t.LATENCY_NS] >> 2
    bulk = row.kind == t.DATA or row.kind == t.RESPONSE
    if bulk:
        flow.sent += 1
    # Most runs have no fault for most flows; calls with the whole state are not free.
    random = sim.chances.shape[0] > 0
    faulty = random or flow.trigger_begin < flow.trigger_end
    where = loss_place(sim, slot, depart_ns) if faulty else t.NOWHERE
    if where == t.UPLINK:
        count_loss(sim, slot, where)
        return
    if faulty and where == t.NOWHERE and row.kind == t.DATA and hold_back(sim, slot, depart_ns):
        return
    chance = 0
    if random and bulk and row.ecn > 0:
        chance = draw_chance(sim, slot, t.CE_MARK, depart_ns)
        if chance > 0 and sim.chances[chance - 1].where == t.UPLINK:
            row.ecn = 3
            sim.chances[chance - 1].hits += 1
            chance = 0
    ingress_ns = depart_ns + quarter
    emit(sim, slot, ingress_ns, False)
    if where == t.FABRIC:
        count_loss(sim, slot, where)
        return
    jitter_ns = int(uniform(sim.scalars[t.SEED], row.uid, 777) * sim.scalars[t.JITTER_NS])
    reach_ns = ingress_ns + 2 * quarter + jitter_ns
    if bulk:
        host = sim.hosts[flow.dst]
        start_ns = max(reach_ns, host.rx_free_ns)
        size_bytes = row.payload_bytes + sim.scalars[t.OVERHEAD_BYTES]
        egress_ns = start_ns + int(size_bytes * 8 / host.down_gbps)
        egress_ns = max(egress_ns, flow.last_arrival_ns + 1)
        host.rx_free_ns = egress_ns
        flow.last_arrival_ns = egress_ns
        limit_ns = sim.scalars[t.ECN_QUEUE_NS]
        if row.ecn > 0 and limit_ns > 0 and start_ns - reach_ns > limit_ns:
            row.ecn = 3
        if chance > 0:
            row.ecn = 3
            sim.chances[chance - 1].hits += 1
    else:
        egress_ns = max(reach_ns, flow.last_ack_ns + 1)
        flow.last_ack_ns = egress_ns
    emit(sim, slot, egress_ns, True)
    if where == t.DOWNLINK:
        count_loss(sim, slot, where)
    else:
        push(sim.heap, sim.scalars, egress_ns + quarter, t.EVENT_ARRIVAL, slot)
    if row.kind == t.DATA and flow.held_slot >= 0:
        flow.held_left -= 1
        if flow.held_left == 0:
            release(sim, f, ingress_ns + 1, egress_ns + 1)
