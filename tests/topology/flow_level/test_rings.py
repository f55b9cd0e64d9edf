"""Rings by rule against walking through every step."""

import numpy as np
import pytest

from fabricscope.topology.flow_level.options import FlowOptions, make_settings
from fabricscope.topology.flow_level.rings.kernels import run_ring
from reference import topology_flows as reference


def _run(steps, rate, latency_ns, bounds_ns=(0.0,), **options):
    rate = np.atleast_2d(np.array(rate, np.float64))
    latency_ns = np.broadcast_to(np.array(latency_ns, np.float64), rate.shape).copy()
    ranks = rate.shape[1]
    ends_ns = np.zeros(1)
    totals = np.array((0.0, 0.0, np.inf, -np.inf))
    recovered = np.zeros(ranks, np.int64)
    with np.errstate(divide="ignore"):
        step_ns = 1000.0 / rate
    epochs = (np.array([*bounds_ns, np.inf]), rate, latency_ns, np.zeros_like(rate), step_ns)
    sent = np.zeros(rate.shape, np.int64)
    settings = make_settings(FlowOptions(**options), -1.0, -1.0, False)
    run_ring((steps, 1, 1000.0, 0.0), 0, ranks, epochs, settings, ends_ns, sent, recovered, totals)
    return ends_ns[0], totals, recovered


@pytest.mark.parametrize("seed", range(20))
def test_a_ring_ends_when_its_slow_twin_does(seed):
    rng = np.random.default_rng(seed)
    ranks = int(rng.integers(2, 30))
    steps = int(rng.integers(1, 400))
    rate = rng.choice([1.0, 2.0, 4.0], ranks)
    latency_ns = rng.choice([0.0, 10.0, 300.0], ranks)
    end_ns, _, _ = _run(steps, rate, latency_ns)
    expected = reference.ring_end(steps, (1000.0 / rate).tolist(), latency_ns.tolist())
    assert end_ns == pytest.approx(expected, rel=1e-9)


def test_steps_in_which_nothing_changes_are_not_walked():
    _, totals, _ = _run(1_000_000, [1.0] * 8, [10.0] * 8)
    assert totals[0] < 100


def test_a_rank_that_slows_down_for_a_while_delays_the_ring_by_that():
    rates = [[1.0] * 4, [1.0, 0.5, 1.0, 1.0], [1.0] * 4]
    end_ns, _, _ = _run(100, rates, [0.0] * 4, (0.0, 10_000.0, 20_000.0))
    # In 10,000 ns it sends five chunks instead of ten.
    assert end_ns == pytest.approx(100 * 1000.0 + 5000.0)


@pytest.mark.parametrize(
    ("window_bytes", "late_ns", "how"), [(1 << 20, 2000.0 + 50.0, 1), (1000, 30_000.0, 2)]
)
def test_an_outage_costs_a_round_trip_or_a_time_out(window_bytes, late_ns, how):
    rates = [[1.0] * 4, [1.0, 0.0, 1.0, 1.0], [1.0] * 4]
    end_ns, _, recovered = _run(
        100,
        rates,
        [0.0] * 4,
        (0.0, 10_500.0, 12_500.0),
        window_bytes=window_bytes,
        rto_ns=30_000.0,
        rtt_ns=50.0,
    )
    assert recovered.tolist() == [0, how, 0, 0]
    assert end_ns == pytest.approx(100 * 1000.0 + late_ns)


def test_a_ring_whose_path_stays_dead_never_ends():
    rates = [[1.0] * 4, [1.0, 0.0, 1.0, 1.0]]
    end_ns, _, recovered = _run(100, rates, [0.0] * 4, (0.0, 10_500.0))
    assert end_ns == np.inf
    assert recovered[1] == 3
