"""From transfers to jobs: the order of the steps, read top to bottom."""

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.diagnosis import diagnose
from fabricscope.analyzers.collectives.division import divide
from fabricscope.analyzers.collectives.evidence import (
    slowed_senders,
    straggler_finding,
    stuck_finding,
    transport_of,
)
from fabricscope.analyzers.collectives.incast import incast_findings
from fabricscope.analyzers.collectives.jobs import Events, round_trip_ns, sort_out
from fabricscope.analyzers.collectives.operations import Collective, identify
from fabricscope.analyzers.collectives.results import CollectiveResult
from fabricscope.analyzers.collectives.segments import Segment, cluster, cut
from fabricscope.analyzers.collectives.sharing import split_by_volume
from fabricscope.analyzers.collectives.spans import RankSpans, count_listed, list_rank_spans
from fabricscope.analyzers.collectives.steps import job_entry, quantiles
from fabricscope.analyzers.rdma.table import QueuePairs

MIN_EXPLAINED: Final = 0.5
"""A group of which less fits collectives is no job."""

NO_PAUSES: Final = np.zeros(0, np.int64)

MAX_LOST: Final = 0.15
"""From this loss on nothing is said: see docs/accuracy.md for what is right at which loss."""

MIN_TCP_EDGE_BYTES: Final = 4_096
MIN_TCP_ITERATIONS: Final = 3


def recognise(
    channels: NDArray[np.void],
    transfers: NDArray[np.void],
    counters: dict[str, int],
    queue_pairs: QueuePairs,
    end_ns: int,
    captures: Sequence[str] = (),
    pauses_ns: NDArray[np.int64] = NO_PAUSES,
) -> CollectiveResult:
    """Return the jobs and collectives in transfers (TRANSFER_DTYPE) on channels (CHANNEL_DTYPE).

    end_ns: the end of the capture, for operations that never ended; captures: the name of each
    tap's capture, for frames; pauses_ns: when pause frames were seen, ascending.
    """
    result = CollectiveResult(counters=counters)
    if transfers.size == 0:
        return result
    qps = queue_pairs.queue_pairs
    result.findings.extend(incast_findings(channels, transfers, queue_pairs, captures))
    traffic = sort_out(channels, transfers, qps, counters["compactions"] > 0)
    ordered: list[tuple[int, dict[str, Any]]] = []
    groups = deque((events, False) for events in traffic.groups)
    while groups:
        events, split = groups.popleft()
        if events.lost > MAX_LOST:
            result.refused.append(
                f"Traffic among {len(events.ranks)} hosts from {events.ranks[0]} on is not judged: "
                f"the mirror lost {100 * events.lost:.0f} % of its packets, more than "
                f"{100 * MAX_LOST:.0f} %; capture it whole."
            )
            continue
        rtt_ns = round_trip_ns(channels[np.unique(events.channel)], qps)[1]
        segments = divide(events, rtt_ns) or cut(events, rtt_ns)
        collectives = _collectives(events, segments)
        if not collectives or not _is_job(events, collectives):
            if not split:
                parts = split_by_volume(events, channels, qps)
                groups.extendleft((part, True) for part in reversed(parts))
            continue
        transport = transport_of(events, channels, qps)
        slowed = slowed_senders(events, channels, qps)
        stragglers = [diagnose(events, collective, slowed, pauses_ns) for collective in collectives]
        number = len(result.jobs)
        result.jobs.append(job_entry(events, collectives, stragglers, traffic, transport, rtt_ns))
        result.findings.extend(
            straggler_finding(collective, straggler)
            for collective, straggler in zip(collectives, stragglers, strict=True)
            if straggler is not None
        )
        stuck = stuck_finding(events, collectives, end_ns)
        if stuck is not None:
            result.findings.append(stuck)
        spans = list_rank_spans(events, collectives)
        for collective, straggler, own in zip(collectives, stragglers, spans, strict=True):
            first = collective.segments[0].start_ns
            ordered.append((first, entry(events, collective, straggler, number, own)))
    result.collectives.extend(item for _, item in sorted(ordered, key=lambda pair: pair[0]))
    return result


