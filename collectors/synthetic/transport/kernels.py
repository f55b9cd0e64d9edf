"""Queue pairs: what senders, receivers and timers do, and the loop that runs the events.

Every function takes the whole `Simulation` (tables.py says dtype and unit of each column) and
changes it in place. `f` is always the row of a flow: one direction of a queue pair. Reliable
connections go back to N, as RoCE adapters do; rdma.md names the behaviour.
"""

from numba import njit

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.path.kernels import (
    give_slot,
    note,
    open_event,
    pop,
    push,
    release,
    send,
    take_slot,
)
from fabricscope.collectors.synthetic.tables import Simulation

RNR_TIMER_US = (
    655360, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920,
    2560, 3840, 5120, 7680, 10240, 15360, 20480, 30720, 40960, 61440, 81920, 122880,
    163840, 245760, 327680, 491520,
)  # fmt: skip
"""What the 5-bit timer of an RNR NAK means (InfiniBand architecture, table of RNR timers)."""


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
    return (
        flow.dead == 0
        and flow.next_index < flow.posted_packets
        and flow.next_index - flow.una < flow.window
    )


@njit(cache=True, nogil=True)
def make_data(sim: Simulation, f: int, now_ns: int) -> int:
    """Return the sender's next packet, or -1 when the flow has fallen silent."""
    flow = sim.flows[f]
    task_number = sim.queues[flow.queue_base + flow.tx_message]
    while flow.next_index >= (
        sim.tasks[task_number].first_index + sim.tasks[task_number].packets
    ):
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
            give_slot(sim, slot)
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
        push(sim, flow.timer_ns, t.EVENT_TIMER, f)


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
                push(sim, flow.ready_ns, t.EVENT_WAKE, f)
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
        push(sim, depart_ns, t.EVENT_PORT, h)
        return


@njit(cache=True, nogil=True)
def wake(sim: Simulation, f: int, now_ns: int) -> None:
    """Let the flow send if it can."""
    if has_work(sim, f):
        join_line(sim, f)
        use_port(sim, sim.flows[f].src, now_ns)


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
            push(sim, now_ns + child.delay_ns, t.EVENT_TASK, sim.children[c])


@njit(cache=True, nogil=True)
def answer(sim: Simulation, f: int, kind: int, index: int, syndrome: int, now_ns: int) -> int:
    """Send an ACK, NAK, RNR NAK or CNP about flow `f` back to its sender; return the packet."""
    flow = sim.flows[f]
    slot = take_slot(sim, flow.reverse, kind)
    if slot < 0:
        return -1
    row = sim.pool[slot]
    row.index = index
    if kind == t.CNP:
        row.opcode = 0x81
        row.marks = t.FLAG_BECN
        row.psn = 0
    else:
        row.opcode = 17
        row.psn = (flow.initial_psn + index) & 0xFFFFFF
        row.aeth = (syndrome << 24) | (flow.rx_message & 0xFFFFFF)
        row.ecn = 2
    if flow.rx_message > 0:
        row.task = sim.queues[flow.queue_base + flow.rx_message - 1]
    if kind == t.NAK or kind == t.RNR:
        row.task = sim.queues[flow.queue_base + flow.rx_message]
    return slot


@njit(cache=True, nogil=True)
def send_answer(sim: Simulation, slot: int, now_ns: int) -> None:
    """Put a control packet on the wire; it passes waiting data."""
    if slot >= 0:
        send(sim, slot, now_ns + 10)


