"""Conservation laws: matrices made by the book, and ones that no algorithm makes."""

import numpy as np
import pytest

from fabricscope.analyzers.collectives.patterns import pattern_of

SIZE = 1 << 20


def ring(count: int, order: list[int], share: float) -> np.ndarray:
    matrix = np.zeros((count, count))
    for place, rank in enumerate(order):
        matrix[rank, order[(place + 1) % count]] = share
    return matrix


def halving_doubling(count: int) -> np.ndarray:
    matrix = np.zeros((count, count))
    distance = count // 2
    while distance:
        for rank in range(count):
            matrix[rank, rank ^ distance] = 2 * SIZE * distance / count
        distance //= 2
    return matrix


@pytest.mark.parametrize("count", [2, 3, 4, 7, 16, 64])
def test_rings_keep_their_order(count: int) -> None:
    rng = np.random.default_rng(count)
    order = [0, *(rng.permutation(count - 1) + 1).tolist()]
    share = 2 * (count - 1) / count * SIZE
    noise = rng.uniform(0.99, 1.01, (count, count))
    found = pattern_of(ring(count, order, share) * noise)
    assert found is not None
    assert found.shape == "ring"
    assert list(found.order) == order
    assert found.edge_bytes == pytest.approx(share, rel=0.01)


@pytest.mark.parametrize("count", [4, 8, 16, 64])
def test_halving_doubling_has_partners_of_falling_shares(count: int) -> None:
    found = pattern_of(halving_doubling(count))
    assert found is not None
    assert found.shape == "halving_doubling"
    assert found.edge_bytes == pytest.approx(SIZE)


@pytest.mark.parametrize("count", [3, 4, 9, 32])
def test_alltoall_gives_everybody_the_same(count: int) -> None:
    matrix = np.full((count, count), SIZE / count)
    np.fill_diagonal(matrix, 0)
    found = pattern_of(matrix)
    assert found is not None
    assert found.shape == "direct"
    assert found.edge_bytes == pytest.approx(SIZE)


def test_trees_one_way_and_both_ways() -> None:
    down = np.zeros((6, 6))
    for parent, child in ((2, 0), (2, 4), (0, 1), (0, 3), (4, 5)):
        down[parent, child] = SIZE
    out = pattern_of(down)
    up = pattern_of(down.T)
    both = pattern_of(down + down.T)
    assert out is not None
    assert up is not None
    assert both is not None
    assert (out.shape, out.hub) == ("out_tree", 2)
    assert (up.shape, up.hub) == ("in_tree", 2)
    assert (both.shape, both.hub, both.edge_bytes) == ("tree", 0, SIZE)


def test_two_trees_share_the_bytes() -> None:
    first = np.zeros((4, 4))
    for one, other in ((0, 2), (1, 2), (3, 2)):
        first[one, other] = first[other, one] = SIZE / 2
    second = np.zeros((4, 4))
    for one, other in ((3, 1), (2, 1), (0, 1)):
        second[one, other] = second[other, one] = SIZE / 2
    found = pattern_of(first + second)
    assert found is not None
    assert (found.shape, found.edge_bytes) == ("tree", SIZE)


def test_reduce_is_a_ring_and_a_gather() -> None:
    matrix = ring(5, [0, 1, 2, 3, 4], 4 * SIZE / 5)
    for rank in (0, 1, 3, 4):
        matrix[rank, 2] += SIZE / 5
    found = pattern_of(matrix)
    assert found is not None
    assert (found.shape, found.hub) == ("ring_to_root", 2)
    assert found.edge_bytes == pytest.approx(SIZE)


def test_a_chain_is_a_line() -> None:
    matrix = np.zeros((4, 4))
    for rank in range(3):
        matrix[rank, rank + 1] = SIZE
    found = pattern_of(matrix)
    assert found is not None
    assert (found.shape, found.order) == ("line", (0, 1, 2, 3))


def test_what_no_algorithm_does_is_nothing() -> None:
    rng = np.random.default_rng(5)
    for count in (4, 8, 16):
        for _ in range(50):
            matrix = rng.pareto(1.0, (count, count)) * 10_000
            np.fill_diagonal(matrix, 0)
            assert pattern_of(matrix) is None
    assert pattern_of(np.zeros((4, 4))) is None
    unequal = ring(4, [0, 1, 2, 3], SIZE)
    unequal[1, 2] *= 1.2
    assert pattern_of(unequal) is None


def test_slack_forgives_missed_packets_at_the_ends() -> None:
    matrix = ring(4, [0, 1, 2, 3], 24 * 4_096)
    matrix[2, 3] -= 2 * 4_096
    assert pattern_of(matrix) is None
    assert pattern_of(matrix, 2.5 * 4_096) is not None
