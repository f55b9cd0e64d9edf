"""The document of `simulate` in words and tables, on real small runs."""

from typing import Any

import pytest

from fabricscope.dashboard import failover
from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.failover_tables import (
    CONVERGENCE,
    COSTS,
    sweep_columns,
    sweep_rows,
)
from fabricscope.topology.scenario_file import Source
from fabricscope.topology.simulation import simulate
from fabricscope.topology.sweep import simulate_sweep

CASE: dict[str, Any] = {
    "fabric": "leaf-spine:4x4x4@100G",
    "workload": "allreduce:ring:4MiB:order=rail:iterations=3",
    "failures": ["leaf3-spine1@300us"],
    "recovery": ["dpfr", "bgp", "none"],
    "engine": "flow",
    "nic": {"timeout": 10, "dcqcn": False},
    "seed": 3,
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return simulate(CASE, Source("case.toml"))


def test_the_headline_names_failure_best_and_worst(document: dict[str, Any]) -> None:
    verdict = failover.describe_headline(document)
    assert verdict.headline.startswith("leaf3-spine1@300us: dpfr costs the job ")
    assert len(verdict.reasons) == 3
    assert "remote" in verdict.reasons[0]
    assert verdict.reasons[2].startswith("none: convergence remote never, local never")


def test_without_failure_the_headline_is_the_time() -> None:
    quiet = simulate({**CASE, "failures": []}, Source("case.toml"))
    assert failover.describe_headline(quiet).headline.startswith("Without failure: ")
    assert not any("time-out of" in remark for remark in failover.list_remarks(quiet))


def result_of(converged: float | None, stall: float | None, late: int | None) -> dict[str, Any]:
    return {
        "recovery": "dpfr", "convergence_us": converged, "stall_us": stall, "qps_rtt": 2,
        "qps_timeout": late,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("converged", "stall", "late", "said"),
    [
        (10.0, 12.0, 0, "none waited for the NIC's time-out of 67.1 ms (4.096 µs x 2^14)."),
        (10.0, 5000.0, 0, "; what it loses is the bandwidth of the dead links."),
        (10.0, 67_000.0, 12, "12 of 14 queue pairs"),
        (10.0, 67_000.0, 12, "a shorter time-out would help this job, a faster convergence would"),
        (120_000.0, 140_000.0, 12, "the time-out is short enough for the convergence to count"),
        (None, None, 12, "sends into the dead link at every time-out of 67.1 ms"),
        (10.0, 12.0, None, "is seen at packet level only"),
    ],
)  # fmt: skip
def test_the_time_out_gets_a_sentence(
    converged: float | None, stall: float | None, late: int | None, said: str
) -> None:
    scenario = {"scenario": {"nic": {"timeout": 14, "ack_timeout_us": 67_108.864}}}
    sentence = failover.describe_time_out(scenario, result_of(converged, stall, late))
    assert said in sentence


def test_timelines_are_in_order_and_end_with_the_convergence(document: dict[str, Any]) -> None:
    marks = failover.timeline_marks(document["results"][0])
    times = [time_us for _, time_us in marks]
    assert times == sorted(times)
    stages = [time_us for name, time_us in marks if name in failover.STAGES]
    remote = document["results"][0]["roles"]["remote"]["convergence_us"]
    assert max(stages) == pytest.approx(remote)


def test_tables_have_a_row_for_each_role_and_scheme(document: dict[str, Any]) -> None:
    rows = failover.result_rows(document)
    assert [(row["recovery"], row["role"]) for row in rows][:2] == [
        ("dpfr", "remote"), ("dpfr", "local"),
    ]  # fmt: skip
    table = build_table("roles", "Roles", CONVERGENCE, rows, 100)
    assert [column.title for column in table.columns][:3] == ["Scheme", "Role", "Convergence"]
    costs = build_table("costs", "Costs", COSTS, document["results"], 100)
    assert len(costs.rows) == 3


def test_values_of_repetitions_are_read_by_their_median() -> None:
    value = {"p50": 3.0, "ci95": [1.0, 5.0]}
    assert failover.central(value) == 3.0
    assert failover.central(7) == 7.0
    assert failover.central(None) is None
    assert failover.spread(value) == (1.0, 5.0)
    assert failover.spread(3.0) is None
    assert failover.format_interval({"p50": 1, "ci95": [1000.0, 2000.0]}) == "1 ms .. 2 ms"


def test_sweeps_become_rows() -> None:
    points = simulate_sweep(CASE, Source("case.toml"), {"nic.timeout": [8, 10]})
    rows = sweep_rows(points)
    assert [row["set nic.timeout"] for row in rows] == [8, 8, 8, 10, 10, 10]
    table = build_table("points", "Points", sweep_columns(points), rows, 100)
    assert table.columns[0].title == "nic.timeout"


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([(0.0, 1.0)] * 3, "dpfr: convergence nothing to do; the job loses nothing."),
        ([(40.0, 1.004)] * 3, "loses 40 µs (less than 1 % longer)."),
        ([(400.0, 1.5)] * 3, "loses 400 µs (1.50 times as long)."),
        ([(21.5e6, 1494.6)] * 3, "(1,490 times as long)."),
        ([(0.0, 1.0), (0.0, 1.0), (4.3e6, 390.0)], "nothing, but 4.30 s in the worst repetition."),
        ([(0.0, 1.0), (0.0, 1.0), (None, None)], "nothing, but all of it in 1 of 3 repetitions."),
        ([(0.0, 1.0), (None, None), (None, None)], "loses all of it (it never ends)."),
    ],
)
def test_what_the_job_loses_is_said_with_its_worst_case(
    samples: list[tuple[float | None, float | None]], said: str
) -> None:
    middle = samples[1]
    result = {
        "recovery": "dpfr", "roles": {}, "stall_us": middle[0], "jct_ratio": middle[1],
        "samples": {"stall_us": [one for one, _ in samples],
                    "jct_ratio": [two for _, two in samples]},
    }  # fmt: skip
    scenario = {"failures": ["leaf0-spine0@1ms"]}
    verdict = failover.describe_headline({"scenario": scenario, "results": [result]})
    assert verdict.headline.endswith(said)


def test_schemes_that_differ_in_their_worst_case_only_are_told_apart() -> None:
    results = [
        {
            "recovery": name, "roles": {}, "stall_us": 0.0, "jct_ratio": 1.0,
            "samples": {"stall_us": [0.0, 0.0, worst], "jct_ratio": [1.0, 1.0, ratio]},
        }
        for name, worst, ratio in (("none", None, None), ("dpfr", 10.0, 1.01))
    ]  # fmt: skip
    headline = failover.describe_headline(
        {"scenario": {"failures": ["x"]}, "results": results}
    ).headline
    assert headline == (
        "x: dpfr costs the job nothing, none nothing, but all of it in 1 of 3 repetitions."
    )
