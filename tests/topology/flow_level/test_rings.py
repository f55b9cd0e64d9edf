"""Rings by rule against walking through every step."""

import numpy as np
import pytest

from fabricscope.topology.flow_level.options import FlowOptions, make_settings
from fabricscope.topology.flow_level.rings.kernels import _misses, run_ring
from reference import topology_flows as reference


def _run(steps, rate, latency_ns, bounds_ns=(0.0,), iterations=1, loss=0.0, compute=0.0, **options):
    rate = np.atleast_2d(np.array(rate, np.float64))
    latency_ns = np.broadcast_to(np.array(latency_ns, np.float64), rate.shape).copy()
    ranks = rate.shape[1]
    ends_ns = np.zeros(iterations)
    loss = np.broadcast_to(np.array(loss, np.float64), rate.shape).copy()
    totals = np.array((0.0, 0.0, np.inf, -np.inf))
    recovered = np.zeros(ranks, np.int64)
    with np.errstate(divide="ignore"):
        step_ns = 1000.0 / rate
    bounds = np.array([*bounds_ns, np.inf])
    epochs = (bounds, rate, latency_ns, np.zeros_like(rate), step_ns, loss)
    lossy = np.flatnonzero(loss.any(axis=0))
    sent = np.zeros(rate.shape, np.int64)
    settings = make_settings(FlowOptions(**options), -1.0, -1.0, False)
    ring = (steps, iterations, 1000.0, compute, 0.0)
    run_ring(ring, 0, ranks, epochs, settings, lossy, ends_ns, sent, recovered, totals)
    return ends_ns if iterations > 1 else ends_ns[0], totals, recovered


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


def test_iterations_in_which_nothing_changes_are_not_walked():
    ends_ns, totals, _ = _run(10, [1.0] * 8, [10.0] * 8, iterations=100_000, compute=500.0)
    assert totals[0] < 1000
    # The first one ends with the way of the last chunk; each later one begins when it has come.
    period_ns = 10 * 1000.0 + 9 * 10.0 + 10.0 + 500.0
    assert ends_ns == pytest.approx(np.arange(1, 100_001) * period_ns)


def test_iterations_are_walked_again_around_a_change():
    rates = [[1.0] * 4, [1.0, 0.5, 1.0, 1.0], [1.0] * 4]
    bounds_ns = (0.0, 1e6, 1e6 + 10_000.0)
    ends_ns, totals, _ = _run(100, rates, [0.0] * 4, bounds_ns, iterations=1000)
    assert totals[0] < 10_000
    assert ends_ns[8] == pytest.approx(9 * 100_000.0)
    assert ends_ns[-1] == pytest.approx(1000 * 100_000.0 + 5000.0)


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("ranks", [2, 5, 20])
def test_a_lost_tail_is_missed_when_the_next_chunk_arrives(ranks, loss):
    options = {"rto_ns": 1e9, "rtt_ns": 400.0, "packet_bytes": 10, "seed": 3}
    settings = make_settings(FlowOptions(**options), -1.0, -1.0, False)
    lossy = [0.0, loss] + [0.0] * (ranks - 2)
    end_ns, _, recovered = _run(999, [1.0] * ranks, [100.0] * ranks, loss=lossy, **options)
    missed = {1: {step for step in range(1, 999) if _misses(settings, 1, step, 0, loss)}}
    again_ns = 400.0 + 10.0
    expected = reference.ring_end(999, [1000.0] * ranks, [100.0] * ranks, missed, again_ns)
    if not _misses(settings, 1, 999, 0, loss):
        assert end_ns == pytest.approx(expected)
        assert recovered[1] == 1
    else:
        assert recovered[1] == 2
    assert len(missed[1]) == pytest.approx(999 * loss, rel=0.6)


def test_the_last_tail_of_all_waits_for_the_time_out():
    options = {"rto_ns": 1e9, "rtt_ns": 400.0}
    end_ns, _, recovered = _run(1, np.ones((2, 2)), [0.0] * 2, (0.0, 5000.0),
                                loss=[[1.0, 0.0], [0.0, 0.0]], **options)  # fmt: skip
    assert recovered.tolist() == [2, 0]
    assert end_ns == pytest.approx(1e9 + 1000.0)
    _, _, recovered = _run(1, [1.0] * 2, [0.0] * 2, loss=[1.0, 0.0], **options)
    assert recovered.tolist() == [3, 0]


def test_chance_of_lost_tails_follows_the_seed():
    ends = [
        _run(500, [1.0] * 4, [100.0] * 4, loss=[0.1] * 4, rtt_ns=400.0, seed=seed)[0]
        for seed in (1, 1, 2)
    ]
    assert ends[0] == ends[1] != ends[2]


@pytest.mark.parametrize("seed", range(10))
def test_epochs_of_equal_rates_change_nothing(seed):
    """Ranks in different epochs are followed run by run; the ends must not depend on it."""
    rng = np.random.default_rng(seed)
    ranks = int(rng.integers(3, 30))
    rate = rng.choice([1.0, 2.0, 4.0], ranks)
    latency_ns = rng.choice([0.0, 10.0, 300.0], ranks)
    bounds_ns = (0.0, *np.sort(rng.uniform(0, 2e5, 5)))
    plain, _, _ = _run(200, rate, latency_ns)
    cut, _, _ = _run(200, np.tile(rate, (6, 1)), latency_ns, bounds_ns)
    assert cut == pytest.approx(plain, rel=1e-9)
