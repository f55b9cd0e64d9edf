"""What is kept of a run: convergence by role, loads of windows, when queue pairs go on."""

from typing import Any

import numpy as np
import pytest

from fabricscope.topology.convergence import Convergence, DeviceSwitch
from fabricscope.topology.engines import Answers, answer, draw, follow_packets
from fabricscope.topology.experiment import Experiment, prepare
from fabricscope.topology.measuring import Ran, measure
from fabricscope.topology.packet_level.stepping import PacketRun
from fabricscope.topology.recovery.plan import Moments
from fabricscope.topology.scenario_file import Source, build_scenario

CASE: dict[str, Any] = {
    "fabric": "leaf-spine:2x2x2@100G", "workload": "alltoall:4MiB", "engine": "packet",
    "failures": ["leaf1-spine1@50us"], "recovery": ["dpfr"], "nic": {"dcqcn": False, "timeout": 8},
    "seed": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    source = Source("case.toml")
    return prepare(build_scenario(CASE, source), source)


def converged(time_ns: float, local_ns: float, remote_ns: float) -> Convergence:
    switch = DeviceSwitch(0, "remote", time_ns, Moments(detect_ns=time_ns))
    return Convergence(
        convergence_ns=time_ns, settled_ns=time_ns, local_ns=local_ns, remote_ns=remote_ns,
        breakdown=Moments(detect_ns=time_ns), last=switch, devices=(switch,), outage_ns=0.0,
        collateral_ns=0.0, affected=1, stranded=0,
    )  # fmt: skip


def test_the_slowest_failure_counts_and_roles_that_never_converge_are_none(
    experiment: Experiment,
) -> None:
    chance = draw(experiment, 0)
    answers = answer(experiment, chance, 0)
    outcome, transfers = follow_packets(experiment, chance, answers)
    ran = Ran(outcome, transfers, outcome.queue_pairs["lost"] > 0, outcome.finish_ns)
    both = (converged(1000.0, np.nan, 1000.0), converged(3000.0, np.inf, 3000.0))
    measured = measure(experiment, 0, 0, "packet", answers.plans, both, ran, 0.0)
    assert measured.convergence_ns == 3000.0
    assert measured.roles["local"].time_ns is None
    assert measured.roles["remote"].time_ns == 3000.0
    assert measured.roles["remote"].moments == Moments(detect_ns=3000.0)
    assert measured.makespan_ns == outcome.makespan_ns
    if ran.affected.any():
        assert measured.resumed_ns is not None
        assert measured.resumed_ns >= 3000.0


def test_loads_are_shares_of_the_rate(experiment: Experiment) -> None:
    outcome, transfers = follow_packets(experiment, draw(experiment, 0), Answers((), (), ()))
    ran = Ran(outcome, transfers, np.zeros(1, np.bool_), outcome.finish_ns)
    measured = measure(experiment, -1, 0, "packet", (), (), ran, 0.0)
    values = [value for _, loads in measured.loads for value in loads if value is not None]
    assert values
    assert 0 <= min(values) <= max(values) <= 1.0 + 1e-9
    times, shares = measured.transfer_quantiles
    assert list(times) == sorted(times)
    assert shares[-1] == pytest.approx(100.0)


def test_a_run_in_steps_ends_as_one_that_is_not(experiment: Experiment) -> None:
    chance = draw(experiment, 0)
    whole, _ = follow_packets(experiment, chance, Answers((), (), ()))
    windows = (float("inf"), float("inf"))
    scenario = experiment.scenario
    run = PacketRun(
        experiment.fabric, experiment.routes, chance.balancing, experiment.transfers, (),
        answer(experiment, chance, 0).plans[0], scenario.nic, scenario.switch, chance.seed, windows,
    )  # fmt: skip
    run.advance(20_000.0)
    assert 0 < run.left_bytes(0.0).sum() <= experiment.transfers.size_bytes.sum()
    run.advance_some(100)
    run.advance(np.inf)
    assert run.ended
    assert run.outcome().makespan_ns == pytest.approx(whole.makespan_ns)
