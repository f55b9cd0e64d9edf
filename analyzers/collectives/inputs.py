"""What ranks read and write beside their collectives: data set reads and checkpoints.

Connections that ranks open for one transfer each are not the job's own; what a rank fetches on
one is data, what it sends away is a checkpoint.
"""

from itertools import pairwise
from typing import Any, Final

import numpy as np

from fabricscope.analyzers.collectives.jobs import Events, Traffic
from fabricscope.analyzers.collectives.layout import KIND_CONTROL

MIN_READ_BYTES: Final = 65_536
"""Less than this is a request, a scrape or a log line."""


def _bulk(traffic: Traffic, events: Events, outgoing: bool) -> list[dict[str, Any]]:
    """Return the transfers of connections between a rank and a host that is none."""
    ranks = set(events.ranks)
    data = np.flatnonzero(traffic.io["kind"] < KIND_CONTROL)
    found: dict[int, dict[str, Any]] = {}
    for row in data.tolist():
        rank, other = traffic.io_src[row], traffic.io_dst[row]
        if not outgoing:
            rank, other = other, rank
        if rank not in ranks or other in ranks:
            continue
        transfer = traffic.io[row]
        entry = found.setdefault(
            int(transfer["channel"]),
            {"rank": rank, "storage": other, "start_ns": 0, "end_ns": 0, "bytes": 0},
        )
        start, end = int(transfer["start_ns"]), int(transfer["end_ns"])
        entry["start_ns"] = min(entry["start_ns"] or start, start)
        entry["end_ns"] = max(entry["end_ns"], end)
        entry["bytes"] += int(transfer["bytes"])
    bulk = [entry for entry in found.values() if entry["bytes"] >= MIN_READ_BYTES]
    return sorted(bulk, key=lambda entry: int(entry["start_ns"]))


def checkpoints_of(
    traffic: Traffic, events: Events, spans: list[tuple[int, int]]
) -> list[dict[str, Any]]:
    """Return what ranks wrote to other hosts, each with what it cost the job.

    spans: start and end of each step's collectives; the cost is by how much the pause between two
    steps is longer than usual, and behind the last step what the writing itself takes.
    """
    written = _bulk(traffic, events, outgoing=True)
    pauses = np.array([later[0] - earlier[1] for earlier, later in pairwise(spans)])
    usual = float(np.median(pauses)) if pauses.size else 0.0
    for entry in written:
        entry["duration_ms"] = round((entry["end_ns"] - entry["start_ns"]) / 1e6, 4)
        entry["cost_ms"] = None
        for place, pause in enumerate(pauses.tolist()):
            if entry["start_ns"] < spans[place + 1][0] and entry["end_ns"] > spans[place][1]:
                entry["cost_ms"] = round(max(pause - usual, 0.0) / 1e6, 4)
        if spans and entry["end_ns"] > spans[-1][1]:
            begin = max(entry["start_ns"], spans[-1][1])
            entry["cost_ms"] = round((entry["end_ns"] - begin) / 1e6, 4)
    return written


def reads_of(traffic: Traffic, events: Events) -> dict[str, Any] | None:
    """Return how often and how long ranks read data, None if they did not."""
    reads = _bulk(traffic, events, outgoing=False)
    if not reads:
        return None
    lengths = np.array([entry["end_ns"] - entry["start_ns"] for entry in reads], np.float64) / 1e6
    return {
        "reads": len(reads),
        "bytes": sum(int(entry["bytes"]) for entry in reads),
        "bytes_p50": int(np.median([entry["bytes"] for entry in reads])),
        "ms_p50": round(float(np.median(lengths)), 4),
        "ms_max": round(float(lengths.max()), 4),
        "storage": sorted({str(entry["storage"]) for entry in reads}),
    }
