"""A workload in words, `allreduce:ring:1GiB`, and what it becomes on a fabric's endpoints."""

import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.quantities import parse_share, parse_size_bytes, parse_time_ns
from fabricscope.topology.workloads import collectives, trees
from fabricscope.topology.workloads.background import make_background
from fabricscope.topology.workloads.graph import Piece, place, repeat
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["ALGORITHMS", "Workload", "build_transfers", "order_endpoints", "parse_workload"]

ALGORITHMS: Final = {
    "allreduce": ("ring", "tree", "halving_doubling", "direct", "hierarchical"),
    "allgather": ("ring",),
    "reducescatter": ("ring",),
    "alltoall": ("direct",),
    "p2p": ("pipeline",),
    "permutation": ("random",),
    "incast": ("direct",),
    "background": ("poisson",),
}
"""Operations and the algorithms that each one may have; the first is the default."""

ORDERS: Final = ("linear", "rail", "random")

LIKE: Final = "write one such as allreduce:ring:1GiB or alltoall:64MiB:iterations=3"


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of job: what its ranks send, how often, and where the ranks sit.

    size_bytes: a rank's buffer, as in `collectives`. jobs: how many such jobs run side by side;
    ranks: of each job, 0 for all that the fabric has, shared equally. order: `linear` as the
    endpoints are numbered, `rail` one of each leaf in turn, so that neighbours are never on one
    leaf, `random`. compute_ns: of each rank before each iteration, of a pipeline's stages before
    each micro-batch is passed on. batches: micro-batches of a pipeline. load, duration_ns: share
    of the ranks' rate that a background fills, and for how long.
    """

    operation: str
    algorithm: str
    size_bytes: int
    iterations: int = 1
    jobs: int = 1
    ranks: int = 0
    order: str = "linear"
    compute_ns: float = 0.0
    batches: int = 8
    seed: int = 0
    load: float = 0.0
    duration_ns: float = 0.0

    @property
    def name(self) -> str:
        """Return the operation and algorithm, which is what `Transfers.operation` counts."""
        return f"{self.operation}:{self.algorithm}"


def parse_workload(spec: str) -> Workload:
    """Return the workload that `OPERATION[:ALGORITHM]:SIZE[:KEY=VALUE]...` says.

    Keys: iterations, jobs, ranks, order, compute (a time), batches, seed, load (a share) and
    duration (a time).
    Raises FabricError that names the part.
    """
    words = spec.strip().split(":")
    operation = words.pop(0).replace("-", "_")
    if operation not in ALGORITHMS:
        raise FabricError(
            f"workload {spec!r}: {operation!r} is none of {', '.join(ALGORITHMS)}; {LIKE}"
        )
    algorithm = ALGORITHMS[operation][0]
    if words and re.match(r"[A-Za-z]", words[0]) and "=" not in words[0]:
        algorithm = words.pop(0).replace("-", "_")
    if algorithm not in ALGORITHMS[operation]:
        known = ", ".join(ALGORITHMS[operation])
        raise FabricError(f"workload {spec!r}: {operation} knows {known}, not {algorithm!r}")
    if not words or "=" in words[0]:
        raise FabricError(f"workload {spec!r} says no size; {LIKE}")
    workload = Workload(operation, algorithm, parse_size_bytes(words.pop(0)))
    for word in words:
        workload = _set(workload, word, spec)
    return workload


def _set(workload: Workload, word: str, spec: str) -> Workload:
    key, _, value = word.partition("=")
    if key == "order" and value in ORDERS:
        return replace(workload, order=value)
    if key == "compute":
        return replace(workload, compute_ns=parse_time_ns(value))
    if key == "duration":
        return replace(workload, duration_ns=parse_time_ns(value))
    if key == "load":
        return replace(workload, load=parse_share(value))
    least = {"iterations": 1, "jobs": 1, "ranks": 2, "batches": 1, "seed": 0}
    if key in least and re.fullmatch(r"\d{1,9}", value) and int(value) >= least[key]:
        return replace(workload, **{key: int(value)})  # type: ignore[arg-type]
    raise FabricError(
        f"workload {spec!r}: {word!r} is not understood; keys are iterations, jobs, ranks, order "
        f"({', '.join(ORDERS)}), compute (a time), batches, seed, load (a share) "
        "and duration (a time)"
    )


def order_endpoints(fabric: Fabric, order: str, seed: int = 0) -> NDArray[np.int32]:
    """Return the endpoints' numbers in the order in which ranks are given to them.

    Raises FabricError for an unknown order.
    """
    endpoints = fabric.endpoints
    if order == "linear":
        return endpoints
    if order == "random":
        return np.random.default_rng(seed).permutation(endpoints)
    if order != "rail":
        raise FabricError(f"order {order!r} is none of {', '.join(ORDERS)}; take one of them")
    channels = fabric.channels
    leaf = np.full(len(fabric.devices), -1, np.int64)
    kinds = np.array([d.tier for d in fabric.devices])
    up = np.flatnonzero(kinds[channels.target] == 1)[::-1]
    leaf[channels.source[up]] = channels.target[up]
    leaves = leaf[endpoints]
    by_leaf = np.argsort(leaves, kind="stable")
    ordered = leaves[by_leaf]
    begin = np.searchsorted(ordered, ordered)
    turn = np.empty(len(endpoints), np.int64)
    turn[by_leaf] = np.arange(len(endpoints)) - begin
    return endpoints[np.lexsort((leaves, turn))]


def job_ranks(fabric: Fabric, workload: Workload) -> list[NDArray[np.int32]]:
    """Return the endpoints of each job's ranks. Raises FabricError if there are too few."""
    order = order_endpoints(fabric, workload.order, workload.seed)
    ranks = workload.ranks or len(order) // workload.jobs
    if ranks < 2 or ranks * workload.jobs > len(order):
        raise FabricError(
            f"workload {workload.name}: {workload.jobs} jobs of {max(ranks, 2)} ranks need "
            f"{max(ranks, 2) * workload.jobs} endpoints, {fabric.name} has {len(order)}; take fewer"
        )
    return [order[job * ranks : (job + 1) * ranks] for job in range(workload.jobs)]


