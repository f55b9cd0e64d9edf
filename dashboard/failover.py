"""The document of `simulate` in words: headline, remarks, and the rows of its tables.

Shared by the terminal and the HTML report, so that both say the same. Knows no colours or widths.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fabricscope.dashboard.quantities import (
    UNKNOWN,
    format_bytes,
    format_count,
    format_duration,
    format_microseconds,
    format_times,
)
from fabricscope.dashboard.summary import Total, Verdict

Document = Mapping[str, Any]
"""The JSON document of `simulate`, schema fabricscope-simulation/1."""
Result = Mapping[str, Any]

STAGES: Final = ("detect", "sample", "notify", "install", "switch")
"""Parts of a convergence, in order of time."""
REMARKS_LIMIT: Final = 3
LONGER: Final = 1.01
"""A job that takes so many times its time is called longer."""
_NEVER: Final = float("inf")
NOTICEABLE_US: Final = 100.0
"""A loss of the job's time that is more than a few round trips."""


def central(value: Any) -> float | None:
    """Return the median of a value of the document, which is a number where nothing varies."""
    if isinstance(value, Mapping):
        value = value.get("p50")
    return None if value is None else float(value)


def spread(value: Any) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the mean, None where nothing was repeated."""
    if not isinstance(value, Mapping) or not value.get("ci95"):
        return None
    low, high = value["ci95"]
    return float(low), float(high)


def worst_role(result: Result) -> str:
    """Return the role that tells schemes apart: remote where there is one."""
    roles = result["roles"]
    return "remote" if "remote" in roles else next(iter(roles), "")


def describe_headline(document: Document) -> Verdict:
    """Return what the experiment says first: the remote case, and what the job lost."""
    results = document["results"]
    if not document["scenario"]["failures"]:
        base = central(document["workload"]["baseline_us"])
        return Verdict("ok", f"Without failure: {format_microseconds(base)}.", ())
    reasons = tuple(_describe_result(result) for result in results)
    best = min(results, key=_badness)
    worst = max(results, key=_badness)
    failures = " and ".join(document["scenario"]["failures"][:3])
    if best is worst:
        return Verdict("notice", f"{failures}: {_describe_result(best)}", ())
    text = (
        f"{failures}: {best['recovery']} costs the job {_describe_cost(best)}, "
        f"{worst['recovery']} {_describe_cost(worst)}."
    )
    return Verdict("notice", text, reasons)


def _badness(result: Result) -> tuple[float, float]:
    """Return the median and the worst of what a scheme makes of the job's time."""
    median = central(result["jct_ratio"])
    ratios = [_NEVER if ratio is None else ratio for ratio in result["samples"]["jct_ratio"]]
    return _NEVER if median is None else median, max(ratios, default=_NEVER)


def _describe_cost(result: Result) -> str:
    """Return what the median repetition loses, and the worst one where that is far more."""
    stall = central(result["stall_us"])
    samples = result["samples"]["stall_us"]
    never = sum(sample is None for sample in samples)
    if stall is None:
        return "all of it (it never ends)"
    ratio = central(result["jct_ratio"]) or 1.0
    if stall <= 0:
        cost = "nothing"
    elif ratio < LONGER:
        cost = f"{format_microseconds(stall)} (less than 1 % longer)"
    else:
        cost = f"{format_microseconds(stall)} ({format_times(ratio)} as long)"
    if never:
        return f"{cost}, but all of it in {never:,} of {len(samples):,} repetitions"
    worst = max(samples, default=stall)
    if worst > 2 * max(stall, 0.0) + NOTICEABLE_US:
        return f"{cost}, but {format_microseconds(worst)} in the worst repetition"
    return cost


def _describe_result(result: Result) -> str:
    """Return one scheme in one sentence, the remote role first."""
    parts = []
    for role in ("remote", "local"):
        entry = result["roles"].get(role)
        if entry is None:
            continue
        took_us = central(entry["convergence_us"])
        parts.append(f"{role} {'never' if took_us is None else format_microseconds(took_us)}")
    converged = ", ".join(parts) or "nothing to do"
    return f"{result['recovery']}: convergence {converged}; the job loses {_describe_cost(result)}."


