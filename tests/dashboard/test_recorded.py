"""Recorded and simulated failures in the same terms."""

from pathlib import Path
from typing import Any

import pytest
from live_jobs import START_NS, VIEW, iteration, store_of

from fabricscope.dashboard.data.training import LiveJob, read_jobs
from fabricscope.dashboard.recorded import recorded_course, simulated_courses


def job_of(folder: Path, *lengths_ms: float) -> LiveJob:
    rows = [
        iteration(k, end_ns=START_NS + k * 10**9 + int(length * 1e6))
        for k, length in enumerate(lengths_ms)
    ]
    return read_jobs(store_of(folder, *rows), VIEW)[0]


def test_the_first_long_iteration_is_the_one_that_was_hit(tmp_path: Path) -> None:
    course = recorded_course(job_of(tmp_path, 10, 11, 10, 10, 11, 10, 40, 20, 10))
    assert course is not None
    assert course.places == list(range(-6, 3))
    assert course.ratios[6] == pytest.approx(4.0)
    assert course.moment_ns == START_NS + 6 * 10**9


def test_without_disturbance_there_is_none(tmp_path: Path) -> None:
    assert recorded_course(job_of(tmp_path, *[10.0] * 12)) is None


def test_simulated_iterations_count_from_the_failure() -> None:
    def row(number: int, end: float | None, took: float | None) -> dict[str, Any]:
        return {"job": 0, "iteration": number, "end_us": end, "duration_us": took,
                "baseline_us": 10.0}  # fmt: skip

    document = {
        "scenario": {"failure_us": 15.0},
        "results": [
            {"recovery": "dpfr", "iterations": [row(0, 10, 10), row(1, 40, 30), row(2, 50, 10)]},
            {"recovery": "none", "iterations": [row(0, 10, 10), row(1, None, None)]},
        ],
    }
    first, second = simulated_courses(document)
    assert (first.places, first.ratios) == ([-1, 0, 1], [1.0, 3.0, 1.0])
    assert (second.places, second.ratios) == ([-1], [1.0])
    assert simulated_courses({"scenario": {"failure_us": None}, "results": []}) == []