def build_transfers(fabric: Fabric, *workloads: Workload) -> tuple[Transfers, tuple[str, ...]]:
    """Return the transfers of all jobs of all workloads at once, and the operations' names.

    Jobs are numbered through, in order. Raises FabricError.
    """
    names = tuple(dict.fromkeys(workload.name for workload in workloads))
    jobs = []
    operations = []
    for workload in workloads:
        for number, endpoints in enumerate(job_ranks(fabric, workload)):
            piece = _piece(fabric, workload, endpoints, number)
            compute_ns = 0.0 if workload.operation == "p2p" else workload.compute_ns
            whole, iteration = repeat(piece, workload.iterations, compute_ns)
            jobs.append((whole, iteration, endpoints))
            operations.append(names.index(workload.name))
    return place(jobs, operations), names


def _piece(fabric: Fabric, workload: Workload, endpoints: NDArray[np.int32], number: int) -> Piece:
    count, size = len(endpoints), workload.size_bytes
    match workload.name:
        case "allreduce:ring":
            return collectives.all_reduce_ring(count, size)
        case "allreduce:tree":
            return trees.all_reduce_tree(count, size)
        case "allreduce:halving_doubling":
            return collectives.all_reduce_halving_doubling(count, size)
        case "allreduce:direct":
            return collectives.all_reduce_direct(count, size)
        case "allreduce:hierarchical":
            return collectives.all_reduce_hierarchical(count, size, _server(fabric, endpoints))
        case "allgather:ring":
            return collectives.all_gather_ring(count, size)
        case "reducescatter:ring":
            return collectives.reduce_scatter_ring(count, size)
        case "alltoall:direct":
            return collectives.all_to_all(count, size)
        case "p2p:pipeline":
            return collectives.pipeline(count, size, workload.batches, workload.compute_ns)
        case "permutation:random":
            rng = np.random.default_rng((workload.seed, number))
            return collectives.permutation(count, size, rng)
        case "background:poisson":
            rng = np.random.default_rng((workload.seed, number))
            channels = fabric.channels
            rate_gbps = float(channels.rate[np.isin(channels.source, endpoints)].max())
            load, duration_ns = workload.load, workload.duration_ns
            return make_background(count, size, load, duration_ns, rate_gbps, rng)
        case _:
            return collectives.incast(count, size)


def _server(fabric: Fabric, endpoints: NDArray[np.int32]) -> int:
    """Return how many neighbours share a chassis, 1 where the fabric names none."""
    servers = np.array([fabric.devices[device].server for device in endpoints.tolist()])
    if servers[0] < 0:
        return 1
    change = np.flatnonzero(servers != servers[0])
    return int(change[0]) if len(change) else len(servers)
