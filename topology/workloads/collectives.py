"""Collective operations and other patterns as pieces of transfers between ranks.

Sizes follow nccl-tests: `size_bytes` is a rank's whole buffer - what AllReduce reduces, what
AllGather ends with, what ReduceScatter and AlltoAll begin with. Shares that do not divide evenly
differ by one byte. Latencies and rates are the engines' matter.
"""

import numpy as np

from fabricscope.errors import FabricError
from fabricscope.topology.workloads.graph import (
    Ints,
    Piece,
    beside,
    chain,
    need,
    pairs,
    piece_of,
    shares,
)

__all__ = [
    "all_gather_ring",
    "all_reduce_direct",
    "all_reduce_halving_doubling",
    "all_reduce_hierarchical",
    "all_reduce_ring",
    "all_to_all",
    "incast",
    "permutation",
    "pipeline",
    "reduce_scatter_ring",
]


def all_reduce_ring(ranks: int, size_bytes: int) -> Piece:
    """Return a ring AllReduce: 2(n - 1) steps, each rank sends one share to its successor."""
    return _ring(ranks, size_bytes, 2 * (ranks - 1))


def reduce_scatter_ring(ranks: int, size_bytes: int) -> Piece:
    """Return a ring ReduceScatter: n - 1 steps."""
    return _ring(ranks, size_bytes, ranks - 1)


def all_gather_ring(ranks: int, size_bytes: int) -> Piece:
    """Return a ring AllGather: n - 1 steps."""
    return _ring(ranks, size_bytes, ranks - 1)


def all_to_all(ranks: int, size_bytes: int) -> Piece:
    """Return a direct all-to-all: each rank sends each other one a share, all at once."""
    need(ranks, 2)
    source = np.repeat(np.arange(ranks), ranks - 1)
    destination = np.tile(np.arange(ranks - 1), ranks)
    destination += destination >= source
    share = shares(size_bytes, ranks)
    number = np.arange(len(source))
    return piece_of(
        ranks,
        source,
        destination,
        share[destination],
        number,
        np.zeros(len(source), np.int64),
        np.empty((0, 2), np.int64),
        pairs(source, number),
        pairs(destination, number),
    )


def all_reduce_direct(ranks: int, size_bytes: int) -> Piece:
    """Return a direct AllReduce: shares to their owners at once, then the sums back."""
    scatter = all_to_all(ranks, size_bytes)
    share = shares(size_bytes, ranks)
    return chain(scatter, scatter._replace(size_bytes=share[scatter.source]))


def all_reduce_halving_doubling(ranks: int, size_bytes: int) -> Piece:
    """Return recursive halving (reduce-scatter), then doubling (all-gather).

    For other than powers of two the first ranks beyond fold into a partner before and are told
    the result after (Thakur, Rabenseifner, Gropp: Optimization of collective communication, 2005).
    """
    need(ranks, 2)
    power = 1 << (ranks.bit_length() - 1)
    rounds = power.bit_length() - 1
    distances = [power >> (k + 1) for k in range(rounds)]
    sizes = [max(1, size_bytes >> (k + 1)) if size_bytes else 0 for k in range(rounds)]
    steps = [*zip(distances, sizes, strict=True), *zip(distances[::-1], sizes[::-1], strict=True)]
    rank = np.arange(power)
    columns = []
    edges = []
    for step, (distance, size) in enumerate(steps):
        connection = rank * rounds + distances.index(distance)
        full = np.full(power, size)
        columns.append(
            np.column_stack((rank, rank ^ distance, full, connection, np.full(power, step)))
        )
        if step:
            before = (step - 1) * power + (rank ^ steps[step - 1][0])
            edges.append(pairs(before, step * power + rank))
    table = np.concatenate(columns)
    source, destination, sizes_sent, connections, phase = table.T
    end = (len(steps) - 1) * power + (rank ^ steps[-1][0])
    flat = np.concatenate(edges) if edges else np.empty((0, 2), np.int64)
    core = piece_of(
        power,
        source,
        destination,
        sizes_sent,
        connections,
        phase,
        flat,
        pairs(rank, rank),
        pairs(rank, end),
    )
    if power == ranks:
        return core
    extra = np.arange(power, ranks)
    fold = _one_each(ranks, extra, extra - power, size_bytes)
    back = _one_each(ranks, extra - power, extra, size_bytes)
    whole = chain(chain(fold, core._replace(ranks=ranks)), back)
    # Every rank of the core begins by itself, also where it waits for what is folded into it.
    return whole._replace(
        first=np.concatenate((whole.first, pairs(rank, len(extra) + rank))),
        last=np.concatenate((whole.last, pairs(rank, len(extra) + end))),
    )


