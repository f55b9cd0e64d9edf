"""Arithmetic on histograms, against sorting the values themselves."""

import random

import pytest

from fabricscope.dashboard.histogram import cumulate, merge_bins, percentile, trim


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99])
def test_percentile_is_within_one_bin_of_the_sorted_values(share: float) -> None:
    chance = random.Random(3)
    values = sorted(chance.lognormvariate(3, 1) for _ in range(5000))
    edges = [10 ** (index / 20 - 1) for index in range(101)]
    counts = [0] * 100
    for value in values:
        counts[next(i for i in range(100) if edges[i] <= value < edges[i + 1])] += 1
    exact = values[int(share * len(values))]
    estimate = percentile(edges, counts, share)
    assert estimate is not None
    assert exact / 10 ** (1 / 20) <= estimate <= exact * 10 ** (1 / 20)


def test_percentile_of_nothing_is_unknown() -> None:
    assert percentile([], [], 0.5) is None
    assert percentile([1, 2], [0], 0.5) is None


def test_cumulate_ends_at_one() -> None:
    assert cumulate([1, 0, 3]) == [0, 0.25, 0.25, 1]


def test_trim_keeps_holes_inside() -> None:
    assert trim([1, 2, 3, 4, 5, 6], [0, 7, 0, 2, 0]) == ([2, 3, 4, 5], [7, 0, 2])
    assert trim([1, 2], [0]) == ([], [])


def test_merging_keeps_the_sum_and_both_ends() -> None:
    edges, counts = list(range(11)), list(range(10))
    merged_edges, merged = merge_bins(edges, counts, 4)
    assert len(merged) <= 4
    assert len(merged_edges) == len(merged) + 1
    assert sum(merged) == sum(counts)
    assert (merged_edges[0], merged_edges[-1]) == (0, 10)
    assert merge_bins(edges, counts, 10) == (edges, counts)
