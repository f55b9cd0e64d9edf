"""What a scenario may say, and what it means."""

from typing import Any

import pytest
from pydantic import ValidationError

from fabricscope.topology.scenario import Scenario

LEAST = {"fabric": "leaf-spine:2x2x2@100G", "workload": "alltoall:1MiB"}


def scenario_of(**keys: Any) -> Scenario:
    return Scenario.model_validate({**LEAST, **keys})


def test_text_and_tables_say_the_same() -> None:
    short = scenario_of(
        workload="allreduce:ring:64MiB:iterations=3:order=rail:compute=1ms",
        recovery=["dpfr"], balancing="qp-scaling:4", failures="leaf1-spine1@1ms",
        taps="leaf1-spine1",
    )  # fmt: skip
    long = scenario_of(
        workload=[
            {"operation": "allreduce", "algorithm": "ring", "size": "64MiB", "iterations": 3,
             "order": "rail", "compute": "1ms"}
        ],
        recovery=[{"name": "dpfr"}],
        balancing={"kind": "qp-scaling", "queue_pairs": 4},
        failures=[{"target": "leaf1-spine1", "at": "1ms"}],
        taps=[{"link": "leaf1-spine1"}],
    )  # fmt: skip
    assert short == long


def test_quantities_become_bytes_and_nanoseconds() -> None:
    part = scenario_of(workload={"operation": "p2p", "size": "1GiB", "start": "2us"}).workload[0]
    assert part.size_bytes == 1 << 30
    assert part.start_ns == 2000.0
    assert part.specify(5).seed == 5
    assert part.specify(5).algorithm == "pipeline"


def test_the_shown_name_of_a_scheme_is_its_label() -> None:
    parts = scenario_of(recovery=["bgp", {"name": "bgp", "label": "slow bgp"}]).recovery
    assert [part.shown for part in parts] == ["bgp", "slow bgp"]


def test_congestion_control_is_switched_off_by_false() -> None:
    assert scenario_of().nic.dcqcn is not None
    assert scenario_of(nic={"dcqcn": False}).nic.dcqcn is None


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"workload": []}, "at least 1"),
        ({"workload": {"operation": "gather", "size": "1MiB"}}, "none of allreduce"),
        (
            {"workload": {"operation": "alltoall", "algorithm": "ring", "size": "1MiB"}},
            "not 'ring'",
        ),
        ({"workload": {"operation": "alltoall", "size": 5}}, "with its unit"),
        ({"recovery": ["bgp", "bgp"]}, "named twice"),
        ({"balancing": "tombola"}, "none of ecmp"),
        ({"repetitions": 0}, "greater than or equal to 1"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"fabrics": "x"}, "Extra inputs"),
        ({"nic": {"mtu": 1}}, "Unexpected keyword"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        scenario_of(**keys)


def test_workloads_may_wait_for_one_another_but_not_in_a_circle() -> None:
    chain = [
        {"name": "a", "operation": "alltoall", "size": "1MiB", "after": ["b"]},
        {"name": "b", "operation": "alltoall", "size": "1MiB"},
    ]
    assert scenario_of(workload=chain).workload[0].after == ("b",)
    circle = [chain[0], {**chain[1], "after": ["a"]}]
    with pytest.raises(ValidationError, match="a cycle: a and b wait for one another"):
        scenario_of(workload=circle)
    with pytest.raises(ValidationError, match="no workload is called"):
        scenario_of(workload=chain[:1])
    with pytest.raises(ValidationError, match="two workloads are called 'b'"):
        scenario_of(workload=[chain[1], chain[1]])
