"""Months drawn at random against arithmetic."""

import math

import numpy as np
import pytest

from fabricscope.topology.availability.months import CAUSES, draw_months, interruptions_a_month
from fabricscope.topology.availability.outages import OutageDraws
from fabricscope.topology.availability.rates import Cluster, Rates

NOTHING = dict.fromkeys(
    ("gpu", "server", "access_link", "fabric_link", "leaf", "upper_switch", "flaps", "silent"), 0
)


def _outages(shown_ns, silent_ns=math.inf):
    shown, silent = np.array([shown_ns]), np.array([silent_ns])
    return OutageDraws(shown, shown, silent, silent)


def _draw(outages, months=400, cluster=None, interval_s=None, gpus=1024, **rates):
    return draw_months(
        gpus, months, cluster or Cluster(), Rates(**{**NOTHING, **rates}), outages,
        np.random.default_rng(1), interval_s,
    )  # fmt: skip


def test_gpus_interrupt_at_their_rate():
    drawn = _draw(_outages(1e3), gpu=0.01)
    total = drawn.interruptions.sum(axis=0)
    assert total.mean() == pytest.approx(10.24, abs=4 * math.sqrt(10.24 / 400))
    assert total.var() == pytest.approx(10.24, rel=0.3)  # Poisson
    assert drawn.interruptions[CAUSES.index("gpu")].sum() == total.sum()


def test_an_interruption_costs_half_an_interval_and_a_restart():
    drawn = _draw(_outages(1e3), months=4000, gpu=0.01, interval_s=3600.0)
    count = drawn.interruptions.sum()
    assert drawn.rework.sum() / count == pytest.approx(1024 * (3660 / 2) / 3600, rel=0.02)
    assert drawn.restart.sum() / count == pytest.approx(1024 * 600 / 3600)


@pytest.mark.parametrize(
    ("outage_ns", "stall_s"),
    [(84.1e3, 4.29), (100e6, 4.29), (9e9, 3 * 4.295), (29e9, 7 * 4.295)],
)
def test_a_drained_window_waits_for_whole_timeouts(outage_ns, stall_s):
    drawn = _draw(_outages(outage_ns), fabric_link=0.01)
    failures = drawn.failures.sum()
    assert drawn.interruptions.sum() == 0
    assert drawn.stall.sum() / failures * 3600 / 1024 == pytest.approx(stall_s, rel=0.01)


def test_a_short_outage_costs_a_timeout_only_where_it_takes_a_tail():
    drawn = _draw(_outages(4.2e3), months=4000, fabric_link=0.01)
    mean_s = drawn.stall.sum() / drawn.failures.sum() * 3600 / 1024
    assert mean_s == pytest.approx(0.1 * 4.295, rel=0.05)  # 4.2 of 42 us


def test_queue_pairs_that_give_up_interrupt_the_job():
    drawn = _draw(_outages(math.inf), fabric_link=0.01)
    assert drawn.interruptions.sum() == drawn.failures.sum() > 0
    late = _draw(_outages(31e9), fabric_link=0.01)
    assert late.interruptions.sum() == late.failures.sum()


def test_recovery_helps_an_access_link_only_where_there_are_two():
    single = _draw(_outages(1e3), access_link=0.01)
    assert single.interruptions.sum() == single.failures.sum()
    dual = _draw(_outages(1e3), cluster=Cluster(dual_homed=True), access_link=0.01)
    assert dual.interruptions.sum() == 0


def test_silent_failures_take_the_silent_times():
    drawn = _draw(_outages(1e3, math.inf), fabric_link=0.05, silent=0.2)
    share = drawn.interruptions.sum() / drawn.failures.sum()
    assert share == pytest.approx(0.2, rel=0.1)


def test_very_many_failures_are_drawn_from_their_distribution():
    few = _draw(_outages(100e6), months=20, gpus=1024, flaps=1.0)
    many = _draw(_outages(100e6), months=20, gpus=65_536, flaps=1.0)
    assert many.failures.sum() > 1_000_000
    per_flap = [drawn.stall.sum() / gpus / drawn.failures.sum() for drawn, gpus in
                ((few, 1024), (many, 65_536))]  # fmt: skip
    # links between switches are a half of the flaps with two tiers, two thirds with three
    assert per_flap[1] == pytest.approx(per_flap[0], rel=0.2)


def test_expected_interruptions_are_rates_times_shares():
    rates = Rates(**{**NOTHING, "gpu": 0.002, "access_link": 0.001})
    monthly = interruptions_a_month(1000, Cluster(), rates, _outages(1e3), np.random.default_rng(1))
    assert monthly == pytest.approx(3.0)
