"""What a window of traffic between ranks is: conservation laws of each collective's algorithm.

Input is a matrix of bytes, sender by receiver. A ring AllReduce moves 2(n-1)/n x S over each edge
of one cycle, AllGather and ReduceScatter (n-1)/n x S; a tree moves S up and down each of its
edges; halving-doubling moves S, S/2, S/4, ... to ever nearer partners; AlltoAll S/n to everybody
(see rdma.md). Nothing here looks at time, which is why AllReduce and AllGather on a ring are told
apart elsewhere.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

TOLERANCE: Final = 0.04
"""Relative difference of two shares that are meant to be equal: framing, unequal splits."""

MIN_SHARE: Final = 0.002
"""An edge with a smaller part of the largest edge's bytes is not part of the algorithm."""


@dataclass(frozen=True)
class Pattern:
    """An algorithm that a window's bytes fit.

    shape: ring, line, tree, direct, halving_doubling, out_tree, in_tree, ring_to_root; order: rank
    indexes, in ring order for a ring, root first for a tree; edge_bytes: of a ring edge, or S where
    the bytes alone tell it; partial: the ring's last edge was not captured.
    """

    shape: str
    order: tuple[int, ...]
    edge_bytes: float
    hub: int = -1
    partial: bool = False


def pattern_of(matrix: NDArray[np.float64], slack_bytes: float = 0.0) -> Pattern | None:
    """Return the algorithm that `matrix` (n, n) bytes obeys, None when it obeys none.

    slack_bytes: by how much an edge may be off because the mirror missed packets at its ends.
    """
    largest = float(matrix.max(initial=0.0))
    if largest <= 0:
        return None
    cleaned = np.where(matrix >= MIN_SHARE * largest, matrix, 0.0)
    hosts = np.flatnonzero((cleaned.sum(axis=0) + cleaned.sum(axis=1)) > 0)
    small = cleaned[np.ix_(hosts, hosts)]
    for test in (_ring, _direct, _halving_doubling, _two_way_tree, _one_way_tree, _ring_to_root):
        found = test(small, slack_bytes)
        if found is not None:
            return Pattern(
                found.shape,
                tuple(int(hosts[k]) for k in found.order),
                found.edge_bytes,
                int(hosts[found.hub]) if found.hub >= 0 else -1,
                found.partial,
            )
    return None


def _equal(values: NDArray[np.float64], slack: float) -> bool:
    middle = float(np.median(values))
    return bool(np.all(np.abs(values - middle) <= TOLERANCE * middle + slack))


def _ring(matrix: NDArray[np.float64], slack: float) -> Pattern | None:
    """Everybody sends to one successor and hears from one predecessor, all alike, in one cycle."""
    count = len(matrix)
    used = matrix > 0
    if not ((used.sum(axis=1) == 1).all() and (used.sum(axis=0) == 1).all()):
        return _rings(matrix, slack)
    values = matrix[used]
    if not _equal(values, slack):
        return None
    order = _follow(used.argmax(axis=1), count)
    if len(order) != count:
        return None
    return Pattern("ring", tuple(order), float(values.mean()))


def _follow(successor: NDArray[np.int64], count: int) -> list[int]:
    order, place = [0], int(successor[0])
    while place != 0 and len(order) <= count:
        order.append(place)
        place = int(successor[place])
    return order


def _rings(matrix: NDArray[np.float64], slack: float) -> Pattern | None:
    """Two rings of opposite direction, as two channels may have: each edge both ways, a cycle."""
    count = len(matrix)
    used = matrix > 0
    if count < 4 or not (used.sum(axis=1) == 2).all() or not (used == used.T).all():
        return None
    if not _equal(matrix[used], slack):
        return None
    order = [0]
    place, before = int(np.flatnonzero(used[0])[0]), 0
    while place != 0 and len(order) <= count:
        order.append(place)
        first, second = np.flatnonzero(used[place]).tolist()
        place, before = (second if first == before else first), place
    if len(order) != count:
        return None
    return Pattern("ring", tuple(order), float(2 * matrix[used].mean()))


def _direct(matrix: NDArray[np.float64], slack: float) -> Pattern | None:
    """Everybody sends everybody the same."""
    count = len(matrix)
    others = matrix[~np.eye(count, dtype=bool)]
    if count < 3 or not (others > 0).all() or not _equal(others, slack):
        return None
    return Pattern("direct", tuple(range(count)), float(others.mean() * count))


