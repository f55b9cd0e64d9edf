"""Which engine runs a scenario, and that the engines agree."""

from typing import Any

import pytest

from fabricscope.topology.engines import choose_engine, run_once
from fabricscope.topology.experiment import Experiment, prepare
from fabricscope.topology.scenario_file import Source, build_scenario

NAMED = {"fabric": "leaf-spine:4x4x8@100G", "recovery": ["none"]}


def experiment_of(**keys: Any) -> Experiment:
    source = Source("scenario.toml")
    return prepare(build_scenario({**NAMED, **keys}, source), source)


def makespan_us(**keys: Any) -> float:
    measured = run_once(experiment_of(**keys), -1, 0)
    assert measured.makespan_ns is not None
    return measured.makespan_ns / 1e3


@pytest.mark.parametrize("fabric", ["leaf-spine:4x4x8@100G", "leaf-spine:4x2x8@100G"])
@pytest.mark.parametrize(
    "workload",
    ["allreduce:ring:8MiB:order=rail", "allreduce:ring:8MiB", "alltoall:8MiB", "permutation:2MB",
     "incast:1MB:ranks=9", "allreduce:tree:1MiB", "allreduce:halving_doubling:4MiB"],
)  # fmt: skip
def test_both_engines_take_the_same_time(fabric: str, workload: str) -> None:
    keys = {"fabric": fabric, "workload": workload, "nic": {"dcqcn": False}}
    flow_us = makespan_us(**keys, engine="flow")
    packet_us = makespan_us(**keys, engine="packet")
    assert packet_us == pytest.approx(flow_us, rel=0.05)


def test_few_packets_are_simulated_one_by_one_and_many_are_not() -> None:
    small = experiment_of(workload="alltoall:1MiB")
    assert choose_engine(small) == "packet"
    large = experiment_of(workload="allreduce:ring:64GiB")
    assert choose_engine(large) == "flow"
    failing = experiment_of(workload="allreduce:ring:64GiB", failures="leaf1-spine1@1ms")
    assert choose_engine(failing) == "hybrid"
    named = experiment_of(workload="allreduce:ring:64GiB", engine="packet")
    assert choose_engine(named) == "packet"


def test_packets_are_counted_by_message() -> None:
    experiment = experiment_of(workload="incast:4097B:ranks=3")
    assert experiment.count_packets() == 4
