"""A host's send queues: which packet is next, and which flow has the port.

Every function takes the whole `Simulation` (tables.py says dtype and unit of each column) and
changes it in place. `f` is always the row of a flow: one direction of a queue pair.
"""

from numba import njit

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.path.kernels import (
    give_slot,
    note,
    push,
    send,
    take_slot,
)
from fabricscope.collectors.synthetic.tables import Simulation


@njit(cache=True, nogil=True)
def join_line(sim: Simulation, f: int) -> None:
    """Put the flow into the line of flows that wait for its host's port."""
    flow = sim.flows[f]
    if flow.in_line == 1:
        return
    host = sim.hosts[flow.src]
    flow.in_line = 1
    flow.next_flow = -1
    if host.head < 0:
        host.head = f
    else:
        sim.flows[host.tail].next_flow = f
    host.tail = f


@njit(cache=True, nogil=True)
def has_work(sim: Simulation, f: int) -> bool:
    """Say whether the flow has a packet that it may send."""
    flow = sim.flows[f]
    if flow.response_head < flow.response_tail:
        return True
    return bool(
        flow.dead == 0
        and flow.next_index < flow.posted_packets
        and flow.next_index - flow.una < flow.window
    )


@njit(cache=True, nogil=True)
def make_data(sim: Simulation, f: int, now_ns: int) -> int:
    """Return the sender's next packet, or -1 when the flow has fallen silent."""
    flow = sim.flows[f]
    task_number = sim.queues[flow.queue_base + flow.tx_message]
    while flow.next_index >= (sim.tasks[task_number].first_index + sim.tasks[task_number].packets):
        flow.tx_message += 1
        task_number = sim.queues[flow.queue_base + flow.tx_message]
    task = sim.tasks[task_number]
    slot = take_slot(sim, f, t.DATA)
    if slot < 0:
        return -1
    row = sim.pool[slot]
    index = flow.next_index
    row.index = index
    row.task = task_number
    row.psn = (flow.initial_psn + index) & 0xFFFFFF
    for g in range(flow.trigger_begin, flow.trigger_end):
        trigger = sim.triggers[g]
        if trigger.kind == t.STALL and trigger.at == index and trigger.left > 0:
            trigger.left = 0
            flow.dead = 1
            note(sim, t.STALL, trigger.fault, slot, t.NOWHERE, now_ns)
            give_slot(sim.free, sim.scalars, slot)
            return -1
    offset = index - task.first_index
    mtu = sim.scalars[t.MTU]
    last = offset == task.packets - 1
    row.tail = task.packets - 1 - offset
    row.ecn = 2
    if task.role == t.ROLE_CREDIT:
        row.marks |= t.FLAG_CREDIT
    step = 1
    acknowledged = flow.transport == t.RC
    if task.operation == t.OP_READ:
        operation = 12
        row.dma_length = task.size_bytes - offset * mtu
        row.address = offset * mtu
        step = task.packets - offset
        row.tail = 0
    elif task.operation >= t.OP_FETCH_ADD:
        operation = 20 if task.operation == t.OP_FETCH_ADD else 19
    else:
        row.payload_bytes = mtu if not last else task.size_bytes - offset * mtu
        if flow.transport == t.UD or task.packets == 1:
            operation = 4
        elif offset == 0:
            operation = 0
        else:
            operation = 2 if last else 1
        if last and task.immediate == 1:
            operation += 1
            size = task.size_bytes & 0xFFFFFFFF
            # NCCL passes the size in the sender's own byte order, which is little-endian.
            row.immediate = (
                ((size & 0xFF) << 24)
                | ((size & 0xFF00) << 8)
                | ((size >> 8) & 0xFF00)
                | (size >> 24)
            )
        if task.operation == t.OP_WRITE:
            operation += 6
            if offset == 0:
                row.dma_length = task.size_bytes
        every = sim.scalars[t.ACK_EVERY]
        asks = last or index + 1 - flow.una >= flow.window
        asks = asks or (every > 0 and (index + 1) % every == 0)
        if acknowledged and asks:
            row.marks |= t.FLAG_ACK_REQUEST
    row.opcode = (flow.transport << 5) | operation
    if index < flow.high:
        row.marks |= t.FLAG_RESENT
        flow.resent += 1
        if flow.answers > 0:
            event = sim.events[flow.answers]
            event.resent += 1
            if flow.first_resent == 1:
                flow.first_resent = 0
                event.resent_ns = now_ns
                row.answers = flow.answers
    else:
        flow.answers = 0
        if offset == 0:
            task.start_ns = now_ns
    flow.next_index = index + step
    flow.high = max(flow.high, flow.next_index)
    if not acknowledged:
        flow.una = flow.next_index
        if last:
            finish_task(sim, task_number, now_ns)
    elif flow.timer_ns == 0:
        start_timer(sim, f, now_ns)
    return slot


@njit(cache=True, nogil=True)
def start_timer(sim: Simulation, f: int, now_ns: int) -> None:
    """Start the ACK timer of the flow again."""
    flow = sim.flows[f]
    flow.timer_ns = max(now_ns, flow.ready_ns) + sim.scalars[t.ACK_TIMEOUT_NS]
    if flow.timer_armed == 0:
        flow.timer_armed = 1
        push(sim.heap, sim.scalars, flow.timer_ns, t.EVENT_TIMER, f)


