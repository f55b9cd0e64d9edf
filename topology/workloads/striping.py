"""Queue-pair scaling: each message cut over several queue pairs of its connection."""

import numpy as np

from fabricscope.errors import FabricError
from fabricscope.topology.workloads.graph import MAX_EDGES, MAX_TRANSFERS
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["stripe"]


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
