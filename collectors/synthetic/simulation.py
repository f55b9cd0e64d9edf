"""From a recipe to simulated rows: builds the plan, fills the arrays, runs the kernels."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from fabricscope.collectors.synthetic import tables as t
from fabricscope.collectors.synthetic.collectives import Schedule
from fabricscope.collectors.synthetic.faults import (
    build_chances,
    build_pauses,
    build_triggers,
    compute_delay_ns,
)
from fabricscope.collectors.synthetic.plan import Plan
from fabricscope.collectors.synthetic.recipe import Bulk, Collective, Load, Recipe, SlowLink
from fabricscope.collectors.synthetic.streams import add_bulk, add_load
from fabricscope.collectors.synthetic.tables import Simulation, Table
from fabricscope.collectors.synthetic.transport.kernels import run
from fabricscope.errors import RecipeError

CHUNK_ROWS = 32_768
SPARE_ROWS = 512
"""One simulator event makes at most this many rows."""
END_OF_TIME_NS = 1 << 62
EVENT_LIMIT = 1_000_000
POOL_LIMIT = 1 << 20
TAP_PLACES = {"ingress": t.TAP_INGRESS, "egress": t.TAP_EGRESS, "leaf": t.TAP_LEAF}


def build_plan(recipe: Recipe) -> tuple[Plan, list[int]]:
    """Return the plan and, for each flow, the number of its workload."""
    plan = Plan(recipe.network.mtu)
    workload_of_flow: list[int] = []
    for number, workload in enumerate(recipe.workloads):
        if isinstance(workload, Collective):
            Schedule(plan, workload, number, recipe.network.hosts).build(
                partial(compute_delay_ns, recipe, workload.compute_us)
            )
        elif isinstance(workload, Bulk):
            add_bulk(plan, workload)
        elif isinstance(workload, Load):
            add_load(plan, workload, recipe.network.hosts, recipe.transport.ack_every_packets)
        workload_of_flow += [number] * (len(plan.flows) - len(workload_of_flow))
    return plan, workload_of_flow


def _build_hosts(recipe: Recipe) -> Table:
    hosts = t.table(t.HOST, recipe.network.hosts)
    hosts["head"] = -1
    hosts["tail"] = -1
    hosts["up_gbps"] = recipe.network.link_gbps
    hosts["down_gbps"] = recipe.network.link_gbps
    for fault in recipe.faults:
        if isinstance(fault, SlowLink):
            hosts[f"{fault.direction}_gbps"][fault.host] = fault.rate_gbps
    return hosts


def _build_flows(recipe: Recipe, plan: Plan, triggers: Table, rng: np.random.Generator) -> Table:
    flows = t.table(t.FLOW, len(plan.flows))
    for name in ("src", "dst", "reverse", "transport", "dest_qp", "job"):
        flows[name] = [getattr(flow, name) for flow in plan.flows]
    counts = np.array([flow.tasks for flow in plan.flows], np.int64)
    flows["queue_base"] = np.concatenate(([0], np.cumsum(counts)))[: len(counts)]
    flows["window"] = recipe.transport.window_packets
    # Adapters hash the queue pairs into the upper half of the port range; both ways alike.
    low = np.minimum(flows["dest_qp"], flows["dest_qp"][flows["reverse"]])
    high = np.maximum(flows["dest_qp"], flows["dest_qp"][flows["reverse"]])
    ends = np.minimum(flows["src"], flows["dst"]) * 1009 + np.maximum(flows["src"], flows["dst"])
    mixed = (low * 2654435761 + high * 40503 + ends * 2246822519) & 0xFFFFFFFF
    flows["udp_sport"] = 0xC000 | ((mixed >> 13) & 0x3FFF)
    if recipe.transport.initial_psn == "random":
        flows["initial_psn"] = rng.integers(0, 1 << 24, len(flows))
    else:
        flows["initial_psn"] = recipe.transport.initial_psn
    flows["ip_id"] = rng.integers(0, 1 << 16, len(flows))
    flows["held_slot"] = -1
    flows["last_cnp_ns"] = -(1 << 60)
    numbers = np.arange(len(flows))
    flows["trigger_begin"] = np.searchsorted(triggers["flow"], numbers, "left")
    flows["trigger_end"] = np.searchsorted(triggers["flow"], numbers, "right")
    return flows


def _build_tasks(plan: Plan) -> tuple[Table, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    tasks = t.table(t.TASK, len(plan.tasks))
    for name in (
        "flow",
        "operation",
        "size_bytes",
        "immediate",
        "delay_ns",
        "span",
        "role",
        "rank",
    ):
        tasks[name] = np.fromiter(
            (getattr(task, name) for task in plan.tasks), np.int64, len(plan.tasks)
        )
    sizes = tasks["size_bytes"]
    tasks["packets"] = np.maximum(1, -(-sizes // plan.mtu))
    tasks["packets"][tasks["operation"] >= t.OP_FETCH_ADD] = 1
    waits = np.fromiter((len(task.after) for task in plan.tasks), np.int64, len(plan.tasks))
    tasks["waits"] = waits
    tasks["end_ns"] = -1
    tasks["start_ns"] = -1
    parents = np.fromiter((p for task in plan.tasks for p in task.after), np.int64, waits.sum())
    waiting = np.repeat(np.arange(len(tasks)), waits)
    order = np.argsort(parents, kind="stable")
    numbers = np.arange(len(tasks))
    tasks["child_begin"] = np.searchsorted(parents[order], numbers, "left")
    tasks["child_end"] = np.searchsorted(parents[order], numbers, "right")
    return tasks, waiting[order]


def _build_scalars(recipe: Recipe) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    network, transport = recipe.network, recipe.transport
    scalars = np.zeros(t.SCALARS, np.int64)
    scalars[t.SEED] = recipe.seed
    scalars[t.LATENCY_NS] = int(network.latency_us * 1000)
    scalars[t.JITTER_NS] = int(network.jitter_us * 1000)
    scalars[t.MTU] = network.mtu
    # Preamble, FCS and gap (24 B) and headers up to the ICRC (58 B) take their time as well.
    scalars[t.OVERHEAD_BYTES] = 82
    scalars[t.ACK_TIMEOUT_NS] = int(transport.ack_timeout_us * 1000)
    scalars[t.RETRY_LIMIT] = transport.retries
    scalars[t.ACK_DELAY_NS] = int(transport.ack_delay_us * 1000)
    scalars[t.TOLERATE] = transport.out_of_order == "tolerate"
    scalars[t.ACK_EVERY] = transport.ack_every_packets
    scalars[t.CNP_INTERVAL_NS] = int(transport.cnp_interval_us * 1000)
    scalars[t.ECN_QUEUE_NS] = int(network.ecn_queue_us * 1000)
    scalars[t.RATE_RECOVERY_NS] = int(transport.rate_recovery_us * 1000)
    return scalars


def build_simulation(recipe: Recipe, plan: Plan, workload_of_flow: list[int]) -> Simulation:
    """Return the arrays of a run, with the first events queued."""
    rng = np.random.default_rng(recipe.seed)
    triggers = build_triggers(recipe, plan, workload_of_flow)
    chances, chance_flows = build_chances(recipe, plan, workload_of_flow)
    pauses = build_pauses(recipe)
    flows = _build_flows(recipe, plan, triggers, rng)
    tasks, children = _build_tasks(plan)
    taps = t.table(t.TAP, len(recipe.capture.taps))
    tap_hosts = np.zeros((len(taps), recipe.network.hosts), np.uint8)
    for number, tap in enumerate(recipe.capture.taps):
        taps["place"][number] = TAP_PLACES[tap.place]
        tap_hosts[number, list(tap.hosts) or slice(None)] = 1
    # Answers can outnumber the window, because each packet may draw one.
    pool_rows = min(POOL_LIMIT, 2 * len(flows) * (recipe.transport.window_packets + 8) + 64)
    heap_rows = (
        2 * pool_rows + 6 * len(flows) + len(tasks) + 2 * len(pauses) + 2 * len(flows) + 1024
    )
    has_responses = bool((tasks["operation"] >= t.OP_READ).any())
    response_rows = len(flows) if has_responses else 1
    sim = Simulation(
        scalars=_build_scalars(recipe),
        heap=np.zeros((heap_rows, 4), np.int64),
        hosts=_build_hosts(recipe),
        flows=flows,
        tasks=tasks,
        children=children,
        queues=np.zeros(max(1, int((tasks["flow"] >= 0).sum())), np.int64),
        responses=np.zeros((response_rows, t.RESPONSE_RING, 4), np.int64),
        pool=t.table(t.ROW, pool_rows),
        free=np.arange(pool_rows, dtype=np.int64)[::-1].copy(),
        triggers=triggers,
        chances=chances,
        chance_flows=chance_flows,
        events=t.table(t.EVENT, EVENT_LIMIT if len(triggers) + len(chances) else 1),
        taps=taps,
        tap_hosts=tap_hosts,
        pauses=pauses,
        out=t.table(t.ROW, CHUNK_ROWS + SPARE_ROWS),
    )
    sim.scalars[t.FREE_USED] = pool_rows
    _queue_first_events(sim)
    return sim


def _queue_first_events(sim: Simulation) -> None:
    """Queue the tasks that wait for nothing, and the pauses; a sorted array is a heap."""
    first = np.flatnonzero(sim.tasks["waits"] == 0)
    times = np.concatenate((sim.tasks["delay_ns"][first], sim.pauses["time_ns"]))
    kinds = np.repeat([t.EVENT_TASK, t.EVENT_PAUSE], [len(first), len(sim.pauses)])
    numbers = np.concatenate((first, np.arange(len(sim.pauses))))
    order = np.argsort(times, kind="stable")
    used = len(order)
    sim.heap[:used, 0] = times[order]
    sim.heap[:used, 1] = np.arange(used)
    sim.heap[:used, 2] = kinds[order]
    sim.heap[:used, 3] = numbers[order]
    sim.scalars[t.HEAP_USED] = used
    sim.scalars[t.SEQUENCE] = used


def simulate(sim: Simulation) -> Iterator[tuple[Table, int]]:
    """Run the simulation; yield rows of all taps in the order of time, in bounded chunks.

    With each chunk comes the time before which no row is still missing.

    RecipeError when more packets are in flight than the simulator holds.
    """
    waiting = t.table(t.ROW, 0)
    more = True
    while more:
        sim.scalars[t.ROWS_USED] = 0
        more = bool(run(sim, CHUNK_ROWS))
        if sim.scalars[t.POOL_EXHAUSTED]:
            raise RecipeError(
                f"The recipe keeps more than {len(sim.pool)} packets in flight; "
                "lower transport.window_packets or the number of queue pairs."
            )
        rows = np.concatenate((waiting, sim.out[: sim.scalars[t.ROWS_USED]]))
        rows = rows.take(np.argsort(rows["time_ns"], kind="stable"))
        # What later events make is not earlier than the current event.
        ready = np.searchsorted(rows["time_ns"], sim.scalars[t.NOW]) if more else len(rows)
        waiting = rows[ready:]
        yield rows[:ready].view(np.recarray), int(sim.scalars[t.NOW]) if more else END_OF_TIME_NS