def all_reduce_hierarchical(ranks: int, size_bytes: int, server: int) -> Piece:
    """Return the three parts: ring inside each server, rings across servers, ring inside again.

    server: ranks of one server, which are neighbours in number. Across servers each rank talks to
    those of its own place (rail) about its share.
    Raises FabricError unless ranks are whole servers.
    """
    if server < 1 or ranks % server:
        raise FabricError(
            f"hierarchical: {ranks} ranks are not whole servers of {server}; change one of them"
        )
    servers = ranks // server
    if servers == 1:
        return all_reduce_ring(ranks, size_bytes)
    numbers = np.arange(ranks).reshape(servers, server)
    share = -(-size_bytes // server)
    across = beside([(all_reduce_ring(servers, share), row) for row in numbers.T], ranks)
    if server == 1:
        return across
    scatter = beside([(reduce_scatter_ring(server, size_bytes), row) for row in numbers], ranks)
    gather = beside([(all_gather_ring(server, size_bytes), row) for row in numbers], ranks)
    return chain(chain(scatter, across), gather)


def pipeline(stages: int, size_bytes: int, batches: int, compute_ns: float) -> Piece:
    """Return micro-batches through pipeline stages: activations forward, gradients back.

    size_bytes: of one micro-batch's activations. compute_ns: of one stage for one micro-batch,
    before it passes it on. All forward passes come first (GPipe).
    """
    need(stages, 2)
    hops = stages - 1
    batch = np.repeat(np.arange(batches), hops)
    hop = np.tile(np.arange(hops), batches)
    forward = np.arange(len(batch))
    back = len(batch) + forward
    inner = forward[hop > 0]
    turn = forward[hop == hops - 1]
    edges = np.concatenate(
        (
            pairs(inner - 1, inner),
            pairs(turn, back[hop == 0]),
            pairs(back[hop > 0] - 1, back[hop > 0]),
        )
    )
    # Gradient hop h runs from stage hops - h to the one before it.
    source = np.concatenate((hop, hops - hop))
    destination = np.concatenate((hop + 1, hops - hop - 1))
    connection = np.concatenate((hop, hops + hop))
    phase = np.concatenate((batch, batches + batch))
    sizes = np.full(len(source), size_bytes)
    entries = pairs(source[:hops], forward[:hops])[:1]
    piece = piece_of(
        stages,
        source,
        destination,
        sizes,
        connection,
        phase,
        edges,
        np.concatenate((entries, pairs(np.zeros(batches - 1, np.int64), forward[hop == 0][1:]))),
        pairs(destination[back], back),
    )
    return piece._replace(delay_ns=np.full(len(source), compute_ns))


def permutation(ranks: int, size_bytes: int, rng: np.random.Generator) -> Piece:
    """Return one transfer from each rank to another one, so that each receives one."""
    need(ranks, 2)
    order = rng.permutation(ranks)
    destination = np.empty(ranks, np.int64)
    destination[order] = np.roll(order, -1)
    return _one_each(ranks, np.arange(ranks), destination, size_bytes)


def incast(ranks: int, size_bytes: int) -> Piece:
    """Return one transfer from each rank to rank 0."""
    need(ranks, 2)
    source = np.arange(1, ranks)
    return _one_each(ranks, source, np.zeros(ranks - 1, np.int64), size_bytes)


def _ring(ranks: int, size_bytes: int, steps: int) -> Piece:
    need(ranks, 2)
    rank = np.tile(np.arange(ranks), steps)
    step = np.repeat(np.arange(steps), ranks)
    following = (rank + 1) % ranks
    number = np.arange(len(rank))
    later = number[: ranks * (steps - 1)]
    # In step s rank r passes on the share that began at rank r - s.
    share = shares(size_bytes, ranks)[(rank - step) % ranks]
    return piece_of(
        ranks,
        rank,
        following,
        share,
        rank,
        step,
        pairs(later, (step[later] + 1) * ranks + following[later]),
        pairs(number[:ranks], number[:ranks]),
        pairs(following[-ranks:], number[-ranks:]),
    )


def _one_each(ranks: int, source: Ints, destination: Ints, size_bytes: int) -> Piece:
    number = np.arange(len(source))
    sizes = np.full(len(source), size_bytes)
    none = np.empty((0, 2), np.int64)
    zero = np.zeros(len(source), np.int64)
    return piece_of(
        ranks,
        source,
        destination,
        sizes,
        number,
        zero,
        none,
        pairs(source, number),
        pairs(destination, number),
    )
