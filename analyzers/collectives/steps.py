"""A job as a whole: its steps, what they cost, and how it is parallelised."""

from itertools import pairwise
from typing import Any, Final

import numpy as np

from fabricscope.analyzers.collectives.evidence import transport_text
from fabricscope.analyzers.collectives.inputs import checkpoints_of, reads_of
from fabricscope.analyzers.collectives.jobs import Events, Traffic
from fabricscope.analyzers.collectives.operations import Collective
from fabricscope.analyzers.collectives.overlap import overlap_of

MAX_CYCLE: Final = 64
MIN_REPEATED: Final = 0.9
"""Part of a sequence that must repeat with a period for it to be the job's step."""


def step_spans(collectives: list[Collective]) -> list[tuple[int, int, float]]:
    """Return start, end and bytes of each step: the shortest sequence of operations that repeats.

    What runs once at the beginning, such as the broadcast of a model, is left out.
    """
    marked = sorted(
        (segment.start_ns, segment.end_ns, number)
        for number, collective in enumerate(collectives)
        if collective.operation != "barrier"
        for segment in collective.segments
    )
    if not marked:
        return []
    repeated = {number for number, c in enumerate(collectives) if len(c.segments) > 1}
    if repeated:
        marked = [item for item in marked if item[2] in repeated]
    labels = [item[2] for item in marked]
    period = _period(labels)
    spans = []
    for at in range(0, len(marked) - period + 1, period):
        part = marked[at : at + period]
        size = sum(collectives[number].size_bytes for _, _, number in part)
        spans.append((part[0][0], max(end for _, end, _ in part), size))
    return spans


def _period(labels: list[int]) -> int:
    """Return after how many operations the sequence repeats, its whole length if never."""
    for period in range(1, min(MAX_CYCLE, len(labels) // 2) + 1):
        same = sum(a == b for a, b in zip(labels, labels[period:], strict=False))
        if same >= MIN_REPEATED * (len(labels) - period):
            return period
    return len(labels)


def parallelism_of(collectives: list[Collective]) -> list[str]:
    """Return which kinds of parallel training the repeated operations speak for."""
    operations = {c.operation for c in collectives if c.operation != "barrier"}
    found = []
    if "allreduce" in operations:
        found.append("data")
    if operations & {"allgather", "reducescatter"} and "allreduce" not in operations:
        found.append("sharded data")
    if "p2p" in operations:
        found.append("pipeline")
    if "alltoall" in operations:
        found.append("expert")
    return found


def quantiles(values: list[float]) -> dict[str, float | int] | None:
    """Return {p50, p99, max, count}, None of nothing."""
    if not values:
        return None
    return {
        "p50": round(float(np.percentile(values, 50)), 6),
        "p99": round(float(np.percentile(values, 99)), 6),
        "max": round(float(max(values)), 6),
        "count": len(values),
    }


def job_entry(
    events: Events,
    collectives: list[Collective],
    stragglers: list[dict[str, Any] | None],
    traffic: Traffic,
    transport: dict[str, Any],
    rtt_ns: float,
) -> dict[str, Any]:
    """Return the JSON object of a job; rtt_ns: the round trip where known, else 0."""
    spans = step_spans(collectives)
    starts = [span[0] for span in spans]
    lengths = [(later - earlier) / 1e6 for earlier, later in pairwise(starts)]
    middle = float(np.median(lengths)) if lengths else 0.0
    overlap = overlap_of(events, collectives, [(a, b) for a, b, _ in spans], rtt_ns)
    share = _share(collectives, spans)
    if overlap is not None and overlap["overlappable_share"] is not None:
        # Between the buckets of one operation nobody sends.
        busy, quiet = overlap["communication_ms"], overlap["quiet_ms"]
        share = round(busy / max(busy + quiet, 1e-9), 4)
    main = max(collectives, key=lambda c: len(c.segments) * c.size_bytes)
    return {
        "ranks": [events.ranks[rank] for rank in main.order],
        "transport": "rdma" if events.rdma else "tcp",
        "steps": len(spans),
        "step_ms": quantiles(lengths),
        "step_jitter_ms": round(float(np.std(lengths)), 4) if lengths else None,
        "step_bytes": round(float(np.median([span[2] for span in spans]))) if spans else 0,
        "communication_share": share,
        "overlap": overlap,
        "parallelism": parallelism_of(collectives),
        "checkpoints": checkpoints_of(traffic, events, [(a, b) for a, b, _ in spans]),
        "dataset_reads": reads_of(traffic, events),
        "diagnosis": diagnosis_text(collectives, stragglers, middle) or transport_text(transport),
        "transport_evidence": transport,
        "mirror_lost": round(events.lost, 6),
    }


def _share(collectives: list[Collective], spans: list[tuple[int, int, float]]) -> float | None:
    """Return which part of the time of the steps some operation was under way."""
    if not spans:
        return None
    begin, end = spans[0][0], max(span[1] for span in spans)
    covered, until = 0, begin
    for start, stop in sorted((s.start_ns, s.end_ns) for c in collectives for s in c.segments):
        low, high = max(start, until), min(stop, end)
        if high > low:
            covered += high - low
            until = high
    return round(covered / max(end - begin, 1), 4)


def diagnosis_text(
    collectives: list[Collective], stragglers: list[dict[str, Any] | None], step_ms: float
) -> str | None:
    """Return in one sentence what holds the job back most, None for nothing."""
    found = [
        (len(c.segments) * c.size_bytes, c, s)
        for c, s in zip(collectives, stragglers, strict=True)
        if s is not None
    ]
    if not found:
        return None
    _, collective, worst = max(found, key=lambda item: item[0])
    if worst["kind"] == "compute":
        part = f", {100 * worst['late_ms'] / step_ms:.0f} % of a step" if step_ms else ""
        return (
            f"{worst['ip']} starts {worst['late_ms']:.3g} ms after the others{part}: "
            f"all ranks wait for it in every {collective.operation}."
        )
    return (
        f"The {worst['direction']}link of {worst['ip']} carries {worst['rate_gbps']:.3g} Gb/s, "
        f"the others {worst['evidence']['others_gbps']:.3g}: it sets the pace of the "
        f"{collective.operation}."
    )
