"""What answers and timers do to a sender, and the loop that runs all events.

Every function takes the whole `Simulation` (tables.py says dtype and unit of each column) and
changes it in place. `f` is always the row of a flow: one direction of a queue pair.
"""

from numba import njit

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.path.kernels import (
    give_slot,
    open_event,
    pop,
    push,
    release,
    send,
)
from fabricscope.collectors.synthetic.receiver.kernels import (
    answer,
    notify_congestion,
    receive_data,
    send_answer,
)
from fabricscope.collectors.synthetic.sender.kernels import (
    finish_task,
    start_task,
    start_timer,
    use_port,
    wake,
)
from fabricscope.collectors.synthetic.tables import Simulation

RNR_TIMER_US = (
    655360, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920,
    2560, 3840, 5120, 7680, 10240, 15360, 20480, 30720, 40960, 61440, 81920, 122880,
    163840, 245760, 327680, 491520,
)  # fmt: skip
"""What the 5-bit timer of an RNR NAK means (InfiniBand architecture, table of RNR timers)."""


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
        push(sim.heap, sim.scalars, flow.timer_ns, t.EVENT_TIMER, f)
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
    give_slot(sim.free, sim.scalars, slot)


@njit(cache=True, nogil=True)
def run(sim: Simulation, stop_rows: int) -> bool:
    """Run events until `out` holds `stop_rows` rows; return False when no event is left."""
    while sim.scalars[t.HEAP_USED] > 0 and sim.scalars[t.POOL_EXHAUSTED] == 0:
        if sim.scalars[t.ROWS_USED] >= stop_rows:
            return True
        now_ns, kind, number = pop(sim.heap, sim.scalars)
        sim.scalars[t.NOW] = now_ns
        if kind == t.EVENT_ARRIVAL:
            arrive(sim, number, now_ns)
        elif kind == t.EVENT_PORT:
            sim.hosts[number].busy = 0
            use_port(sim, number, now_ns)
        elif kind == t.EVENT_SEND:
            send(sim, number, now_ns)
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
            push(sim.heap, sim.scalars, pause.until_ns, t.EVENT_KICK, pause.host)
        else:
            use_port(sim, number, now_ns)
    return False
