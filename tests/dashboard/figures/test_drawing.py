"""Decimation and what all figures share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricscope.dashboard.figures import drawing


@pytest.mark.parametrize("position", [0, 1, 4999, 77_777, 99_999])
@pytest.mark.parametrize("spike", [9.0, -9.0])
def test_a_spike_of_one_point_survives(position: int, spike: float) -> None:
    y = np.sin(np.arange(100_000) / 50)
    y[position] = spike
    x, thinned = drawing.decimate(np.arange(100_000), y)
    assert len(x) == len(thinned) <= drawing.POINTS_LIMIT
    assert spike in thinned
    assert x[thinned == spike].tolist() == [position]


@given(st.lists(st.floats(-1e9, 1e9), max_size=300), st.integers(2, 50))
def test_decimation_keeps_order_and_extremes(values: list[float], limit: int) -> None:
    x, y = drawing.decimate(range(len(values)), values, limit)
    assert len(x) <= max(limit, 0) or len(values) <= limit
    assert np.all(np.diff(x) > 0)
    assert all(values[int(place)] == value for place, value in zip(x, y, strict=True))
    if values:
        assert (y.min(), y.max()) == (min(values), max(values))


@pytest.mark.parametrize(
    ("bin_ns", "unit", "last"),
    [
        (10**15, "d", 1145.83),
        (10**12, "h", 27.5),
        (10**8, "s", 9.9),
        (10**5, "ms", 9.9),
        (1000, "µs", 99.0),
    ],
)
def test_the_time_axis_takes_the_unit_of_the_span(bin_ns: int, unit: str, last: float) -> None:
    x, shown = drawing.seconds_axis(100, bin_ns)
    assert shown == unit
    assert x[-1] == pytest.approx(last, rel=1e-5)


def test_labels_are_escaped() -> None:
    assert drawing.escape_label('<b>\x1b"&') == '&lt;b&gt;\\x1b"&amp;'


def test_no_button_uploads() -> None:
    buttons = {name for group in drawing.CONFIG["modeBarButtons"] for name in group}
    assert not [name for name in buttons if "cloud" in name.lower()]
