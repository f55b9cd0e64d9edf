"""Clocks of several taps against the first, from samples of known making."""

import itertools

import numpy as np
import pytest

from fabricscope.analyzers.taps.alignment import TapClock, estimate_clocks
from fabricscope.analyzers.taps.samples import SightingSample
from reference.taps_traffic import START_NS, Clock, Run, frozen, rows, three_taps


def estimate(run: Run, taps: tuple[int, ...] = (0, 1, 2)) -> dict[int, TapClock]:
    sample = SightingSample()
    for tap in taps:
        view, packets = run.taps[tap]
        sample.add(view, packets, np.full(packets.time_ns.size, tap, np.uint16))
    return estimate_clocks(sample, list(taps))


@pytest.mark.parametrize("offsets", [(0, 50_000, -80_000), (0, 3_600_000_000_000, -1), (0, 0, 0)])
def test_offsets_within_their_error(offsets: tuple[int, ...]) -> None:
    run = three_taps(np.random.default_rng(2), [Clock(offset) for offset in offsets])
    clocks = estimate(run)
    assert (clocks[0].offset_ns, clocks[0].error_ns) == (0, 0.0)
    for tap in (1, 2):
        clock = clocks[tap]
        assert clock.error_ns is not None
        assert abs(clock.offset_ns - offsets[tap]) <= clock.error_ns
        assert abs(clock.offset_ns - offsets[tap]) < 500
        assert clock.error_ns < 5_500 * tap
        assert clock.matched_packets > 1_900
        assert clock.drift_ppm is None


@pytest.mark.parametrize("ppm", [8.0, -60.0])
def test_drift_beside_a_large_offset(ppm: float) -> None:
    true = [Clock(), Clock(90_000_000_000, ppm), Clock(-5_000, -ppm)]
    run = three_taps(np.random.default_rng(2), true, packets=4_000, spacing_ns=2_000_000)
    clocks = estimate(run)
    for tap in (1, 2):
        clock, drift_ppm = clocks[tap], clocks[tap].drift_ppm
        assert drift_ppm == pytest.approx(true[tap].drift_ppm, abs=0.05)
        assert drift_ppm is not None
        for since in (0, 4_000_000_000, 8_000_000_000):
            at = START_NS + since
            claimed = clock.offset_ns + drift_ppm * 1e-6 * (at - clock.epoch_ns)
            expected = int(true[tap].show(np.array([at], np.int64))[0]) - at
            assert claimed == pytest.approx(expected, abs=1_500)


def test_one_way_traffic_has_no_error_bound() -> None:
    run = three_taps(np.random.default_rng(2), [Clock(), Clock(70_000), Clock()], two_way=False)
    clock = estimate(run)[1]
    assert clock.error_ns is None
    assert clock.offset_ns == pytest.approx(70_000 + 5_000, abs=500)


def test_a_chain_reaches_taps_without_common_packets() -> None:
    offsets = (0, 40_000, -90_000)
    run = three_taps(np.random.default_rng(2), [Clock(offset) for offset in offsets])
    # Packets that taps 0 and 2 share are taken away: half of them from each.
    for tap, rest in ((0, 0), (2, 1)):
        view, packets = run.taps[tap]
        kept = packets.psn % 2 == rest
        run.taps[tap] = (view, packets._make(column[kept] for column in packets))
    clock = estimate(run)[2]
    assert clock.error_ns is not None
    assert abs(clock.offset_ns - offsets[2]) <= clock.error_ns
    assert clock.error_ns < 12_000


def test_strangers_keep_their_own_clock() -> None:
    run = three_taps(np.random.default_rng(2), [Clock(), Clock(5_000_000), Clock()])
    _, stranger = run.taps[1]
    stranger.src_lo[:] += np.uint64(100)
    clocks = estimate(run)
    assert clocks[1].reference == 1
    assert clocks[1].offset_ns == 0
    assert clocks[1].matched_packets == 0
    assert clocks[2].reference == 0


def test_nothing_to_go_by() -> None:
    sample = SightingSample()
    assert estimate_clocks(sample, [0, 1])[1].matched_packets == 0


def test_contradicting_clocks_end() -> None:
    # Steps of a clock and random times: no line fits, and the error says so.
    rng = np.random.default_rng(4)
    sample = SightingSample()
    view = frozen(bytes(64))
    for tap in range(4):
        packets = rows(
            500,
            psn=np.arange(500),
            time_ns=START_NS + rng.integers(0, 10_000_000, 500),
            src_lo=np.arange(500) % 2,
            dst_lo=1 - np.arange(500) % 2,
        )
        sample.add(view, packets, np.full(500, tap, np.uint16))
    clocks = estimate_clocks(sample, [0, 1, 2, 3])
    for one, other in itertools.pairwise(range(4)):
        assert abs(clocks[one].offset_ns - clocks[other].offset_ns) < 10_000_000
