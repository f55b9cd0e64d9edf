"""Who holds a live job back, in one sentence with its evidence. Knows no colours and no links."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fabricscope.dashboard.data.training import LiveJob
from fabricscope.dashboard.quantities import (
    format_bit_rate,
    format_clock,
    format_duration,
    format_share,
)
from fabricscope.dashboard.training import (
    Suspect,
    describe_diagnosis,
    name_collective,
    read_suspect,
    suspects,
)

__all__ = ["Holdup", "describe_holdup"]


class Holdup(NamedTuple):
    """suspect: None where nobody holds the job back; evidence: sentences, the strongest first."""

    sentence: str
    suspect: Suspect | None
    evidence: tuple[str, ...]


def describe_holdup(job: LiveJob) -> Holdup:
    """Return the verdict on a job and what it is based on."""
    found = suspects(job.job)
    if not found:
        return Holdup(describe_diagnosis(job.job), None, ())
    worst = found[0]
    return Holdup(describe_diagnosis(job.job), worst, tuple(_evidence(job, worst)))


def _evidence(job: LiveJob, worst: Suspect) -> list[str]:
    said: list[str] = []
    for collective in job.job.collectives:
        given = collective.get("straggler")
        if given and read_suspect(given)[:3] == worst[:3]:
            said += _numbers(name_collective(collective), given)
    times = job.iterations.filter(job.iterations["straggler"] != "")["time_ns"]
    said.append(
        f"Held back were {len(times):,} of {job.iterations.height:,} iterations in this time "
        f"range, from {format_clock(times[0])} to {format_clock(times[-1])} UTC."
    )
    return list(dict.fromkeys(said))


def _numbers(collective: str, given: Mapping[str, Any]) -> list[str]:
    evidence = given.get("evidence") or {}
    rate, others = given.get("rate_gbps"), evidence.get("others_gbps")
    counted = f" in {evidence['iterations']:,} iterations" if evidence.get("iterations") else ""
    if rate and others:
        return [
            f"{collective}: messages on this link ran at {format_bit_rate(rate * 1e9)}, those of "
            f"the other ranks at {format_bit_rate(others * 1e9)} ({format_share(rate / others)})"
            f"{counted}."
        ]
    if given.get("late_ms"):
        late = format_duration(given["late_ms"] / 1e3)
        return [f"{collective}: this rank began {late} after the others{counted}."]
    return []
