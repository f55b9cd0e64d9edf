"""The hybrid against the packet engine: the same job, failures and seeds."""

from typing import Any

import numpy as np
import pytest

from fabricscope.topology import handover, hybrid
from fabricscope.topology.engines import draw, flow_options, run_once
from fabricscope.topology.experiment import Experiment, prepare
from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.flow_level.engine import FlowRun
from fabricscope.topology.results import Measured
from fabricscope.topology.scenario_file import Source, build_scenario

CASE = {
    "fabric": "leaf-spine:4x4x4@100G",
    "workload": "allreduce:ring:2MiB:order=rail:iterations=8",
    "recovery": [
        "dpfr", {"name": "bgp", "parameters": {"process": "1ms", "finish": "100us"}}, "none",
    ],
    "nic": {"dcqcn": False, "timeout": 13},
    "failures": ["leaf3-spine1@3ms"],
}  # fmt: skip


def experiment_of(engine: str, **keys: Any) -> Experiment:
    source = Source("case.toml")
    return prepare(build_scenario({**CASE, "engine": engine, **keys}, source), source)


def run(engine: str, place: int, **keys: Any) -> Measured:
    return run_once(experiment_of(engine, **keys), place, 0)


@pytest.fixture(autouse=True)
def _hand_over_however_little_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hybrid, "FEW_PACKETS", 0)


@pytest.mark.parametrize("balancing", ["ecmp", "qp-scaling:2"])
@pytest.mark.parametrize("place", [0, 1])
def test_the_hybrid_takes_as_long_as_packets_alone(place: int, balancing: str) -> None:
    packets = run("packet", place, balancing=balancing)
    mixed = run("hybrid", place, balancing=balancing)
    assert packets.makespan_ns is not None
    assert mixed.makespan_ns == pytest.approx(packets.makespan_ns, rel=0.01)
    assert mixed.events < packets.events


def test_what_never_ends_ends_in_neither() -> None:
    packets, mixed = run("packet", 2), run("hybrid", 2)
    assert packets.makespan_ns is None or mixed.makespan_ns is not None
    assert (packets.makespan_ns is None) == (mixed.makespan_ns is None)


def test_an_endless_stall_is_handed_over_and_ends_as_with_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hybrid, "ENDLESS_EVENTS", 1)
    packets, mixed = run("packet", 2), run("hybrid", 2)
    assert mixed.events < packets.events
    assert mixed.makespan_ns is packets.makespan_ns is None
    stalled = [sum(count for _, count in ran.stalled) for ran in (mixed, packets)]
    assert stalled[0] == pytest.approx(stalled[1], rel=0.01)


def test_nothing_is_lost_between_flows_and_what_is_left_of_them() -> None:
    experiment = experiment_of("flow")
    chance = draw(experiment, 0)
    options = flow_options(experiment.scenario.nic)
    whole = FlowRun(
        experiment.fabric, experiment.routes, chance.balancing, experiment.transfers, (), options
    )
    whole.play((), ())
    first = FlowRun(
        experiment.fabric, experiment.routes, chance.balancing, experiment.transfers, (), options
    )
    first.advance(1_234_567.0)
    left = handover.leave_flows(first, 1_234_567.0)
    assert 0 < len(left.numbers) < len(experiment.transfers.source)
    rest = FlowRun(
        experiment.fabric, experiment.routes, chance.balancing, left.transfers, (), options
    )
    rest.play((), ())
    end_ns = 1_234_567.0 + rest.outcome().makespan_ns
    assert end_ns == pytest.approx(whole.outcome().makespan_ns, rel=1e-3)


def test_failures_move_in_time_and_the_past_is_left_out() -> None:
    events = (ChannelEvent(5.0, 1, 0.0), ChannelEvent(50.0, 1, 1.0))
    failure = Failure("x", "link", 5.0, events, ())
    moved = handover.shift(failure, -10.0)
    assert [event.time_ns for event in moved.events] == [-5.0, 40.0]
    future = handover.shift(failure, -10.0, future=True)
    assert [event.time_ns for event in future.events] == [40.0]
    assert np.isclose(future.start_ns, -5.0)
