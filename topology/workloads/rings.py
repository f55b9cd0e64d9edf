"""Ring collectives too large to write out: the same step again and again, by rule."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.workloads.spec import Workload, job_ranks

__all__ = ["Rings", "build_rings", "ring_steps"]

_STEPS = {"allreduce:ring": 2, "allgather:ring": 1, "reducescatter:ring": 1}
MAX_ENDS = 20_000_000
"""Iterations of all jobs together."""


class Rings(NamedTuple):
    """Jobs that each run one ring, all as long.

    members: (jobs, ranks) endpoints in ring order. In each of `steps` steps of an iteration a rank
    sends `chunk_bytes` to the next one, once it has what the one before sent it. compute_ns: of
    each rank before each iteration; start_ns: before the first one.
    """

    members: NDArray[np.int32]
    steps: int
    chunk_bytes: float
    iterations: int
    compute_ns: float
    start_ns: float = 0.0

    @property
    def transfers(self) -> int:
        """Return how many transfers these rings are when they are written out."""
        return self.members.size * self.steps * self.iterations

    @property
    def ends(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return source and destination of each rank's queue pair, job by job."""
        return self.members.ravel(), np.roll(self.members, -1, axis=1).ravel()


def ring_steps(workload: Workload, ranks: int) -> int:
    """Return the steps of one iteration; 0 if the workload is not a ring."""
    return _STEPS.get(workload.name, 0) * (ranks - 1)


def build_rings(fabric: Fabric, workload: Workload, start_ns: float = 0.0) -> Rings:
    """Return the rings of `workload`. Raises FabricError if it is not one, or of too many ends."""
    jobs = job_ranks(fabric, workload)
    ranks = len(jobs[0])
    steps = ring_steps(workload, ranks)
    if not steps:
        raise FabricError(f"workload {workload.name} is no ring; one such is allreduce:ring:1GiB")
    if len(jobs) * workload.iterations > MAX_ENDS:
        raise FabricError(
            f"workload {workload.name}: {len(jobs):,} jobs of {workload.iterations:,} iterations "
            f"are more than the {MAX_ENDS:,} that fit; take fewer iterations"
        )
    return Rings(
        np.array(jobs, np.int32), steps, workload.size_bytes / ranks, workload.iterations,
        workload.compute_ns, start_ns,
    )  # fmt: skip
