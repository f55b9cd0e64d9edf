"""Percentiles, intervals and balance of repetitions."""

import math
import random
import statistics

import pytest

from fabricscope.topology.statistics import jain_index, max_mean_ratio, summarise


def test_one_value_stays_a_number() -> None:
    assert summarise([4.5]) == 4.5
    assert summarise([None]) is None
    assert summarise([]) is None


def test_several_values_are_summarised() -> None:
    values = [float(number) for number in range(1, 102)]
    found = summarise(values)
    assert found["p50"] == 51
    assert found["p95"] == 96
    assert found["max"] == 101
    assert found["mean"] == 51
    half = 1.984 * statistics.stdev(values) / math.sqrt(101)
    assert found["ci95"] == pytest.approx([51 - half, 51 + half], rel=1e-3)


def test_what_never_happened_is_later_than_every_number() -> None:
    found = summarise([1.0, 2.0, None])
    assert found == {"p50": 2.0, "p95": None, "max": None, "mean": None, "ci95": None}


def test_intervals_hold_the_mean_95_times_in_100() -> None:
    rng = random.Random(1)
    held = 0
    for _ in range(2000):
        low, high = summarise([rng.gauss(10, 2) for _ in range(8)])["ci95"]
        held += low <= 10 <= high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


def test_balance() -> None:
    assert max_mean_ratio([1, 1, 1, 1]) == 1
    assert jain_index([1, 1, 1, 1]) == 1
    assert max_mean_ratio([4, 0, 0, 0]) == 4
    assert jain_index([4, 0, 0, 0]) == 0.25
    assert max_mean_ratio([0, 0]) is None
    assert jain_index([]) is None