def _halving_doubling(matrix: NDArray[np.float64], slack: float) -> Pattern | None:
    """Partners get S, S/2, S/4, ...: log2 n of them, the same both ways."""
    count = len(matrix)
    rounds = count.bit_length() - 1
    if count < 4 or count != 1 << rounds:
        return None
    used = matrix > 0
    if not (used.sum(axis=1) == rounds).all() or not (used == used.T).all():
        return None
    shares = -np.sort(-matrix, axis=1)[:, :rounds]
    size = float(np.median(shares[:, 0]))
    expected = size / 2.0 ** np.arange(rounds)
    if (np.abs(shares - expected) > 2 * TOLERANCE * expected + 8 + slack).any():
        return None
    return Pattern("halving_doubling", tuple(range(count)), size)


def _components(used: NDArray[np.bool_]) -> int:
    """Return how many hosts can be reached from the first, edges taken both ways."""
    reached = np.zeros(len(used), bool)
    reached[0] = True
    frontier = [0]
    while frontier:
        place = frontier.pop()
        for other in np.flatnonzero((used[place] | used[:, place]) & ~reached).tolist():
            reached[other] = True
            frontier.append(other)
    return int(reached.sum())


def _two_way_tree(matrix: NDArray[np.float64], slack: float) -> Pattern | None:
    """Find sums up, results down: each edge both ways alike; one tree, or two that share S."""
    count = len(matrix)
    used = matrix > 0
    if count < 2 or not (used == used.T).all() or _components(used) != count:
        return None
    ups = np.triu(matrix)[np.triu(used)]
    downs = np.tril(matrix).T[np.triu(used)]
    if (np.abs(ups - downs) > TOLERANCE * np.maximum(ups, downs) + slack).any():
        return None
    size = float((ups.sum() + downs.sum()) / 2 / (count - 1))
    edges = len(ups)
    if edges == count - 1:
        if not _equal(np.concatenate((ups, downs)), slack):
            return None
    elif edges > 2 * (count - 1) or not _shares_of(ups, size, slack):
        # Two trees at most: NCCL's double binary tree, whose channels share S between them.
        return None
    degrees = used.sum(axis=1)
    hub = int(degrees.argmax())
    return Pattern("tree", tuple(_breadth_first(used, hub)), size, hub=hub)


def _shares_of(values: NDArray[np.float64], size: float, slack: float) -> bool:
    """Tell whether edges carry a, b or a + b, where a + b = S: those of two trees."""
    part = float(values.min())
    shares = np.array([part, size - part, size])
    off = np.abs(values[:, None] - shares[None, :]).min(axis=1)
    return bool((off <= TOLERANCE * size + slack).all())


def _breadth_first(used: NDArray[np.bool_], root: int) -> list[int]:
    order, known = [root], {root}
    for place in order:
        for other in np.flatnonzero(used[place]).tolist():
            if other not in known:
                known.add(other)
                order.append(other)
    return order


def _one_way_tree(matrix: NDArray[np.float64], slack: float) -> Pattern | None:
    """Every edge carries S away from the root, or towards it; a line is one without branches."""
    count = len(matrix)
    used = matrix > 0
    if int(used.sum()) != count - 1 or count < 2 or _components(used) != count:
        return None
    values = matrix[used]
    if not _equal(values, slack):
        return None
    incoming, outgoing = used.sum(axis=0), used.sum(axis=1)
    size = float(values.mean())
    if (incoming <= 1).all():
        root = int((incoming == 0).argmax())
        order = tuple(_breadth_first(used, root))
        shape = "line" if (outgoing <= 1).all() else "out_tree"
        return Pattern(shape, order, size, hub=root)
    if (outgoing <= 1).all():
        root = int((outgoing == 0).argmax())
        return Pattern("in_tree", tuple(_breadth_first(used.T, root)), size, hub=root)
    return None


def _ring_to_root(matrix: NDArray[np.float64], slack: float) -> Pattern | None:
    """Reduce as a ring ReduceScatter whose parts are then gathered at the root."""
    count = len(matrix)
    if count < 3:
        return None
    # Only the root hears from others than its predecessor (or, in two rings, both neighbours).
    heard = (matrix > 0).sum(axis=0)
    for root in range(count):
        others = np.delete(heard, root)
        if not ((others == 1).all() or (others == 2).all()):
            continue
        rest = matrix.copy()
        part = float(np.median(np.delete(matrix[:, root], root)))
        rest[:, root] = np.where(np.abs(rest[:, root] - part) <= TOLERANCE * part, 0, rest[:, root])
        rest[:, root] = np.where(rest[:, root] > 0, rest[:, root] - part, 0)
        found = _ring(rest, slack)
        if found is not None and abs(found.edge_bytes - (count - 1) * part) <= TOLERANCE * part * (
            count
        ):
            return Pattern("ring_to_root", found.order, part * count, hub=root)
    return None
