"""One run of an experiment: the plan of one scheme, the engine that carries it out, what it showed.

Which engine a scenario gets is decided here, from how many packets it sends.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from fabricscope.errors import FabricError
from fabricscope.topology.convergence import Convergence, find_convergence
from fabricscope.topology.experiment import Experiment
from fabricscope.topology.failures import Failure
from fabricscope.topology.flow_level.engine import FlowOptions, FlowRun
from fabricscope.topology.flow_level.ring_engine import run_rings
from fabricscope.topology.hybrid import run_hybrid
from fabricscope.topology.measuring import Ran, measure
from fabricscope.topology.packet_level.engine import PacketOutcome, run_packets
from fabricscope.topology.packet_level.parameters import Nic, PacketOptions
from fabricscope.topology.recovery.dpfr_sampled import DpfrSampled
from fabricscope.topology.recovery.plan import Plan, Situation, Traffic
from fabricscope.topology.recovery.union import unite
from fabricscope.topology.results import Measured
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.workloads.striping import stripe
from fabricscope.topology.workloads.transfers import Transfers

__all__ = [
    "Answers",
    "answer",
    "choose_engine",
    "draw",
    "flow_options",
    "follow_packets",
    "run_once",
]

PACKET_BUDGET: Final = 40_000_000
"""Data packets of all runs together up to which every packet is simulated: about a minute."""
HYBRID_TRANSFERS: Final = 2_000_000
"""With more transfers the hybrid's hand-over takes longer than the flow level itself."""


class Chance(NamedTuple):
    """What differs between repetitions: hashes, and the seeds of plans and packets."""

    balancing: Balancing
    seed: int


class Answers(NamedTuple):
    """What fails, and for each failure the plan against it and the convergence."""

    failures: tuple[Failure, ...]
    plans: tuple[Plan, ...]
    convergences: tuple[Convergence, ...]

    @property
    def converged_ns(self) -> float | None:
        """Return when the last failure has converged, from the first one's start; None: never."""
        first_ns = min(failure.start_ns for failure in self.failures)
        ends = [
            None if entry.settled_ns is None else failure.start_ns + entry.settled_ns
            for failure, entry in zip(self.failures, self.convergences, strict=True)
        ]
        known = [end for end in ends if end is not None]
        return max(known) - first_ns if len(known) == len(ends) else None


def choose_engine(experiment: Experiment) -> str:
    """Return the engine for a scenario: the one it names, else by the number of packets."""
    scenario = experiment.scenario
    if scenario.engine != "auto":
        return scenario.engine
    runs = scenario.repetitions * (1 + len(scenario.recovery))
    if experiment.rings:
        return "flow"
    if experiment.count_packets() * runs <= PACKET_BUDGET:
        return "packet"
    if experiment.failures and experiment.transfer_count <= HYBRID_TRANSFERS:
        return "hybrid"
    return "flow"


def flow_options(
    nic: Nic, seed: int = 1, windows_ns: tuple[float, float] | None = None
) -> FlowOptions:
    """Return what the flow level assumes of a NIC; windows_ns: see `FlowOptions`."""
    return FlowOptions(
        packet_bytes=nic.mtu_bytes,
        header_bytes=nic.header_bytes,
        window_bytes=nic.window_bytes,
        rto_ns=nic.timeout_ns,
        doubling=nic.backoff > 1,
        retry_count=nic.retry_count,
        windows_ns=windows_ns,
        seed=seed,
    )


def _windows(answers: Answers) -> tuple[float, float] | None:
    """Return when the first failure begins and when the last one has converged."""
    if not answers.failures:
        return None
    start_ns = min(failure.start_ns for failure in answers.failures)
    converged_ns = answers.converged_ns
    return start_ns, start_ns + converged_ns if converged_ns is not None else math.inf


def run_once(experiment: Experiment, place: int, repetition: int) -> Measured:
    """Return what one run shows. place: of the scheme in the scenario, -1 for no failure at all."""
    began_s = time.perf_counter()
    chance = draw(experiment, repetition)
    engine = choose_engine(experiment)
    answers = answer(experiment, chance, place) if place >= 0 else Answers((), (), ())
    ran = _RUNNERS[engine](experiment, chance, answers)
    return measure(
        experiment, place, repetition, engine, answers.plans, answers.convergences, ran,
        time.perf_counter() - began_s,
    )  # fmt: skip


def draw(experiment: Experiment, repetition: int) -> Chance:
    """Return the chance of one repetition, the same for all schemes."""
    scenario = experiment.scenario
    seed = int(np.random.default_rng((scenario.seed, repetition)).integers(1 << 31))
    return Chance(replace(scenario.balancing.specify(), seed=seed), seed)


def answer(experiment: Experiment, chance: Chance, place: int) -> Answers:
    """Return what the scheme at `place` does about each failure, and when that has converged."""
    situations = situate(experiment, chance)
    plans = tuple(
        experiment.schemes[place].plan(situation, np.random.default_rng((chance.seed, number, 7)))
        for number, situation in enumerate(situations)
    )
    convergences = tuple(
        find_convergence(situation, plan) for situation, plan in zip(situations, plans, strict=True)
    )
    return Answers(experiment.failures, plans, convergences)


def situate(experiment: Experiment, chance: Chance) -> list[Situation]:
    """Return what schemes may know, with the traffic at the failure where one of them samples."""
    samples = any(isinstance(scheme, DpfrSampled) for scheme in experiment.schemes)
    out = []
    for failure in experiment.failures:
        traffic = _find_traffic(experiment, chance, failure) if samples else _no_traffic(experiment)
        out.append(Situation(experiment.fabric, experiment.routes, failure, traffic))
    return out


