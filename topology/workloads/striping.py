"""Transfers made of others: cut over queue pairs, or what is left of them at a moment."""

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.workloads.graph import MAX_EDGES, MAX_TRANSFERS
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["stripe", "unfinished"]


def stripe(transfers: Transfers, queue_pairs: int) -> Transfers:
    """Return `transfers` with each one cut into `queue_pairs` equal parts.

    Part p of transfer t is transfer t * queue_pairs + p. What waited for a transfer waits for all
    its parts, as NCCL_IB_SPLIT_DATA_ON_QPS does. Joins are cut like all others.
    Raises FabricError when that is too many.
    """
    k = queue_pairs
    count = len(transfers.source)
    edges = len(transfers.successors)
    if count * k > MAX_TRANSFERS or edges * k * k > MAX_EDGES:
        raise FabricError(
            f"{k} queue pairs a connection make {count * k:,} transfers of {count:,}, more than "
            f"the {MAX_TRANSFERS:,} (with {MAX_EDGES:,} dependencies) that fit; take fewer"
        )
    part = np.tile(np.arange(k), count)
    size = np.repeat(transfers.size_bytes, k)
    start = np.zeros(count * k + 1, np.int64)
    np.cumsum(np.repeat(np.diff(transfers.successor_start) * k, k), out=start[1:])
    # Each part of t is followed by all parts of each successor of t.
    owner = np.repeat(np.arange(count), np.diff(transfers.successor_start))
    followers = (transfers.successors[:, None].astype(np.int64) * k + np.arange(k)).ravel()
    rows = np.repeat(owner, k)
    repeated = np.concatenate([rows * k + p for p in range(k)]) if edges else rows
    order = np.argsort(repeated, kind="stable")
    successors = np.tile(followers, k)[order] if edges else followers
    return transfers._replace(
        source=np.repeat(transfers.source, k),
        destination=np.repeat(transfers.destination, k),
        size_bytes=(part + 1) * size // k - part * size // k,
        queue_pair=(np.repeat(transfers.queue_pair, k) * k + part).astype(np.int32),
        waits=np.repeat(transfers.waits * k, k).astype(np.int32),
        successor_start=start,
        successors=successors.astype(np.int32),
        delay_ns=np.repeat(transfers.delay_ns, k),
        job=np.repeat(transfers.job, k),
        iteration=np.repeat(transfers.iteration, k),
        phase=np.repeat(transfers.phase, k),
        operation=np.repeat(transfers.operation, k),
    )


def unfinished(
    transfers: Transfers,
    finish_ns: NDArray[np.float64],
    remaining_bytes: NDArray[np.float64],
    now_ns: float,
) -> tuple[Transfers, NDArray[np.int64]]:
    """Return what is left of `transfers` at `now_ns`, and each rest's number in `transfers`.

    finish_ns, remaining_bytes: (transfers) as of an `Outcome` that was stopped then: a transfer
    with a finish has arrived. What is sent but has not arrived is left as a transfer of no bytes.
    A computation that has begun goes on for its rest.
    """
    arrived = ~np.isnan(finish_ns)
    kept = np.flatnonzero(~arrived)
    number = np.full(len(arrived), -1, np.int64)
    number[kept] = np.arange(len(kept))
    owner = np.repeat(np.arange(len(arrived)), np.diff(transfers.successor_start))
    followers = transfers.successors
    waits = transfers.waits.copy()
    np.subtract.at(waits, followers[arrived[owner]], 1)
    # A computation runs from the last arrival that it waited for, or from the start.
    since_ns = np.zeros(len(arrived))
    np.maximum.at(since_ns, followers[arrived[owner]], finish_ns[owner[arrived[owner]]])
    delay_ns = transfers.delay_ns.copy()
    free = waits == 0
    delay_ns[free] = np.maximum(delay_ns[free] - (now_ns - since_ns[free]), 0.0)
    inner = ~arrived[owner]
    start = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(np.bincount(number[owner[inner]], minlength=len(kept)), out=start[1:])
    return (
        Transfers(
            source=transfers.source[kept],
            destination=transfers.destination[kept],
            queue_pair=transfers.queue_pair[kept],
            job=transfers.job[kept],
            iteration=transfers.iteration[kept],
            phase=transfers.phase[kept],
            operation=transfers.operation[kept],
            size_bytes=np.ceil(remaining_bytes[kept]).astype(np.int64),
            waits=waits[kept],
            successor_start=start,
            successors=number[followers[inner]].astype(np.int32),
            delay_ns=delay_ns[kept],
        ),
        kept,
    )
