"""Pieces of workloads - transfers between ranks with what waits for what - and how they combine.

A piece knows ranks (0 to n - 1) only; `place` puts it on endpoints and makes `Transfers` of it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.workloads.transfers import Transfers

__all__ = [
    "MAX_EDGES",
    "MAX_TRANSFERS",
    "Piece",
    "chain",
    "join",
    "need",
    "pairs",
    "piece_of",
    "place",
    "repeat",
    "shares",
]

MAX_TRANSFERS: Final = 20_000_000
MAX_EDGES: Final = 100_000_000

Ints = NDArray[np.int64]


class Piece(NamedTuple):
    """Transfers between ranks.

    source, destination, size_bytes, connection, phase, delay_ns: (transfers). Transfers of one
    connection share a queue pair and are sent in order. A transfer from a rank to itself is a
    join: it takes its delay and nothing else, and stands for "all that it waits for has arrived".
    edges: (edges, 2) transfer, and one that waits for it. first: (entries, 2) rank, and a transfer
    that it begins with. last: (exits, 2) rank, and a transfer whose arrival it ends with.
    """

    ranks: int
    source: Ints
    destination: Ints
    size_bytes: Ints
    connection: Ints
    phase: Ints
    delay_ns: NDArray[np.float64]
    edges: Ints
    first: Ints
    last: Ints

    @property
    def connections(self) -> int:
        """Return how many connections the transfers use."""
        return int(self.connection.max(initial=-1)) + 1


def pairs(left: Ints, right: Ints) -> Ints:
    """Return the (n, 2) rows of two columns."""
    return np.column_stack((left, right)).astype(np.int64)


def join(piece: Piece, ranks: Ints | None = None) -> Piece:
    """Return `piece` with one join per rank behind its last transfers, so that edges stay few.

    ranks: ascending; all that end a transfer unless given.
    """
    count = len(piece.source)
    ranks = np.unique(piece.last[:, 0]) if ranks is None else ranks
    joins = count + np.arange(len(ranks))
    edges = pairs(piece.last[:, 1], joins[np.searchsorted(ranks, piece.last[:, 0])])
    return Piece(
        piece.ranks,
        np.concatenate((piece.source, ranks)),
        np.concatenate((piece.destination, ranks)),
        np.concatenate((piece.size_bytes, np.zeros(len(ranks), np.int64))),
        np.concatenate((piece.connection, piece.connections + np.arange(len(ranks)))),
        np.concatenate((piece.phase, np.full(len(ranks), piece.phase.max(initial=0)))),
        np.concatenate((piece.delay_ns, np.zeros(len(ranks)))),
        np.concatenate((piece.edges, edges)),
        piece.first,
        pairs(ranks, joins),
    )


def chain(before: Piece, after: Piece, same: bool = False, delay_ns: float = 0.0) -> Piece:
    """Return both pieces one after the other, rank by rank.

    A rank begins `after` when it has ended `before`, and `delay_ns` later. same: both use the
    same connections (a repetition); else those of `after` are its own.
    """
    after = _compute_first(after, delay_ns) if delay_ns else after
    if _needs_join(before.last, after):
        before = join(before)
    count = len(before.source)
    shift = 0 if same else before.connections
    left, right = _product(before.last, after.first)
    phases = int(before.phase.max(initial=-1)) + 1
    return Piece(
        max(before.ranks, after.ranks),
        np.concatenate((before.source, after.source)),
        np.concatenate((before.destination, after.destination)),
        np.concatenate((before.size_bytes, after.size_bytes)),
        np.concatenate((before.connection, after.connection + shift)),
        np.concatenate((before.phase, after.phase + phases)),
        np.concatenate((before.delay_ns, after.delay_ns)),
        np.concatenate((before.edges, after.edges + count, pairs(left, right + count))),
        before.first,
        np.column_stack((after.last[:, 0], after.last[:, 1] + count)),
    )


def repeat(piece: Piece, times: int, compute_ns: float = 0.0) -> tuple[Piece, NDArray[np.int32]]:
    """Return `times` iterations of `piece` behind one another, and each transfer's iteration.

    compute_ns: what each rank computes before it begins an iteration, the first one too.
    """
    piece = _compute_first(piece, compute_ns) if compute_ns else piece
    if times == 1:
        return piece, np.zeros(len(piece.source), np.int32)
    if _needs_join(piece.last, piece):
        piece = join(piece)
    left, right = _product(piece.last, piece.first)
    count = len(piece.source)
    _limit(count * times, (len(piece.edges) + len(left)) * times)
    offsets = np.arange(times) * count
    inner = (piece.edges[None, :, :] + offsets[:, None, None]).reshape(-1, 2)
    between = pairs(left, right + count)
    between = (between[None, :, :] + offsets[:-1, None, None]).reshape(-1, 2)
    phases = int(piece.phase.max(initial=-1)) + 1
    whole = Piece(
        piece.ranks,
        np.tile(piece.source, times),
        np.tile(piece.destination, times),
        np.tile(piece.size_bytes, times),
        np.tile(piece.connection, times),
        np.tile(piece.phase, times) + np.repeat(np.arange(times) * phases, count),
        np.tile(piece.delay_ns, times),
        np.concatenate((inner, between)),
        piece.first,
        np.column_stack((piece.last[:, 0], piece.last[:, 1] + offsets[-1])),
    )
    return whole, np.repeat(np.arange(times, dtype=np.int32), count)


def beside(pieces: list[tuple[Piece, Ints]], ranks: int) -> Piece:
    """Return pieces that run at the same time on the ranks given for each, as one of `ranks`."""
    transfers = np.cumsum([0, *(len(piece.source) for piece, _ in pieces)]).tolist()
    connections = np.cumsum([0, *(piece.connections for piece, _ in pieces)]).tolist()
    whole: list[Piece] = []
    for (piece, to), transfer, connection in zip(pieces, transfers, connections, strict=False):
        whole.append(
            piece._replace(
                source=to[piece.source],
                destination=to[piece.destination],
                connection=piece.connection + connection,
                edges=piece.edges + transfer,
                first=pairs(to[piece.first[:, 0]], piece.first[:, 1] + transfer),
                last=pairs(to[piece.last[:, 0]], piece.last[:, 1] + transfer),
            )
        )
    columns = zip(*(piece[1:] for piece in whole), strict=True)
    return Piece(ranks, *(np.concatenate(column) for column in columns))


def place(
    jobs: Sequence[tuple[Piece, NDArray[np.int32], NDArray[np.int32]]],
    operations: Sequence[int] | None = None,
) -> Transfers:
    """Return the transfers of several jobs, numbered from 0, that run at the same time.

    jobs: for each its piece, each transfer's iteration, and the endpoint of each rank.
    operations: each job's index into the list of operation names.
    Raises FabricError beyond MAX_TRANSFERS transfers or MAX_EDGES dependencies.
    """
    _limit(sum(len(piece.source) for piece, _, _ in jobs), sum(len(p.edges) for p, _, _ in jobs))
    counts = [len(piece.source) for piece, _, _ in jobs]
    offsets = np.cumsum([0, *counts])
    connections = np.cumsum([0, *(piece.connections for piece, _, _ in jobs)])
    total = int(offsets[-1])
    edges = np.concatenate([p.edges + o for (p, _, _), o in zip(jobs, offsets, strict=False)])
    waits = np.bincount(edges[:, 1], minlength=total).astype(np.int32)
    starts = np.zeros(total + 1, np.int64)
    np.cumsum(np.bincount(edges[:, 0], minlength=total), out=starts[1:])
    order = np.argsort(edges[:, 0], kind="stable")
    numbers = list(range(len(jobs))) if operations is None else list(operations)
    return Transfers(
        source=np.concatenate([e[p.source] for p, _, e in jobs]).astype(np.int32),
        destination=np.concatenate([e[p.destination] for p, _, e in jobs]).astype(np.int32),
        size_bytes=np.concatenate([p.size_bytes for p, _, _ in jobs]).astype(np.int64),
        queue_pair=np.concatenate(
            [p.connection + c for (p, _, _), c in zip(jobs, connections, strict=False)]
        ).astype(np.int32),
        waits=waits,
        successor_start=starts,
        successors=edges[order, 1].astype(np.int32),
        delay_ns=np.concatenate([p.delay_ns for p, _, _ in jobs]),
        job=np.repeat(np.arange(len(jobs), dtype=np.int16), counts),
        iteration=np.concatenate([i for _, i, _ in jobs]).astype(np.int32),
        phase=np.concatenate([p.phase for p, _, _ in jobs]).astype(np.int32),
        operation=np.repeat(np.array(numbers, np.int16), counts),
    )


def piece_of(
    ranks: int,
    source: Ints,
    destination: Ints,
    size_bytes: Ints,
    connection: Ints,
    phase: Ints,
    edges: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> Piece:
    """Return a piece without delays."""
    delay = np.zeros(len(source))
    flat = edges.reshape(-1, 2).astype(np.int64)
    return Piece(
        ranks, source, destination, size_bytes, connection, phase, delay, flat, first, last
    )


def shares(size_bytes: int, parts: int) -> Ints:
    """Return `size_bytes` in `parts` that differ by one byte at most."""
    cuts = np.arange(parts + 1) * size_bytes // parts
    return np.diff(cuts).astype(np.int64)


def need(ranks: int, least: int) -> None:
    """Raise FabricError if `ranks` are fewer than `least`."""
    if ranks < least:
        raise FabricError(f"a collective needs at least {least} ranks, not {ranks}; add endpoints")


def _compute_first(piece: Piece, compute_ns: float) -> Piece:
    """Return `piece` with a computation of each rank before its first transfers.

    Where those wait for other ranks too it is a join with a delay, so that the computation goes
    on while they wait.
    """
    entries = np.unique(piece.first[:, 1])
    if not np.isin(entries, piece.edges[:, 1]).any():
        delay = piece.delay_ns.copy()
        delay[entries] += compute_ns
        return piece._replace(delay_ns=delay)
    count = len(piece.source)
    ranks = np.unique(piece.first[:, 0])
    joins = count + np.arange(len(ranks))
    edges = pairs(joins[np.searchsorted(ranks, piece.first[:, 0])], piece.first[:, 1])
    whole = join(piece._replace(last=np.empty((0, 2), np.int64)), ranks)
    whole.delay_ns[joins] = compute_ns
    return whole._replace(
        edges=np.concatenate((piece.edges, edges)), first=pairs(ranks, joins), last=piece.last
    )


def _needs_join(last: Ints, after: Piece) -> bool:
    """Return whether exits times entries are too many edges to write out."""
    exits = np.bincount(last[:, 0], minlength=after.ranks)
    edges = int(exits[after.first[:, 0]].sum())
    return int(exits.max(initial=0)) > 1 and edges > 4 * len(after.source)


def _product(last: Ints, first: Ints) -> tuple[Ints, Ints]:
    """Return each pair of an exit and an entry of the same rank."""
    last = last[np.argsort(last[:, 0], kind="stable")]
    begin = np.searchsorted(last[:, 0], first[:, 0])
    width = np.searchsorted(last[:, 0], first[:, 0], side="right") - begin
    right = np.repeat(first[:, 1], width)
    step = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
    return last[np.repeat(begin, width) + step, 1], right


def _limit(transfers: int, edges: int) -> None:
    if transfers > MAX_TRANSFERS or edges > MAX_EDGES:
        raise FabricError(
            f"the workload has {transfers:,} transfers and {edges:,} dependencies, more than the "
            f"{MAX_TRANSFERS:,} and {MAX_EDGES:,} that fit; take fewer ranks or iterations"
        )