@njit(cache=True, nogil=True)
def refuses(sim: Simulation, f: int, slot: int, now_ns: int) -> bool:
    """Answer the expected packet with RNR or an access error, when a fault says so."""
    flow = sim.flows[f]
    row = sim.pool[slot]
    task = sim.tasks[row.task]
    for g in range(flow.trigger_begin, flow.trigger_end):
        trigger = sim.triggers[g]
        if trigger.left == 0 or trigger.at != flow.rx_message:
            continue
        if trigger.kind == t.RNR_FAULT:
            # A SEND needs its receive buffer at once, a WRITE with immediate at its end.
            first = row.index == task.first_index
            due = first if task.operation == t.OP_SEND else row.tail == 0
            if not due:
                continue
            event = note(sim, t.RNR_FAULT, trigger.fault, slot, t.NOWHERE, now_ns)
            reply = answer(sim, f, t.RNR, row.index, 0x20 | trigger.code, now_ns)
        elif trigger.kind == t.ACCESS_ERROR:
            event = note(sim, t.ACCESS_ERROR, trigger.fault, slot, t.NOWHERE, now_ns)
            reply = answer(sim, f, t.NAK, row.index, 0x62, now_ns)
            flow.error = 1
        else:
            continue
        trigger.left -= 1
        flow.gap_open = 1
        if event > 0:
            sim.events[event].answer_ns = now_ns
            sim.events[event].code = trigger.code
        if reply >= 0:
            sim.pool[reply].answers = event
            send_answer(sim, reply, now_ns)
        return True
    return False


@njit(cache=True, nogil=True)
def ask_response(sim: Simulation, f: int, index: int, task_number: int) -> None:
    """Queue the response to a READ or atomic request from packet `index` of flow `f` on."""
    back = sim.flows[sim.flows[f].reverse]
    if back.response_tail - back.response_head >= t.RESPONSE_RING:
        return
    ring = back.response_tail % t.RESPONSE_RING
    task = sim.tasks[task_number]
    entry = sim.responses[sim.flows[f].reverse, ring]
    entry[0] = index
    entry[1] = index
    entry[2] = task.first_index + task.packets
    entry[3] = task_number
    back.response_tail += 1


@njit(cache=True, nogil=True)
def accept(sim: Simulation, f: int, slot: int, now_ns: int) -> None:
    """Take in the expected packet and whatever waited behind it."""
    flow = sim.flows[f]
    row = sim.pool[slot]
    task = sim.tasks[row.task]
    flow.gap_open = 0
    advance = 1
    if task.operation == t.OP_READ:
        advance = task.first_index + task.packets - row.index
    flow.expected += advance
    flow.out_of_order >>= min(advance, 62)
    filled = False
    while flow.out_of_order & 1:
        flow.out_of_order >>= 1
        flow.expected += 1
        filled = True
    if task.operation >= t.OP_READ:
        flow.rx_message += 1
        ask_response(sim, f, row.index, row.task)
        wake(sim, flow.reverse, now_ns)
        return
    while flow.rx_message < flow.posted:
        done = sim.queues[flow.queue_base + flow.rx_message]
        if sim.tasks[done].first_index + sim.tasks[done].packets > flow.expected:
            break
        flow.rx_message += 1
        finish_task(sim, done, now_ns)
    if filled or row.marks & t.FLAG_ACK_REQUEST:
        ask_ack(sim, f, now_ns)


@njit(cache=True, nogil=True)
def ask_ack(sim: Simulation, f: int, now_ns: int) -> None:
    """Send an ACK soon; requests until then share it."""
    if sim.flows[f].ack_pending == 0:
        sim.flows[f].ack_pending = 1
        push(sim, now_ns + sim.scalars[t.ACK_DELAY_NS], t.EVENT_ACK, f)


@njit(cache=True, nogil=True)
def receive_data(sim: Simulation, slot: int, now_ns: int) -> None:
    """Do what the receiver of a data packet or request does."""
    row = sim.pool[slot]
    f = row.flow
    flow = sim.flows[f]
    flow.arrived += 1
    if row.ecn == 3:
        notify_congestion(sim, f, row.index, now_ns)
    if flow.transport != t.RC:
        return
    if flow.error == 1:
        flow.discarded += 1
        return
    ahead = row.index - flow.expected
    if ahead == 0:
        if refuses(sim, f, slot, now_ns):
            flow.discarded += 1
        else:
            accept(sim, f, slot, now_ns)
    elif ahead > 0:
        if sim.scalars[t.TOLERATE] == 1 and ahead < 62 and flow.gap_open == 0:
            if (flow.out_of_order >> ahead) & 1:
                flow.discarded += 1
            flow.out_of_order |= 1 << ahead
            return
        flow.discarded += 1
        if flow.gap_open == 0:
            flow.gap_open = 1
            reply = answer(sim, f, t.NAK, flow.expected, 0x60, now_ns)
            event = open_event(sim, f, flow.expected)
            if event > 0:
                sim.events[event].answer_ns = now_ns
            if reply >= 0:
                sim.pool[reply].answers = event
                send_answer(sim, reply, now_ns)
    else:
        flow.discarded += 1
        if sim.tasks[row.task].operation >= t.OP_READ:
            ask_response(sim, f, row.index, row.task)
            wake(sim, flow.reverse, now_ns)
        elif row.marks & t.FLAG_ACK_REQUEST:
            ask_ack(sim, f, now_ns)


