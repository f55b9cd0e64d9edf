"""Random durations: limits, medians, and how they are written."""

import numpy as np
import pytest

from fabricscope.topology.recovery.durations import Duration, fixed, read_duration


@pytest.mark.parametrize("duration", [Duration(1e3, 5e3, 1e6), Duration(0.0, 2e3, 3e3)])
def test_draws_keep_limits_and_median(duration):
    rng = np.random.default_rng(1)
    draws = [duration.draw(rng) for _ in range(4_000)]
    for values in (draws, duration.draw_many(rng, 4_000)):
        assert duration.low_ns <= min(values) <= max(values) <= duration.high_ns
        assert np.median(values) == pytest.approx(duration.median_ns, rel=0.1)


def test_a_fixed_duration_needs_no_chance():
    assert fixed(7.0).draw(np.random.default_rng(1)) == 7.0
    assert (fixed(7.0).draw_many(np.random.default_rng(1), 3) == 7.0).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1ms", Duration(1e6, 1e6, 1e6)),
        ("1ms..3ms", Duration(1e6, 2e6, 3e6)),
        ("1us..1ms..3ms", Duration(1e3, 1e6, 3e6)),
        (500, Duration(500, 500, 500)),
    ],
)
def test_durations_are_written_with_two_dots(text, expected):
    assert read_duration(text) == expected


@pytest.mark.parametrize("text", ["3ms..1ms", "1ms..2ms..3ms..4ms", "soon", "1ms..", -1, "1e30s"])
def test_misspelt_durations_are_refused(text):
    with pytest.raises(ValueError, match=r"duration|time"):
        read_duration(text)
