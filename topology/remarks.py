"""What a reader must know about an experiment beyond its numbers, one sentence each."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from fabricscope.topology.engines import draw, flow_options
from fabricscope.topology.experiment import Experiment
from fabricscope.topology.flow_level.engine import run_flows
from fabricscope.topology.flow_level.ring_engine import run_rings
from fabricscope.topology.routing.balancing import assign_hashes, pair_ends
from fabricscope.topology.routing.routes import RouteState, find_paths

__all__ = ["list_remarks"]

NOTABLE: Final = 1.2
"""The baseline is called unbalanced from so many times the evenly spread one on."""
MOST_TRANSFERS: Final = 1_000_000


def list_remarks(experiment: Experiment, document: dict[str, Any]) -> list[str]:
    """Return sentences on balance, on what never ended, and on the engine's assumptions."""
    remarks = [*_on_balance(experiment, document), *_on_ends(document)]
    engine = document["scenario"]["engine_used"]
    if engine == "flow":
        remarks.append(
            "The flow level shares rates at once and without queues; losses are rate times "
            "outage, and a queue pair's window and time-out are followed, not its packets."
        )
    if document["scenario"]["nic"]["timeout"] == 20:
        remarks.append(
            "The NIC's time-out is NCCL's default, 4.096 µs x 2^20 = 4.29 s; set nic.timeout to "
            "your own (NCCL_IB_TIMEOUT)."
        )
    return remarks


def _on_balance(experiment: Experiment, document: dict[str, Any]) -> list[str]:
    """Name the imbalance of hashes where it makes the job slower than even spreading would."""
    balancing = experiment.scenario.balancing
    transfers = experiment.transfers
    base_us = document["workload"]["baseline_us"]
    base_us = base_us["p50"] if isinstance(base_us, dict) else base_us
    if balancing.kind in ("spray", "pinned") or len(transfers.source) > MOST_TRANSFERS:
        return []
    if not base_us:
        return []
    chance = draw(experiment, 0)
    even = replace(chance.balancing, kind="spray", queue_pairs=1)
    options = flow_options(experiment.scenario.nic)
    where = (experiment.fabric, experiment.routes, even)
    if experiment.rings:
        ideal = run_rings(*where, experiment.rings, options=options)
    else:
        ideal = run_flows(*where, transfers, options=options)
    ideal_us = experiment.completion_ns(ideal.iterations) / 1e3
    if not base_us > NOTABLE * ideal_us:
        return []
    sources, destinations = experiment.rings.ends if experiment.rings else pair_ends(transfers)
    hashes = assign_hashes(
        experiment.fabric, experiment.routes, chance.balancing, sources, destinations
    )
    paths = find_paths(
        experiment.routes, RouteState.initial(experiment.routes),
        chance.balancing.seeds(experiment.fabric), sources, destinations, hashes,
    )  # fmt: skip
    flows = np.bincount(paths[paths >= 0], minlength=len(experiment.fabric.channels.rate))
    busiest = int(experiment.up_channels[np.argmax(flows[experiment.up_channels])])
    channels = experiment.fabric.channels
    ends = (channels.source[busiest], channels.target[busiest])
    names = " to ".join(experiment.fabric.devices[device].name for device in ends)
    return [
        f"Hash collisions: {flows[busiest]:,} queue pairs share the uplink {names}, so the job "
        f"takes {base_us / ideal_us:.3g} times as long without any failure as with evenly spread "
        "packets (balancing spray); more queue pairs (qp-scaling), spraying or pinned paths "
        "lessen it."
    ]


def _on_ends(document: dict[str, Any]) -> list[str]:
    """Say which schemes leave transfers that never arrive."""
    remarks = []
    for result in document["results"]:
        for reason, count in result["stalled"].items():
            remarks.append(f"{result['recovery']}: {_count(count)} never arrived: {reason}.")
    for reason, count in document["workload"]["stalled"].items():
        remarks.append(f"Without any failure {_count(count)} never arrived: {reason}.")
    return remarks


def _count(transfers: int) -> str:
    return f"{transfers:,} transfer{'' if transfers == 1 else 's'}"