def _collectives(events: Events, segments: list[Segment]) -> list[Collective]:
    found = []
    for group in cluster(segments, events.slack_bytes):
        collective = identify(events, group)
        if collective is not None:
            found.append(collective)
    return found


def _is_job(events: Events, collectives: list[Collective]) -> bool:
    """Tell a job from clients and servers: most bytes fit, and more than a star's."""
    total = float(events.matrix(0, len(events.kind)).sum())
    # The same connections may carry other things before and after.
    explained = sum(float(s.matrix.sum()) for c in collectives for s in c.segments)
    if explained < MIN_EXPLAINED * total:
        return False
    strong = [c for c in collectives if c.operation != "barrier" and not _is_star(c, events)]
    if not strong:
        return False
    if events.rdma:
        return True
    # Over TCP anybody may talk to anybody: only what no client and server do makes a job.
    if any(_is_core(c) for c in strong):
        return True
    meshed = len(events.ranks) >= 3 and bool(_connected(events).all())
    return meshed and any(len(c.segments) >= 2 for c in strong)


def _is_core(collective: Collective) -> bool:
    """Tell what no client and server do: a closed exchange of three or more, or one repeated."""
    if collective.operation not in ("allreduce", "alltoall", "allgather", "reduce"):
        return False
    size = float(collective.segments[0].matrix.max())
    if collective.algorithm == "tree" or size < MIN_TCP_EDGE_BYTES:
        return False
    closed = collective.ranks >= 3 and not collective.partial
    return closed or len(collective.segments) >= MIN_TCP_ITERATIONS


def _connected(events: Events) -> NDArray[np.bool_]:
    """Return which pairs of hosts have a connection, (n, n), the diagonal set."""
    count = len(events.ranks)
    pairs = np.eye(count, dtype=bool)
    pairs[events.src, events.dst] = True
    return pairs | pairs.T


def _is_star(collective: Collective, events: Events) -> bool:
    """Tell whether all bytes go from or to one host, as between a server and its clients."""
    matrix = collective.segments[0].matrix
    if collective.operation not in ("broadcast", "reduce") or len(collective.order) < 3:
        return len(collective.order) < 2
    used = matrix > 0
    count = len(collective.order)
    return bool(used.sum(axis=1).max() == count - 1 or used.sum(axis=0).max() == count - 1)


def entry(
    events: Events,
    collective: Collective,
    straggler: dict[str, Any] | None,
    job: int,
    rank_spans: RankSpans | None,
) -> dict[str, Any]:
    """Return the JSON object of a collective."""
    spans = [[s.start_ns, s.end_ns] for s in collective.segments]
    lengths = np.array([max(end - start, 1) for start, end in spans], np.float64)
    middle = float(np.median(lengths))
    algbw = collective.size_bytes * 8 / middle
    return {
        "job": job,
        "operation": collective.operation,
        "algorithm": collective.algorithm,
        "ranks": [events.ranks[k] for k in collective.order],
        "rank_count": collective.ranks,
        "partial_view": collective.partial,
        "hub": events.ranks[collective.hub] if collective.hub >= 0 else None,
        "message_bytes": round(collective.size_bytes),
        "iterations": len(spans),
        "duration_ms": quantiles((lengths / 1e6).tolist()),
        "algbw_gbps": round(algbw, 4),
        "busbw_gbps": round(algbw * collective.bus_factor(), 4),
        "iteration_spans": spans,
        "rank_spans": rank_spans,
        "rank_spans_left_out": len(spans) - count_listed(rank_spans),
        "straggler": straggler,
        "confidence": round(collective.confidence * (1.0 - events.lost), 2),
        "alternatives": collective.alternatives,
    }
