"""What a recorded failure did to a job, in the terms of a simulated one: iterations since it."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fabricscope.dashboard.data.training import LiveJob
from fabricscope.dashboard.failover import central

__all__ = ["Course", "recorded_course", "simulated_courses"]

SHOWN: Final = 20
"""Iterations before and after the failure."""
_USUAL: Final = 5
"""Iterations that tell what is usual."""
_DISTURBED: Final = 1.25
"""An iteration that takes so many times longer than usual is where something happened."""


class Course(NamedTuple):
    """Iterations around a failure. places: 0 is the one that it hit; ratios: of the usual time.

    moment_ns: when the one that was hit began, None in a simulation.
    """

    name: str
    places: list[int]
    ratios: list[float]
    moment_ns: int | None = None


def recorded_course(job: LiveJob) -> Course | None:
    """Return the course of a job's main collective around the first disturbed iteration.

    None where nothing was disturbed, or too few iterations tell what is usual.
    """
    counts = [one["iterations"] for one in job.job.collectives]
    main = counts.index(max(counts))
    rows = job.iterations.filter(job.iterations["collective"] == main)
    starts = rows["time_ns"].to_list()
    times = [end - start for start, end in zip(starts, rows["end_ns"].to_list(), strict=True)]
    for place in range(_USUAL, len(times)):
        usual = statistics.median(times[max(0, place - SHOWN) : place])
        if times[place] > _DISTURBED * usual:
            first, last = max(0, place - SHOWN), min(len(times), place + SHOWN + 1)
            return Course(
                f"{job.name}, seen by {job.collector}",
                [number - place for number in range(first, last)],
                [times[number] / usual for number in range(first, last)],
                starts[place],
            )
    return None


def simulated_courses(document: Mapping[str, Any]) -> list[Course]:
    """Return the course of the first job under each scheme."""
    failure_us = document["scenario"]["failure_us"]
    if failure_us is None:
        return []
    courses = []
    for result in document["results"]:
        rows = [row for row in result["iterations"] if row["job"] == 0]
        hit = _hit(rows, failure_us)
        points = [
            (number - hit, taken / usual)
            for number, row in enumerate(rows)
            if (taken := central(row["duration_us"])) is not None
            and (usual := central(row["baseline_us"]))
        ]
        near = [point for point in points if abs(point[0]) <= SHOWN]
        if near:
            places, ratios = (list(part) for part in zip(*near, strict=True))
            courses.append(Course(str(result["recovery"]), places, ratios))
    return courses


def _hit(rows: Sequence[Mapping[str, Any]], failure_us: float) -> int:
    """Return the iteration under way at the failure; the last one where none ended after it."""
    for number, row in enumerate(rows):
        end = central(row["end_us"])
        if end is None or end > failure_us:
            return number
    return max(len(rows) - 1, 0)
