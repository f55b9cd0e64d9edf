"""Scenarios run: the documented results, determinism, and what failures do to a job."""

import json
from typing import Any

import pytest

from fabricscope.topology.results import SCHEMA, bus_bandwidth_gbps
from fabricscope.topology.scenario_file import Source
from fabricscope.topology.simulation import simulate
from fabricscope.topology.sweep import simulate_sweep

DOCUMENTED = {
    "recovery", "convergence_us", "breakdown_us", "transport_us", "loss_duration_us",
    "packets_lost", "bytes_lost", "flows_affected", "qps_rtt", "qps_timeout", "jct_ratio", "mmr",
    "jfi", "iterations", "link_loads",
}  # fmt: skip
CASE: dict[str, Any] = {
    "fabric": "leaf-spine:4x4x4@100G",
    "workload": "allreduce:ring:4MiB:order=rail:iterations=3",
    "failures": ["leaf3-spine1@300us"],
    "recovery": ["dpfr", "bgp", "none"],
    "balancing": "spray",
    "engine": "flow",
    "nic": {"dcqcn": False, "timeout": 8},
}


def document_of(**keys: Any) -> dict[str, Any]:
    return simulate({**CASE, **keys}, Source("case.toml"))


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return document_of()


def test_results_have_the_documented_entries(document: dict[str, Any]) -> None:
    assert document["schema"] == SCHEMA
    assert {"fabric", "scenario", "workload", "results"} <= set(document)
    assert [result["recovery"] for result in document["results"]] == ["dpfr", "bgp", "none"]
    for result in document["results"]:
        assert set(result) >= DOCUMENTED
    json.dumps(document, allow_nan=False)


def test_dpfr_converges_below_a_millisecond_and_its_parts_add_up(document: dict[str, Any]) -> None:
    dpfr, bgp, none = document["results"]
    for entry in (dpfr, *dpfr["roles"].values()):
        assert 0 < entry["convergence_us"] < 1000
        assert sum(entry["breakdown_us"].values()) == pytest.approx(entry["convergence_us"])
    assert set(dpfr["roles"]) == {"local", "remote"}
    assert dpfr["roles"]["remote"]["breakdown_us"]["notify"] > 0
    assert bgp["convergence_us"] > 10 * dpfr["convergence_us"]
    assert none["convergence_us"] is None
    assert none["breakdown_us"] is None


def test_the_dead_link_carries_nothing_after_the_failure(document: dict[str, Any]) -> None:
    loads = {(row["from"], row["to"]): row for row in document["results"][0]["link_loads"]}
    assert loads["leaf3", "spine1"]["before"] > 0
    assert loads["leaf3", "spine1"]["after"] == 0
    others = [loads["leaf3", f"spine{spine}"]["after"] for spine in (0, 2, 3)]
    assert max(others) == pytest.approx(min(others), rel=0.01)


def test_the_loaded_leaf_keeps_the_share_of_its_surviving_uplinks() -> None:
    found = document_of(workload="allreduce:ring:256MiB:order=rail:iterations=2", recovery=["dpfr"])
    second = found["results"][0]["iterations"][1]
    assert second["baseline_us"] / second["duration_us"] == pytest.approx(3 / 4, rel=0.01)


def test_bus_bandwidth_before_the_failure_is_the_formula_s() -> None:
    found = document_of(workload="allreduce:ring:256MiB:order=rail", failures=[])
    full = 100 * 4096 / (4096 + 82)
    latency = 2 * 15 * 5_000 / (8 * (1 << 28) * 2 * 15 / 16 / full)
    assert found["workload"]["busbw_gbps"] == pytest.approx(full / (1 + latency), rel=0.01)


def test_repetitions_become_percentiles_with_an_interval() -> None:
    found = document_of(repetitions=5, recovery=["dpfr"])["results"][0]
    value = found["convergence_us"]
    assert set(value) == {"p50", "p95", "max", "mean", "ci95"}
    assert value["ci95"][0] <= value["mean"] <= value["ci95"][1]
    assert value["p50"] <= value["p95"] <= value["max"]
    assert len(found["samples"]["convergence_us"]) == 5


def test_the_seed_decides_everything() -> None:
    def shorn(found: dict[str, Any]) -> str:
        found.pop("elapsed_s")
        for result in found["results"]:
            result.pop("elapsed_s")
        return json.dumps(found)

    first, again, other = (shorn(document_of(seed=seed, repetitions=2)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_processes_change_nothing() -> None:
    keys = {**CASE, "repetitions": 2, "recovery": ["dpfr", "none"]}
    alone = simulate(keys, Source("case.toml"), processes=1)
    together = simulate(keys, Source("case.toml"), processes=2)
    for one, other in zip(alone["results"], together["results"], strict=True):
        assert one["samples"] == other["samples"]


def test_a_collision_of_hashes_is_named() -> None:
    found = document_of(balancing="ecmp", workload="allreduce:ring:16MiB:order=rail", seed=3)
    assert any(remark.startswith("Hash collisions: ") for remark in found["remarks"])


def test_a_sweep_has_a_point_for_each_combination() -> None:
    points = simulate_sweep(
        CASE, Source("case.toml"), {"nic.timeout": [8, 10], "failures": [["leaf1-spine0@1ms"], []]}
    )
    assert points["sweep"] == ["nic.timeout", "failures"]
    settings = [point["settings"]["nic.timeout"] for point in points["points"]]
    assert settings == [8, 8, 10, 10]
    quiet = points["points"][1]["results"][0]
    assert quiet["stall_us"] == 0
    assert quiet["packets_lost"] == 0


def test_bus_bandwidth_has_a_factor_for_each_operation() -> None:
    from fabricscope.topology.experiment import Job

    def rate(operation: str) -> float | None:
        return bus_bandwidth_gbps(Job("", operation, "", 4, 1000, 1), 80.0)

    assert rate("allreduce") == pytest.approx(150.0)
    assert rate("alltoall") == pytest.approx(75.0)
    assert rate("incast") is None


@pytest.mark.parametrize("engine", ["flow", "packet"])
def test_a_background_slows_the_job_and_does_not_count_as_one(engine: str) -> None:
    job = {"operation": "allreduce", "size": "1MiB", "order": "rail"}
    load = {"operation": "background", "size": "16KiB", "load": "60%", "duration": "2ms"}
    alone = document_of(workload=[job], failures=[], engine=engine)["workload"]
    beside = document_of(workload=[load, job], failures=[], engine=engine)["workload"]
    assert [entry["operation"] for entry in beside["jobs"]] == ["background", "allreduce"]
    assert 1.1 * alone["baseline_us"] < beside["baseline_us"] < 1500
    assert beside["busbw_gbps"] == pytest.approx(
        alone["busbw_gbps"] * alone["baseline_us"] / beside["baseline_us"]
    )
