"""AllReduce over a double binary tree, pipelined in chunks."""

from typing import Final

import numpy as np

from fabricscope.topology.workloads.graph import Ints, Piece, beside, need, pairs, piece_of, shares

__all__ = ["CHUNK_BYTES", "MAX_CHUNKS", "all_reduce_tree"]

CHUNK_BYTES: Final = 512 * 1024
"""What a rank passes on at once: NCCL's step, an eighth of its 4 MiB buffer."""

MAX_CHUNKS: Final = 256


def all_reduce_tree(ranks: int, size_bytes: int, chunk_bytes: int = CHUNK_BYTES) -> Piece:
    """Return a double binary tree AllReduce: chunks go up to the root, and down again.

    Each of two trees carries one half; what is a leaf in one is inside in the other, or nearly so
    (Sanders, Speck, Traeff: Two-tree algorithms for full bandwidth broadcast, reduction and scan,
    2009). At most MAX_CHUNKS chunks a tree.
    """
    need(ranks, 2)
    half = (size_bytes + 1) // 2
    chunks = max(1, min(MAX_CHUNKS, half // max(1, chunk_bytes)))
    parents = _parents(ranks)
    # Mirrored for an even number of ranks, shifted by one for an odd one.
    if ranks % 2:
        other = np.roll(parents, 1)
        other = np.where(other < 0, -1, (other + 1) % ranks)
    else:
        other = np.where(parents[::-1] < 0, -1, ranks - 1 - parents[::-1])
    rank = np.arange(ranks)
    left = _tree(parents, shares(half, chunks))
    right = _tree(other, shares(size_bytes - half, chunks))
    return beside([(left, rank), (right, rank)], ranks)


def _tree(parents: Ints, chunk_bytes: Ints) -> Piece:
    """Return one tree's transfers: all chunks up (a chunk's edges together), then all down."""
    ranks = len(parents)
    chunks = len(chunk_bytes)
    child = np.flatnonzero(parents >= 0)
    parent = parents[child]
    root = int(np.flatnonzero(parents < 0)[0])
    width = len(child)
    place = np.full(ranks, -1, np.int64)
    place[child] = np.arange(width)
    down = chunks * width
    edge = np.arange(width)
    inside = edge[parent != root]
    below_root = edge[parent == root]
    turn_up, turn_down = np.meshgrid(below_root, below_root, indexing="ij")
    # Upwards a rank waits for its children, downwards for its parent; the root turns around.
    one = np.concatenate(
        (
            pairs(inside, place[parent[inside]]),
            pairs(down + place[parent[inside]], down + inside),
            pairs(turn_up.ravel(), down + turn_down.ravel()),
        )
    )
    offsets = np.arange(chunks) * width
    edges = (one[None, :, :] + offsets[:, None, None]).reshape(-1, 2)
    end = offsets[-1]
    # Chunks of a connection arrive in order: the first and the last one stand for all.
    first = np.concatenate((pairs(child, edge), pairs(parent[below_root], down + below_root)))
    last = np.concatenate(
        (pairs(child, down + end + edge), pairs(parent[below_root], end + below_root))
    )
    sizes = np.repeat(chunk_bytes, width)
    return piece_of(
        ranks,
        np.concatenate((np.tile(child, chunks), np.tile(parent, chunks))),
        np.concatenate((np.tile(parent, chunks), np.tile(child, chunks))),
        np.concatenate((sizes, sizes)),
        np.concatenate((np.tile(edge, chunks), np.tile(width + edge, chunks))),
        np.repeat(np.arange(2 * chunks), width),
        edges,
        first,
        last,
    )


def _parents(ranks: int) -> Ints:
    """Return each rank's parent in a balanced tree with the ranks in order; the root has -1."""
    parents = np.full(ranks, -1, np.int64)
    waiting = [(0, ranks, -1)]
    while waiting:
        low, high, parent = waiting.pop()
        if low < high:
            middle = (low + high) // 2
            parents[middle] = parent
            waiting.extend(((low, middle, middle), (middle + 1, high, middle)))
    return parents
