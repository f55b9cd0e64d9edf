"""The difference of two clocks from differences of known making."""

import math

import numpy as np
import pytest

from fabricscope.analyzers.taps.clocks import Differences, compare


def make(
    rng: np.random.Generator,
    count: int,
    *,
    offset_ns: float = 0.0,
    drift: float = 0.0,
    delay_ns: float = 5_000.0,
    jitter_ns: float = 2_000.0,
    span_ns: float = 10e9,
    two_way: bool = True,
    hops: int = 0,
) -> Differences:
    since = np.sort(rng.random(count)) * span_ns
    forward = rng.random(count) < 0.5 if two_way else np.ones(count, bool)
    delay = delay_ns + rng.exponential(jitter_ns, count)
    return Differences(
        since,
        offset_ns + drift * since + np.where(forward, delay, -delay),
        np.full(count, 77, np.uint64),
        forward,
        np.where(forward, hops, -hops),
    )


@pytest.mark.parametrize("offset_ns", [0.0, 250_000.0, -3e9])
@pytest.mark.parametrize("hops", [0, 1])
def test_two_ways_bound_the_offset(offset_ns: float, hops: int) -> None:
    pair = compare(make(np.random.default_rng(1), 900, offset_ns=offset_ns, hops=hops))
    lower, upper = pair.bounds(0.0)
    assert lower <= offset_ns <= upper
    assert (upper + lower) / 2 == pytest.approx(offset_ns, abs=100)
    assert pair.margin(0.0) == pytest.approx(5_000, rel=0.05)
    assert not pair.drift_supported


def test_one_way_bounds_one_side() -> None:
    pair = compare(make(np.random.default_rng(1), 500, two_way=False, hops=2))
    lower, upper = pair.bounds(0.0)
    assert lower == -math.inf
    assert upper == pytest.approx(5_000, abs=50)


def test_one_way_without_hops_leaves_the_order_open() -> None:
    pair = compare(make(np.random.default_rng(1), 500, two_way=False))
    assert (pair.order == 0).all()
    assert pair.bounds(0.0) == (-math.inf, math.inf)


@pytest.mark.parametrize("ppm", [2.0, -35.0, 120.0])
@pytest.mark.parametrize("two_way", [True, False])
def test_drift(ppm: float, two_way: bool) -> None:
    differences = make(np.random.default_rng(3), 3_000, drift=ppm * 1e-6, two_way=two_way)
    pair = compare(differences)
    assert pair.drift_supported
    assert pair.drift * 1e6 == pytest.approx(ppm, abs=0.1)


def test_no_drift_is_made_up() -> None:
    found = [
        compare(make(np.random.default_rng(seed), 600, span_ns=1e9)).drift_supported
        for seed in range(30)
    ]
    assert sum(found) <= 1


def test_false_matches_are_left_out() -> None:
    rng = np.random.default_rng(5)
    differences = make(rng, 800, offset_ns=1_000.0)
    wrong = rng.choice(800, 60, replace=False)
    differences.difference_ns[wrong] += rng.uniform(-5e9, 5e9, 60)
    lower, upper = compare(differences).bounds(0.0)
    assert lower <= 1_000 <= upper
    assert upper - lower < 12_000


def test_both_directions_past_the_same_tap_first_give_one_bound() -> None:
    # TTL says that a is first both ways (a mirror on the way in and one on the way out).
    differences = make(np.random.default_rng(1), 400)
    same_way = Differences(
        differences.since_ns,
        np.abs(differences.difference_ns),
        differences.hosts,
        differences.forward,
        np.ones(400, np.int64),
    )
    pair = compare(same_way)
    assert (pair.order == 1).all()
    assert pair.bounds(0.0)[0] == -math.inf


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_few_and_equal_packets(count: int) -> None:
    pair = compare(
        Differences(
            np.zeros(count),
            np.full(count, 7.0),
            np.full(count, 1, np.uint64),
            np.arange(count) % 2 == 0,
            np.zeros(count, np.int64),
        )
    )
    if count > 1:
        assert pair.bounds(0.0) == (7.0, 7.0)
    assert not pair.drift_supported
