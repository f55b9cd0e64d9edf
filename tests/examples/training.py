"""Documents with training jobs: a ring with a late rank, one with a slow link, a tree, hostile."""

import copy
import random
from typing import Any

from examples.analysis import HOSTILE, ring_document
from examples.rows import RANKS, START_NS, address

ITERATIONS = 20
PERIOD_NS = 118_000_000
STEP_BYTES = 52_428_800


def training_document(kind: str | None = "compute") -> dict[str, Any]:
    """Return 8 ranks that train for 20 steps; `kind` is what the straggler suffers from."""
    document = ring_document()
    document["collectives"] = [_allreduce(kind), _allgather(), _barrier()]
    document["jobs"] = [_job(kind)]
    document["findings"].insert(0, _contradiction())
    document["alerts"] = [_alert()]
    document["flows"][-1]["tags"] = ["review"]
    return document


def tree_document() -> dict[str, Any]:
    """Return an AllReduce over a tree whose hub is the third rank, without a straggler."""
    document = training_document(None)
    ranks = [address(rank) for rank in range(4)]
    hub = ranks[2]
    entry = _allreduce(None)
    entry.update(algorithm="tree", ranks=ranks, rank_spans=None)
    document["collectives"] = [entry]
    document["jobs"] = [{"ranks": ranks}]
    hosts = document["traffic_matrix"]["hosts"]
    volumes = [[0] * len(hosts) for _ in hosts]
    for rank in ranks:
        if rank != hub:
            volumes[hosts.index(rank)][hosts.index(hub)] = 2_000_000
            volumes[hosts.index(hub)][hosts.index(rank)] = 2_000_000
    volumes[hosts.index(ranks[0])][hosts.index(ranks[1])] = 900  # a start-up handshake
    document["traffic_matrix"]["bytes"] = volumes
    return document


def hostile_training_document() -> dict[str, Any]:
    """Return the late rank's document with `HOSTILE` in every text of jobs and collectives."""
    document = copy.deepcopy(training_document())
    for job in document["jobs"]:
        job["ranks"][2] = HOSTILE
        job.update(diagnosis=HOSTILE, parallelism=[HOSTILE])
        for checkpoint in job["checkpoints"]:
            checkpoint.update(rank=HOSTILE, storage=HOSTILE)
    for collective in document["collectives"]:
        collective["ranks"][2] = HOSTILE
        collective.update(operation=HOSTILE)
        if collective.get("straggler"):
            collective["straggler"].update(ip=HOSTILE, direction=HOSTILE, evidence=HOSTILE)
    for flow in document["flows"]:
        flow.update(application=HOSTILE, behaviour=HOSTILE, detail={HOSTILE: HOSTILE})
    for connection in document["connections"]:
        connection.update(initiator=HOSTILE, reason=HOSTILE)
    for alert in document["alerts"]:
        keys = ("rule", "severity", "subject", "description")
        alert.update(dict.fromkeys(keys, HOSTILE), tags=[HOSTILE], values={HOSTILE: HOSTILE})
    for neighbour in document["neighbours"]:
        neighbour.update(dict.fromkeys(neighbour, HOSTILE), pfc_priorities=[HOSTILE])
        neighbour.update(port_vlan=7, ttl_s=120)
    return document


def _straggler(kind: str | None) -> dict[str, Any] | None:
    if kind == "compute":
        return {
            "kind": "compute",
            "rank": 2,
            "ip": address(2),
            "direction": None,
            "late_ms": 80.2,
            "rate_gbps": None,
            "evidence": {"late_iterations": 20, "iterations": 20},
        }
    if kind == "link":
        return {
            "kind": "link",
            "rank": 1,
            "ip": address(1),
            "direction": "up",
            "late_ms": None,
            "rate_gbps": 0.4,
            "evidence": {"others_gbps": 21.3, "ratio": 0.019},
        }
    return None