@njit(cache=True, nogil=True)
def notify_congestion(sim: Simulation, f: int, index: int, now_ns: int) -> None:
    """Send a CNP for flow `f`, unless one was sent a moment ago."""
    flow = sim.flows[f]
    if now_ns - flow.last_cnp_ns >= sim.scalars[t.CNP_INTERVAL_NS]:
        flow.last_cnp_ns = now_ns
        send_answer(sim, answer(sim, f, t.CNP, index, 0, now_ns), now_ns)


@njit(cache=True, nogil=True)
def go_back(sim: Simulation, f: int, index: int, event: int, recovery: int, now_ns: int) -> None:
    """Continue sending from packet `index`."""
    flow = sim.flows[f]
    flow.next_index = index
    while flow.tx_message > 0 and (
        flow.tx_message >= flow.posted
        or sim.tasks[sim.queues[flow.queue_base + flow.tx_message]].first_index > index
    ):
        flow.tx_message -= 1
    flow.answers = event
    flow.first_resent = 1
    if event > 0:
        sim.events[event].recovery = recovery
    wake(sim, f, now_ns)


@njit(cache=True, nogil=True)
def advance_una(sim: Simulation, f: int, una: int, now_ns: int) -> None:
    """Note that all packets before `una` have arrived."""
    flow = sim.flows[f]
    if una > flow.una:
        flow.una = una
        flow.retries = 0
        if flow.next_index < una:
            flow.next_index = una
        flow.timer_ns = 0
        if una < flow.high:
            start_timer(sim, f, now_ns)
    wake(sim, f, now_ns)


@njit(cache=True, nogil=True)
def receive_response(sim: Simulation, slot: int, now_ns: int) -> None:
    """Do what a requester does with a READ or atomic response."""
    row = sim.pool[slot]
    sim.flows[row.flow].arrived += 1
    if row.ecn == 3:
        notify_congestion(sim, row.flow, row.index, now_ns)
    f = sim.flows[row.flow].reverse
    flow = sim.flows[f]
    if row.index == flow.una:
        flow.response_gap = 0
        task = sim.tasks[row.task]
        advance_una(sim, f, row.index + 1, now_ns)
        if row.index + 1 == task.first_index + task.packets:
            finish_task(sim, row.task, now_ns)
        return
    sim.flows[row.flow].discarded += 1
    if row.index > flow.una and flow.response_gap == 0:
        flow.response_gap = 1
        event = open_event(sim, row.flow, flow.una)
        go_back(sim, f, flow.una, event, t.RECOVERY_NAK, now_ns)


@njit(cache=True, nogil=True)
def receive_answer(sim: Simulation, slot: int, now_ns: int) -> None:
    """Do what a sender does with an ACK, NAK, RNR NAK or CNP."""
    row = sim.pool[slot]
    f = sim.flows[row.flow].reverse
    flow = sim.flows[f]
    if row.kind == t.ACK:
        advance_una(sim, f, row.index + 1, now_ns)
        return
    if row.kind == t.CNP:
        link_gbps = sim.hosts[flow.src].up_gbps
        rate = flow.rate_gbps if flow.rate_gbps > 0 else link_gbps
        flow.rate_gbps = max(rate / 2, link_gbps / 32)
        flow.last_cut_ns = now_ns
        return
    if (row.aeth >> 24) == 0x62:
        flow.dead = 1
        flow.timer_ns = 0
        return
    if row.index < flow.una:
        return
    recovery = t.RECOVERY_NAK
    if row.kind == t.RNR:
        code = (row.aeth >> 24) & 0x1F
        flow.ready_ns = now_ns + RNR_TIMER_US[code] * 1000
        recovery = t.RECOVERY_RNR
    flow.una = row.index
    start_timer(sim, f, now_ns)
    go_back(sim, f, row.index, row.answers, recovery, now_ns)