def describe_time_out(document: Document, result: Result) -> str:
    """Return in one sentence what the NIC's time-out makes of a scheme's convergence."""
    converged = central(result["convergence_us"])
    stall = central(result["stall_us"])
    nic = document["scenario"]["nic"]
    time_out = nic["ack_timeout_us"]
    exponent = nic["timeout"]
    setting = f"{format_microseconds(time_out)} (4.096 µs x 2^{exponent})"
    name = result["recovery"]
    if converged is None:
        return (
            f"{name} never finds another path, so a queue pair sends into the dead link at every "
            f"time-out of {setting} until its retries are used up."
        )
    lost = format_microseconds(None if stall is None else max(stall, 0.0))
    found = format_microseconds(converged)
    late, quick = central(result["qps_timeout"]), central(result["qps_rtt"])
    if late is None:
        return (
            f"{name} converges in {found} and the job loses {lost}; what the NIC's time-out of "
            f"{setting} adds is seen at packet level only (--engine packet or hybrid)."
        )
    if not late:
        slow = stall is not None and stall > max(4 * converged, NOTICEABLE_US)
        rest = "; what it loses is the bandwidth of the dead links" if slow else ""
        return (
            f"{name} converges in {found} and the job loses {lost}: no queue pair lost the end of "
            f"a message or window, so none waited for the NIC's time-out of {setting}{rest}."
        )
    affected = late + (quick or 0.0)
    stays = stall is not None and stall > max(4 * converged, time_out / 2)
    lesson = (
        "a shorter time-out would help this job, a faster convergence would not"
        if stays
        else "the time-out is short enough for the convergence to count"
    )
    return (
        f"{name} converges in {found} but the job loses {lost}: {late:,.0f} of {affected:,.0f} "
        f"queue pairs that lost packets had to wait for the NIC's time-out of {setting}; {lesson}."
    )


def list_remarks(document: Document) -> list[str]:
    """Return what a reader must know to judge the numbers, one sentence each."""
    results = document["results"]
    remarks: list[str] = []
    if document["scenario"]["failures"]:
        remarks.extend(describe_time_out(document, result) for result in _most_telling(results))
    if all("local" in result["roles"] for result in results) and len(results) > 1:
        remarks.append(
            "Where a leaf loses its own uplink (local), every other equal path already is the "
            "backup and nobody has to be told; the remote case is the one that tells schemes "
            "apart."
        )
    remarks.extend(document["remarks"])
    for result in results:
        remarks.extend(f"{result['recovery']}: {note}" for note in result["notes"])
    return [remark if remark.endswith(".") else f"{remark}." for remark in remarks]


def _most_telling(results: Sequence[Result]) -> list[Result]:
    """Return the schemes whose time-outs are worth a sentence, in their order, few of each kind.

    They are those of DPFR, or the first where there are none, and those that left queue pairs
    waiting for their time-out although they found another path.
    """
    named = [result for result in results if str(result["recovery"]).startswith("dpfr")]
    told = (named or list(results))[:REMARKS_LIMIT]
    waited = [
        result
        for result in results
        if central(result["convergence_us"]) is not None and central(result["qps_timeout"])
    ][:REMARKS_LIMIT]
    return [result for result in results if result in told or result in waited]


def list_totals(document: Document) -> list[Total]:
    """Return the experiment in figures."""
    fabric, workload, scenario = (document[key] for key in ("fabric", "workload", "scenario"))
    base = central(workload["baseline_us"])
    jobs = workload["jobs"]
    first = jobs[0] if jobs else None
    what = f"{first['operation']} {first['algorithm']}".strip() if first else UNKNOWN
    more = f", and {len(jobs) - 1:,} more" if len(jobs) > 1 else ""
    return [
        Total("Endpoints", format_count(fabric["endpoints"]), fabric["name"]),
        Total("Switches", format_count(fabric["switches"]), f"{fabric['links']:,} links"),
        Total(
            "Message", format_bytes(first["message_bytes"] if first else None),
            f"{what}, {first['ranks'] if first else 0:,} ranks{more}",
        ),
        Total("Without failure", format_microseconds(base), "job completion time, median"),
        Total(
            "Bus bandwidth", f"{workload['busbw_gbps']:,.4g} Gb/s" if workload["busbw_gbps"]
            else UNKNOWN, "before the failure",
        ),
        Total("Repetitions", format_count(scenario["repetitions"]), f"seed {scenario['seed']}"),
        Total("Engine", str(scenario["engine_used"]), f"{document['elapsed_s']:.3g} s"),
    ]  # fmt: skip


def result_rows(document: Document) -> list[dict[str, Any]]:
    """Return a row for each scheme and role, for the table of convergence."""
    rows = []
    for result in document["results"]:
        for role in ("remote", "local"):
            entry = result["roles"].get(role)
            if entry is not None:
                rows.append({"recovery": result["recovery"], "role": role, **entry})
    return rows


def format_interval(value: Any) -> str:
    """Return the confidence interval of a duration in microseconds."""
    interval = spread(value)
    if interval is None:
        return UNKNOWN
    return " .. ".join(format_duration(end / 1e6) for end in interval)


def timeline_marks(result: Result) -> Sequence[tuple[str, float]]:
    """Return what happened when, in microseconds since the failure, in order of time."""
    role = worst_role(result)
    marks: list[tuple[str, float]] = []
    breakdown = result["roles"][role]["breakdown_us"] if role else None
    if breakdown:
        reached = 0.0
        for stage in STAGES:
            part = central(breakdown[stage]) or 0.0
            reached += part
            if part > 0:
                marks.append((stage, reached))
    for name, key in (("loss ends", "loss_duration_us"), ("transport", "resumed_us")):
        value = central(result.get(key))
        if value:
            marks.append((name, value))
    return sorted(marks, key=lambda mark: mark[1])