def _allreduce(kind: str | None) -> dict[str, Any]:
    chance = random.Random(3)
    spans, by_rank = [], {address(rank): [] for rank in range(RANKS)}
    for step in range(ITERATIONS):
        start = START_NS + step * PERIOD_NS + chance.randrange(2_000_000)
        late = 80_200_000 if kind == "compute" else 0
        end = start + late + 16_000_000 + chance.randrange(1_500_000)
        spans.append([start, end])
        for rank, own in enumerate(by_rank.values()):
            own.append([start + (late if rank == 2 else chance.randrange(400_000)), end])
    return {
        "operation": "allreduce",
        "algorithm": "ring",
        "ranks": [address(rank) for rank in range(RANKS)],
        "message_bytes": STEP_BYTES,
        "iterations": ITERATIONS,
        "duration_ms": {"p50": 16.7, "p99": 17.4, "max": 17.5, "count": ITERATIONS},
        "algbw_gbps": 25.1,
        "busbw_gbps": 43.9,
        "iteration_spans": spans,
        "rank_spans": by_rank,
        "straggler": _straggler(kind),
        "confidence": 0.97,
    }


def _allgather() -> dict[str, Any]:
    starts = [START_NS + step * PERIOD_NS + 105_000_000 for step in range(ITERATIONS)]
    ranks = [address(rank) for rank in range(RANKS)]
    return {
        "operation": "allgather",
        "algorithm": "ring",
        "ranks": ranks,
        "message_bytes": 8_388_608,
        "iterations": ITERATIONS,
        "duration_ms": {"p50": 2.0, "p99": 2.0, "max": 2.0, "count": ITERATIONS},
        "algbw_gbps": 33.5,
        "busbw_gbps": 29.3,
        "iteration_spans": [[start, start + 2_000_000] for start in starts],
        "rank_spans": {rank: [[start, start + 2_000_000] for start in starts] for rank in ranks},
        "straggler": None,
        "confidence": 0.91,
    }


def _barrier() -> dict[str, Any]:
    """Return what of a collective is always there, and nothing else."""
    return {
        "operation": "barrier",
        "algorithm": "unknown",
        "ranks": [address(rank) for rank in range(RANKS)],
        "message_bytes": None,
        "iterations": 1,
        "duration_ms": None,
        "algbw_gbps": None,
        "busbw_gbps": None,
        "iteration_spans": [],
        "straggler": None,
        "confidence": 0.6,
    }


def _job(kind: str | None) -> dict[str, Any]:
    return {
        "ranks": [address(rank) for rank in range(RANKS)],
        "steps": ITERATIONS,
        "step_ms": {"p50": 118.0, "p99": 121.0, "max": 122.0, "count": ITERATIONS},
        "step_bytes": STEP_BYTES,
        "communication_share": 0.81 if kind == "compute" else 0.14,
        "parallelism": ["data"],
        "step_jitter_ms": 2.36,
        "checkpoints": [_checkpoint(9, 20.3), _checkpoint(19, None)],
        "dataset_reads": {"reads": 160, "bytes": 41_943_040, "ms_p50": 4.1, "ms_max": 12.0},
        "mirror_lost": 0.001,
        "diagnosis": None,
    }


def _checkpoint(step: int, cost_ms: float | None) -> dict[str, Any]:
    start_ns = START_NS + step * PERIOD_NS + 90_000_000
    return {
        "rank": address(0),
        "storage": "10.77.9.9",
        "start_ns": start_ns,
        "end_ns": start_ns + 20_000_000,
        "duration_ms": 20.0,
        "bytes": 5_294_805,
        "cost_ms": cost_ms,
    }


def _alert() -> dict[str, Any]:
    return {
        "rule": "storage-encrypted",
        "severity": "notice",
        "table": "flows",
        "subject": "fd00:77::11 -> fd00:77::99",
        "description": "Storage traffic that is not in the clear",
        "time_ns": START_NS,
        "tags": ["review"],
        "values": {"application": "tls", "bytes": 645_840_000},
        "destinations": ["json"],
        "export": "",
    }


def _contradiction() -> dict[str, Any]:
    return {
        "severity": "warning",
        "kind": "behaviour_contradicts_application",
        "subject": "fd00:77::11 -> fd00:77::99",
        "text": "fd00:77::11 -> fd00:77::99 is tls by its payload and a scan by its behaviour.",
        "action": "Look at the flow's packets.",
        "evidence": {"application": "tls", "behaviour": "interactive"},
        "packets": [17],
        "filter": "frame.number == 17",
        "capture": "leaf1-mirror.pcapng",
    }