@njit(cache=True, nogil=True)
def make_response(sim: Simulation, f: int) -> int:
    """Return the next packet of a READ or atomic response that travels on flow `f`."""
    flow = sim.flows[f]
    ring = flow.response_head % t.RESPONSE_RING
    first, index, end = (
        sim.responses[f, ring, 0],
        sim.responses[f, ring, 1],
        sim.responses[f, ring, 2],
    )
    task_number = sim.responses[f, ring, 3]
    slot = take_slot(sim, f, t.RESPONSE)
    if slot < 0:
        return -1
    task = sim.tasks[task_number]
    request = sim.flows[flow.reverse]
    row = sim.pool[slot]
    row.index = index
    row.task = task_number
    row.psn = (request.initial_psn + index) & 0xFFFFFF
    row.ecn = 2
    row.tail = end - 1 - index
    row.aeth = (0x1F << 24) | (request.rx_message & 0xFFFFFF)
    if task.operation == t.OP_READ:
        mtu = sim.scalars[t.MTU]
        last = index == end - 1
        if end - first == 1:
            row.opcode = 16
        elif index == first:
            row.opcode = 13
        else:
            row.opcode = 15 if last else 14
        offset = index - task.first_index
        row.payload_bytes = task.size_bytes - offset * mtu if last else mtu
    else:
        row.opcode = 18
    sim.responses[f, ring, 1] = index + 1
    if index + 1 == end:
        flow.response_head += 1
    return slot


@njit(cache=True, nogil=True)
def use_port(sim: Simulation, h: int, now_ns: int) -> None:
    """Send one packet of the flow at the head of the host's line, if the port is free."""
    host = sim.hosts[h]
    if host.busy == 1 or host.paused_until_ns > now_ns:
        return
    while host.head >= 0:
        f = host.head
        flow = sim.flows[f]
        host.head = flow.next_flow
        flow.in_line = 0
        if not has_work(sim, f):
            continue
        if flow.ready_ns > now_ns:
            if flow.wake_pending == 0:
                flow.wake_pending = 1
                push(sim.heap, sim.scalars, flow.ready_ns, t.EVENT_WAKE, f)
            continue
        if flow.response_head < flow.response_tail:
            slot = make_response(sim, f)
        else:
            slot = make_data(sim, f, now_ns)
        if slot < 0:
            continue
        size_bytes = sim.pool[slot].payload_bytes + sim.scalars[t.OVERHEAD_BYTES]
        depart_ns = now_ns + max(1, int(size_bytes * 8 / host.up_gbps))
        if flow.rate_gbps > 0:
            steps = (now_ns - flow.last_cut_ns) // sim.scalars[t.RATE_RECOVERY_NS]
            if steps > 0:
                flow.rate_gbps += steps * 0.1 * host.up_gbps
                flow.last_cut_ns += steps * sim.scalars[t.RATE_RECOVERY_NS]
            if flow.rate_gbps >= host.up_gbps:
                flow.rate_gbps = 0.0
            else:
                flow.ready_ns = now_ns + int(size_bytes * 8 / flow.rate_gbps)
        send(sim, slot, depart_ns)
        if has_work(sim, f):
            join_line(sim, f)
        host.busy = 1
        push(sim.heap, sim.scalars, depart_ns, t.EVENT_PORT, h)
        return


@njit(cache=True, nogil=True)
def wake(sim: Simulation, f: int, now_ns: int) -> None:
    """Let the flow send if it can.

    The port is used by an event of its own: kernels that call the whole sending path from many
    places take several times as long to compile.
    """
    if has_work(sim, f):
        join_line(sim, f)
        if sim.hosts[sim.flows[f].src].busy == 0:
            push(sim.heap, sim.scalars, now_ns, t.EVENT_KICK, sim.flows[f].src)


@njit(cache=True, nogil=True)
def start_task(sim: Simulation, task_number: int, now_ns: int) -> None:
    """End a compute pause, or post a transfer to its flow's send queue."""
    task = sim.tasks[task_number]
    f = task.flow
    if f < 0:
        task.start_ns = now_ns - task.delay_ns
        finish_task(sim, task_number, now_ns)
        return
    flow = sim.flows[f]
    sim.queues[flow.queue_base + flow.posted] = task_number
    task.queue_position = flow.posted
    task.first_index = flow.posted_packets
    flow.posted += 1
    flow.posted_packets += task.packets
    wake(sim, f, now_ns)


@njit(cache=True, nogil=True)
def finish_task(sim: Simulation, task_number: int, now_ns: int) -> None:
    """Mark the task as ended and start what waited for nothing else."""
    task = sim.tasks[task_number]
    task.end_ns = now_ns
    for c in range(task.child_begin, task.child_end):
        child = sim.tasks[sim.children[c]]
        child.waits -= 1
        if child.waits == 0:
            push(sim.heap, sim.scalars, now_ns + child.delay_ns, t.EVENT_TASK, sim.children[c])
