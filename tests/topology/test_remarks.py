"""Remarks name collisions, what never ends, and NCCL's time-out."""

from typing import Any

from fabricscope.topology.scenario_file import Source
from fabricscope.topology.simulation import simulate


def remarks_of(**keys: Any) -> list[str]:
    case = {
        "fabric": "leaf-spine:4x4x4@100G", "workload": "allreduce:ring:16MiB:order=rail",
        "failures": ["leaf3-spine1@300us"], "recovery": ["none"], "engine": "flow",
        "nic": {"timeout": 8}, "seed": 3, **keys,
    }  # fmt: skip
    remarks: list[str] = simulate(case, Source("case.toml"))["remarks"]
    return remarks


def test_collisions_are_named_with_link_and_factor_and_spraying_has_none() -> None:
    collision = next(text for text in remarks_of() if text.startswith("Hash collisions: "))
    assert "queue pairs share the uplink leaf" in collision
    assert "times as long without any failure" in collision
    assert not any("Hash collisions" in text for text in remarks_of(balancing="spray"))


def test_what_never_arrives_is_counted_by_reason() -> None:
    assert any(text.startswith("none: ") and "never arrived" in text for text in remarks_of())


def test_the_default_time_out_is_said_to_be_one() -> None:
    assert any("NCCL's default" in text for text in remarks_of(nic={"timeout": 20}))
    assert not any("NCCL's default" in text for text in remarks_of())
