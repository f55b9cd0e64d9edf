"""Figures of distributions."""

import math

import pytest
from examples.analysis import empty_document, ring_document

from fabricscope.dashboard.figures import distributions
from fabricscope.dashboard.figures.drawing import POINTS_LIMIT

TIMES = (distributions.draw_message_times, distributions.draw_ack_round_trips)


@pytest.mark.parametrize("draw", TIMES)
def test_times_show_counts_share_and_percentiles(draw: object) -> None:
    figure = draw({"edges": [1, 10, 100, 1000], "counts": [0, 98, 2]})  # type: ignore[operator]
    counts, share = figure.data
    assert list(counts.x) == pytest.approx([1e-5, 1e-4, 1e-3])
    assert list(counts.y) == [98, 2, 2]
    assert list(share.y) == pytest.approx([0, 98, 100])
    names = [annotation.text.split()[0] for annotation in figure.layout.annotations]
    assert names == ["p50", "p99"]
    # A text on a logarithmic axis is placed by its exponent; by its value it would be far off.
    assert -5 < figure.layout.annotations[0].x < -4
    assert figure.layout.xaxis.type == "log"


@pytest.mark.parametrize("draw", [*TIMES, distributions.draw_packet_sizes])
def test_nothing_to_draw_is_said(draw: object) -> None:
    figure = draw(empty_document()["distributions"]["message_us"])  # type: ignore[operator]
    assert not figure.data
    assert figure.layout.annotations[0].text.startswith("No ")


def test_edges_from_zero_fit_a_logarithmic_axis() -> None:
    figure = distributions.draw_message_times({"edges": [0, 2, 4], "counts": [3, 1]})
    assert figure.data[0].x[0] == pytest.approx(1e-6)
    assert all(math.isfinite(math.log10(x)) for x in figure.data[0].x)


def test_many_bins_are_merged_without_losing_packets() -> None:
    bins = 9000
    figure = distributions.draw_packet_sizes(
        {"edges": list(range(1, bins + 2)), "counts": [1] * bins}
    )
    assert len(figure.data[0].x) <= POINTS_LIMIT
    assert sum(figure.data[0].y[:-1]) == bins


def test_sizes_are_in_bytes() -> None:
    part = ring_document()["distributions"]["packet_size_bytes"]
    figure = distributions.draw_packet_sizes(part)
    assert "bytes" in figure.layout.xaxis.title.text
    assert 64 in figure.layout.xaxis.tickvals


@pytest.mark.parametrize(("low", "high"), [(1e-6, 5e-6), (1e-7, 10.0), (3e-6, 4e-6)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = distributions.time_ticks(low, high)
    assert len(ticks) <= distributions.TICKS_LIMIT
    assert all(low <= tick <= high for tick in ticks)