@njit(cache=True, nogil=True)
def fire_timer(sim: Simulation, f: int, now_ns: int) -> None:
    """Resend from the oldest unacknowledged packet when the ACK timer has run out."""
    flow = sim.flows[f]
    flow.timer_armed = 0
    if flow.timer_ns == 0 or flow.dead == 1:
        return
    if now_ns < flow.timer_ns:
        flow.timer_armed = 1
        push(sim, flow.timer_ns, t.EVENT_TIMER, f)
        return
    flow.timer_ns = 0
    if flow.una >= flow.high:
        return
    flow.timeouts += 1
    flow.retries += 1
    flow.response_gap = 0
    if flow.retries > sim.scalars[t.RETRY_LIMIT]:
        flow.dead = 1
        return
    event = 0
    for index in range(flow.una, min(flow.high, flow.una + 4096)):
        event = open_event(sim, f, index)
        if event == 0:
            event = open_event(sim, flow.reverse, index)
        if event > 0:
            break
    start_timer(sim, f, now_ns)
    go_back(sim, f, flow.una, event, t.RECOVERY_TIMEOUT, now_ns)


@njit(cache=True, nogil=True)
def arrive(sim: Simulation, slot: int, now_ns: int) -> None:
    """Hand a packet that has come out of the network to the queue pair it belongs to."""
    kind = sim.pool[slot].kind
    if kind == t.DATA:
        receive_data(sim, slot, now_ns)
    elif kind == t.RESPONSE:
        receive_response(sim, slot, now_ns)
    else:
        receive_answer(sim, slot, now_ns)
    give_slot(sim, slot)


@njit(cache=True, nogil=True)
def run(sim: Simulation, stop_rows: int) -> bool:
    """Run events until `out` holds `stop_rows` rows; return False when no event is left."""
    while sim.scalars[t.HEAP_USED] > 0 and sim.scalars[t.POOL_EXHAUSTED] == 0:
        if sim.scalars[t.ROWS_USED] >= stop_rows:
            return True
        now_ns, kind, number = pop(sim)
        sim.scalars[t.NOW] = now_ns
        if kind == t.EVENT_ARRIVAL:
            arrive(sim, number, now_ns)
        elif kind == t.EVENT_PORT:
            sim.hosts[number].busy = 0
            use_port(sim, number, now_ns)
        elif kind == t.EVENT_TASK:
            start_task(sim, number, now_ns)
        elif kind == t.EVENT_ACK:
            flow = sim.flows[number]
            flow.ack_pending = 0
            if flow.expected > 0 and flow.error == 0:
                slot = answer(sim, number, t.ACK, flow.expected - 1, 0x1F, now_ns)
                send_answer(sim, slot, now_ns)
        elif kind == t.EVENT_TIMER:
            fire_timer(sim, number, now_ns)
        elif kind == t.EVENT_WAKE:
            sim.flows[number].wake_pending = 0
            wake(sim, number, now_ns)
        elif kind == t.EVENT_RELEASE:
            held = sim.flows[number].held_slot
            if held >= 0 and sim.pool[held].deadline_ns <= now_ns:
                release(sim, number, now_ns, now_ns + sim.scalars[t.LATENCY_NS] // 2)
        elif kind == t.EVENT_PAUSE:
            pause = sim.pauses[number]
            host = sim.hosts[pause.host]
            host.paused_until_ns = max(host.paused_until_ns, pause.until_ns)
            push(sim, pause.until_ns, t.EVENT_PAUSE_END, pause.host)
        else:
            use_port(sim, number, now_ns)
    return False
