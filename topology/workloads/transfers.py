"""A workload as a dependency graph of transfers, in the arrays that both engines run."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Transfers"]


class Transfers(NamedTuple):
    """Transfers of messages between endpoints, each begun when those it waits for have arrived.

    source, destination: endpoint device numbers. size_bytes: payload. queue_pair: transfers of one
    queue pair share source, destination, path hash and transport state, and are sent in order of
    their number. waits: how many transfers must have arrived before this one may start.
    successor_start, successors: the transfers that wait for this one (compressed rows).
    delay_ns: computation between the last arrival and the start. job, iteration, phase: labels;
    an iteration of a job ends when its last transfer has arrived. operation: index into the
    workload's list of operation names. All arrays but the successors have one entry a transfer.
    """

    source: NDArray[np.int32]
    destination: NDArray[np.int32]
    size_bytes: NDArray[np.int64]
    queue_pair: NDArray[np.int32]
    waits: NDArray[np.int32]
    successor_start: NDArray[np.int64]
    successors: NDArray[np.int32]
    delay_ns: NDArray[np.float64]
    job: NDArray[np.int16]
    iteration: NDArray[np.int32]
    phase: NDArray[np.int32]
    operation: NDArray[np.int16]

    @staticmethod
    def none() -> "Transfers":
        """Return a workload without transfers."""
        ints, longs, shorts = np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int16)
        return Transfers(
            ints, ints, longs, ints, ints, np.zeros(1, np.int64), ints, np.zeros(0), shorts, ints,
            ints, shorts,
        )  # fmt: skip
