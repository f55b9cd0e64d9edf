"""The hybrid: packets around a failure, flows before and after.

The flow level runs up to a round trip before the failure. From there every packet is followed,
until the paths work again and all queue pairs that lost packets have brought over what they had
sent by then - at the latest after their time-outs. The rest is flows again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.experiment import Experiment
from fabricscope.topology.failures import Failure
from fabricscope.topology.flow_level.engine import FlowOptions, FlowRun
from fabricscope.topology.flow_level.results import iteration_ends
from fabricscope.topology.handover import apply_past, leave_flows, leave_packets, shift
from fabricscope.topology.measuring import Ran
from fabricscope.topology.outcome import Outcome, Stalled
from fabricscope.topology.packet_level.engine import PacketOutcome
from fabricscope.topology.packet_level.stepping import PacketRun
from fabricscope.topology.recovery.plan import Plan
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["run_hybrid"]

LEAD_RTTS: Final = 2.0
"""Packets begin so many round trips before the failure, so that queues are as they would be."""
GIVEN_UP: Final = "the queue pair gave up after its last retry"
EVENTS_A_LOOK: Final = 100_000
FEW_PACKETS: Final = 1_000_000
"""With so few packets left to send they are followed to the end."""
ENDLESS_EVENTS: Final = 100_000_000
"""Followed of a failure that no scheme answers, before the flow level goes on."""
MOST_EVENTS: Final = 400_000_000
"""Past it the flow level goes on, whoever still waits for a time-out."""


@dataclass(frozen=True)
class _Parts:
    """The three parts of a run: how long the first two were, what each of them showed.

    numbers: which transfer of the whole each one of the second and third part is; joins are -1.
    """

    before: Outcome
    packets: PacketOutcome
    after: Outcome | None
    start_ns: float
    end_ns: float
    packet_numbers: NDArray[np.int64]
    after_numbers: NDArray[np.int64]


def run_hybrid(
    experiment: Experiment,
    balancing: Balancing,
    transfers: Transfers,
    failures: Sequence[Failure],
    plans: Sequence[Plan],
    plan: Plan,
    options: FlowOptions,
    converged_ns: float | None,
    seed: int,
) -> Ran:
    """Return what a run with failures shows.

    transfers: as queue pairs carry them. plans: one a failure; plan: all of them as one.
    converged_ns: after the first failure, None for never.
    """
    fabric, routes = experiment.fabric, experiment.routes
    single = replace(balancing, queue_pairs=1)
    failure_ns = experiment.start_ns
    rtt_ns = _round_trip_ns(experiment, options)
    start_ns = max(0.0, failure_ns - LEAD_RTTS * max(rtt_ns, _loaded_ns(experiment, options)))
    first = FlowRun(fabric, routes, single, transfers, plans, options)
    first.advance(start_ns)
    before = first.outcome()
    left = leave_flows(first, start_ns)
    if not len(left.transfers.source):
        none = np.zeros(int(transfers.queue_pair.max()) + 1, np.bool_)
        return Ran(before, transfers, none, before.finish_ns)
    last_ns = max([failure_ns, *(change.time_ns for change in plan.changes)])
    run = PacketRun(
        fabric, routes, single, left.transfers, [shift(failure, -start_ns) for failure in failures],
        shift(plan, -start_ns), experiment.scenario.nic, experiment.scenario.switch, seed,
        (failure_ns - start_ns, last_ns - start_ns),
    )  # fmt: skip
    goes_on = _run_window(run, failure_ns - start_ns, converged_ns, rtt_ns)
    affected = np.zeros(int(left.transfers.queue_pair.max()) + 1, np.bool_)
    affected[: len(run.network.queue_pairs)] = run.network.queue_pairs["lost"] > 0
    packets = run.outcome()
    end_ns = start_ns + run.now_ns
    if run.ended or not goes_on:
        parts = _Parts(before, packets, None, start_ns, end_ns, left.numbers, left.numbers[:0])
        whole = _combine(transfers, parts, last_ns)
        return Ran(whole, transfers, affected, whole.finish_ns)
    rest = leave_packets(run, left, rtt_ns / 2)
    later = FlowRun(fabric, routes, single, rest.transfers, plans, options)
    apply_past(later, failures, plans, end_ns)
    later.play(
        [shift(failure, -end_ns, future=True) for failure in failures],
        [shift(entry, -end_ns, future=True) for entry in plans],
    )
    parts = _Parts(before, packets, later.outcome(), start_ns, end_ns, left.numbers, rest.numbers)
    whole = _combine(transfers, parts, last_ns)
    return Ran(whole, transfers, affected, whole.finish_ns)


def _run_endless(run: PacketRun) -> bool:
    """Let packets run where paths stay dead; return whether flows have to go on.

    Who waits for the dead path then gives up at flow level, as his retries are used up.
    """
    while not run.ended and run.events < ENDLESS_EVENTS:
        before = run.events
        run.advance_some(EVENTS_A_LOOK)
        if run.events == before:
            return False
    return not run.ended


def _round_trip_ns(experiment: Experiment, options: FlowOptions) -> float:
    """Return the round trip of a full packet over the longest path, without queues."""
    channels = experiment.fabric.channels
    bits = 8 * (options.packet_bytes + options.header_bytes)
    hop_ns = float((channels.delay_ns + bits / channels.rate).max(initial=0.0))
    tiers = max(device.tier for device in experiment.fabric.devices)
    return 2 * 2 * tiers * hop_ns


def _loaded_ns(experiment: Experiment, options: FlowOptions) -> float:
    """Return the round trip when queues are so long that a window fills it."""
    uplinks = experiment.routes.uplinks
    rate = float(experiment.fabric.channels.rate[uplinks].min())
    return 8 * options.window_bytes / rate


def _run_window(
    run: PacketRun, failure_ns: float, converged_ns: float | None, rtt_ns: float
) -> bool:
    """Let packets run until every pair that lost some has them over.

    Return whether anything can happen after that.
    """
    if converged_ns is None:
        return _run_endless(run)
    run.advance(failure_ns + converged_ns + rtt_ns)
    wanted = run.sent()
    while not run.ended and run.events < MOST_EVENTS:
        hit = run.hit()
        before = run.events
        if (run.acknowledged()[hit] >= wanted[hit]).all():
            break
        run.advance_some(EVENTS_A_LOOK)
        if run.events == before:
            break
    if run.left_bytes(0.0).sum() <= FEW_PACKETS * run.nic.mtu_bytes:
        run.advance(np.inf)
        return False
    return not run.ended


def _combine(transfers: Transfers, parts: _Parts, last_ns: float) -> Outcome:
    """Return the outcome of the whole run."""
    finish_ns = parts.before.finish_ns.copy()
    real = parts.packet_numbers >= 0
    inside = parts.packets.finish_ns[real] + parts.start_ns
    known = ~np.isnan(inside)
    finish_ns[parts.packet_numbers[real][known]] = inside[known]
    if parts.after is not None:
        real = parts.after_numbers >= 0
        outside = parts.after.finish_ns[real] + parts.end_ns
        known = ~np.isnan(outside)
        finish_ns[parts.after_numbers[real][known]] = outside[known]
    makespan_ns = float(finish_ns.max())
    end_ns = makespan_ns if not np.isnan(makespan_ns) else parts.end_ns
    carried = parts.packets.channel_bytes.copy()
    carried[0] += parts.before.channel_bytes.sum(axis=0)
    window_ns = np.array([0.0, *(parts.packets.window_ns[1:] + parts.start_ns)])
    later: Outcome | None = parts.after
    stalled = list(parts.packets.stalled)
    if later is not None:
        given_up = int((np.isnan(finish_ns)).sum()) - sum(
            entry.transfers for entry in later.stalled
        )
        stalled = [
            entry for entry in (Stalled(GIVEN_UP, given_up), *later.stalled) if entry.transfers
        ]
    if later is not None:
        carried[2 if last_ns <= parts.end_ns else 1] += later.channel_bytes.sum(axis=0)
        window_ns[3] = end_ns
        if last_ns > parts.end_ns:
            window_ns[2] = min(last_ns, end_ns)
    return Outcome(
        finish_ns=finish_ns,
        iterations=iteration_ends(transfers, finish_ns),
        makespan_ns=makespan_ns,
        window_ns=window_ns,
        channel_bytes=carried,
        packets_lost=parts.packets.packets_lost + (later.packets_lost if later else 0),
        bytes_lost=parts.packets.bytes_lost + (later.bytes_lost if later else 0),
        loss_duration_ns=max(
            parts.packets.loss_duration_ns, later.loss_duration_ns if later else 0.0
        ),
        flows_affected=parts.packets.flows_affected + (later.flows_affected if later else 0),
        qps_rtt=parts.packets.qps_rtt + (later.qps_rtt if later else 0),
        qps_timeout=parts.packets.qps_timeout + (later.qps_timeout if later else 0),
        events=parts.before.events + parts.packets.events + (later.events if later else 0),
        data_packets=parts.before.data_packets
        + parts.packets.data_packets
        + (later.data_packets if later else 0),
        stalled=tuple(stalled),
    )
