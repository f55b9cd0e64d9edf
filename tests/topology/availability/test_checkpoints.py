"""Checkpoint intervals against the full model that they approximate."""

import math

import pytest

from fabricscope.topology.availability.checkpoints import (
    best_interval_daly,
    best_interval_young,
    expected_slowdown,
)


@pytest.mark.parametrize("between_s", [1_000.0, 15_000.0, 250_000.0])
@pytest.mark.parametrize("checkpoint_s", [5.0, 60.0])
def test_the_interval_makes_the_job_shortest(checkpoint_s, between_s):
    best = best_interval_daly(checkpoint_s, between_s)
    around = [
        expected_slowdown(best * factor, checkpoint_s, 600.0, between_s)
        for factor in (0.8, 0.9, 1.0, 1.1, 1.25)
    ]
    assert around[2] == min(around)


def test_young_is_the_square_root_rule():
    assert best_interval_young(60.0, 120_000.0) == math.sqrt(2 * 60 * 120_000)


def test_failures_more_often_than_checkpoints_leave_no_better_interval():
    assert best_interval_daly(500.0, 100.0) == 100.0


def test_both_agree_when_failures_are_rare():
    young, daly = best_interval_young(60.0, 1e8), best_interval_daly(60.0, 1e8)
    assert daly == pytest.approx(young, rel=1e-3)
