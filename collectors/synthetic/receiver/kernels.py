"""The receiving side of a queue pair: delivery in order, ACK, NAK, RNR, CNP, responses.

Every function takes the whole `Simulation` (tables.py says dtype and unit of each column) and
changes it in place. `f` is always the row of a flow: one direction of a queue pair.
"""

from numba import njit

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.path.kernels import (
    note,
    open_event,
    push,
    take_slot,
)
from fabricscope.collectors.synthetic.sender.kernels import (
    finish_task,
    wake,
)
from fabricscope.collectors.synthetic.tables import Simulation


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
    elif flow.rx_message < flow.posted:
        following = sim.queues[flow.queue_base + flow.rx_message]
        if sim.tasks[following].first_index < flow.expected:
            # An ACK amid a message is about that one.
            row.task = following
    return slot


@njit(cache=True, nogil=True)
def send_answer(sim: Simulation, slot: int, now_ns: int) -> None:
    """Put a control packet on the wire; it passes waiting data."""
    if slot >= 0:
        push(sim.heap, sim.scalars, now_ns + 10, t.EVENT_SEND, slot)


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
        push(sim.heap, sim.scalars, now_ns + sim.scalars[t.ACK_DELAY_NS], t.EVENT_ACK, f)


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