def _no_traffic(experiment: Experiment) -> Traffic:
    groups = experiment.routes.distance.shape[0]
    return Traffic(np.empty(0, np.int32), np.empty((0, groups)))


def _find_traffic(experiment: Experiment, chance: Chance, failure: Failure) -> Traffic:
    """Return what runs over the channels that die, and those that lead to them, at that moment."""
    options = flow_options(experiment.scenario.nic)
    run = FlowRun(
        experiment.fabric, experiment.routes, chance.balancing, experiment.transfers, (), options
    )
    run.advance(failure.start_ns)
    dead = np.unique([event.channel for event in failure.events])
    sources = experiment.fabric.channels.source[dead]
    wanted = np.unique(
        np.concatenate((dead, np.flatnonzero(np.isin(experiment.fabric.channels.target, sources))))
    )
    groups = experiment.routes.distance.shape[0]
    rates = np.zeros((len(wanted), groups))
    place = np.full(len(experiment.fabric.channels.rate) + 1, -1, np.int64)
    place[wanted] = np.arange(len(wanted))
    sending = np.flatnonzero(run.run.rate > 0)
    entries = run.net.entries[sending]
    rows = place[entries]
    flows, hops = np.nonzero((rows >= 0) & (entries >= 0))
    group = experiment.routes.group[run.pairs.destination[sending[flows]]]
    weight = run.net.weights[sending[flows] * run.net.stride, hops]
    packets = run.run.rate / options.packet_bytes
    np.add.at(rates, (rows[flows, hops], group), packets[sending[flows]] * weight)
    for flow in sending[run.net.class_of[sending] >= 0].tolist():
        kind = run.net.class_of[flow]
        part = slice(run.net.class_start[kind], run.net.class_start[kind + 1])
        over = place[run.net.class_channels[part]]
        share = run.net.class_weights[part][over >= 0] * packets[flow]
        rates[over[over >= 0], experiment.routes.group[run.pairs.destination[flow]]] += share
    return Traffic(wanted.astype(np.int32), rates)


def _run_flow(experiment: Experiment, chance: Chance, answers: Answers) -> Ran:
    options = flow_options(experiment.scenario.nic, chance.seed, _windows(answers))
    if experiment.rings:
        whole = run_rings(
            experiment.fabric, experiment.routes, chance.balancing, experiment.rings,
            answers.failures, answers.plans, options,
        )  # fmt: skip
        return Ran(whole, experiment.transfers, np.empty(0, np.bool_), whole.finish_ns)
    run = FlowRun(
        experiment.fabric, experiment.routes, chance.balancing, experiment.transfers,
        answers.plans, options,
    )  # fmt: skip
    run.play(answers.failures, answers.plans)
    outcome = run.outcome()
    return Ran(outcome, run.transfers, run.pairs.affected > 0, run.todo.finish_ns)


def follow_packets(
    experiment: Experiment,
    chance: Chance,
    answers: Answers,
    taps: Sequence[int] = (),
    options: PacketOptions | None = None,
) -> tuple[PacketOutcome, Transfers]:
    """Return a run at packet level, and the transfers as queue pairs carried them."""
    transfers = carry(experiment, chance.balancing)
    scenario = experiment.scenario
    outcome = run_packets(
        experiment.fabric, experiment.routes, chance.balancing, transfers,
        answers.failures, merge_plans(answers.plans),
        scenario.nic, scenario.switch, taps, chance.seed, options,
    )  # fmt: skip
    return outcome, transfers


def _run_packet(experiment: Experiment, chance: Chance, answers: Answers) -> Ran:
    outcome, transfers = follow_packets(experiment, chance, answers)
    return Ran(outcome, transfers, outcome.queue_pairs["lost"] > 0, outcome.finish_ns)


def _run_hybrid(experiment: Experiment, chance: Chance, answers: Answers) -> Ran:
    if not answers.failures:
        return _run_flow(experiment, chance, answers)
    return run_hybrid(
        experiment, chance.balancing, carry(experiment, chance.balancing), answers.failures,
        answers.plans, merge_plans(answers.plans),
        flow_options(experiment.scenario.nic, chance.seed),
        answers.converged_ns, chance.seed,
    )  # fmt: skip


_RUNNERS: Final = {"flow": _run_flow, "packet": _run_packet, "hybrid": _run_hybrid}


def carry(experiment: Experiment, balancing: Balancing) -> Transfers:
    """Return the transfers as queue pairs carry them at packet level.

    Raises FabricError for a way of balancing that the packet level does not have.
    """
    if balancing.kind == "flowlet":
        raise FabricError("balancing flowlet is at flow level only; use --engine flow")
    if balancing.queue_pairs > 1:
        return stripe(experiment.transfers, balancing.queue_pairs)
    return experiment.transfers


def merge_plans(plans: Sequence[Plan]) -> Plan:
    """Return the answers to several failures as one plan."""
    if not plans:
        return Plan(())
    if len(plans) == 1:
        return plans[0]
    return Plan(
        changes=unite(*(plan.changes for plan in plans)),
        data_plane=next((plan.data_plane for plan in plans if plan.data_plane), None),
        relabel_ns=next((plan.relabel_ns for plan in plans if plan.relabel_ns is not None), None),
        beneath=unite(*(plan.beneath for plan in plans)),
        notes=tuple(note for plan in plans for note in plan.notes),
    )
