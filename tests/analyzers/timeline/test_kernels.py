"""Timelines: bins that double in width, and bringing two to one scale."""

import numpy as np
import pytest

from fabricscope.analyzers.timeline.fold import fold_to
from fabricscope.analyzers.timeline.kernels import bin_of


def binned(times: list[int], bins: int = 8) -> tuple[np.ndarray, np.ndarray]:
    timeline, scale = np.zeros((bins, 2), np.int64), np.array([-1, 3], np.int64)
    for number, time_ns in enumerate(times):
        place = bin_of(time_ns, timeline, scale)
        timeline[place, 0] += 1
        timeline[place, 1] += number
    return timeline, scale


def slow(times: list[int], scale: np.ndarray, bins: int = 8) -> np.ndarray:
    """Return the same counts with the final bin width known from the start."""
    timeline = np.zeros((bins, 2), np.int64)
    for number, time_ns in enumerate(times):
        place = max((time_ns - int(scale[0])) // 2 ** int(scale[1]), 0)
        timeline[place] += 1, number
    return timeline


@pytest.mark.parametrize("seed", range(5))
def test_folding_loses_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = (10**18 + np.cumsum(rng.integers(0, 2 ** (4 * seed + 1), 300))).tolist()
    timeline, scale = binned(times)
    assert scale[0] == times[0]
    assert timeline[:, 0].sum() == 300
    assert (timeline == slow(times, scale)).all()
    # The width is the smallest power of two that holds all.
    assert scale[1] == 3 or (times[-1] - times[0]) >> (int(scale[1]) - 1) >= 8


def test_times_before_the_start_fall_in_the_first_bin() -> None:
    timeline, _ = binned([1000, 2, 1001, 999])
    assert timeline[0, 0] == 4


def test_a_jump_far_ahead_folds_at_once() -> None:
    timeline, scale = binned([0, 1, 2, 10**15])
    assert timeline[:, 0].sum() == 4
    assert timeline[0, 0] == 3
    assert 10**15 >> int(scale[1]) < 8


@pytest.mark.parametrize("offset", [0, 5, 1 << 12])
def test_fold_to_keeps_sums_and_places(offset: int) -> None:
    rng = np.random.default_rng(offset)
    timeline = rng.integers(0, 9, (16, 3))
    folded = fold_to(timeline, 4, 9, offset)
    assert (folded.sum(axis=0) == timeline.sum(axis=0)).all()
    wanted = np.zeros_like(timeline)
    for row in range(16):
        wanted[min((row * 16 + offset) // 512, 15)] += timeline[row]
    assert (folded == wanted).all()
    assert (fold_to(timeline, 4, 4, 0) == timeline).all()
