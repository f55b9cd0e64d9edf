"""Strips of events and stacked rates over the time of day."""

import datetime

from fabricscope.dashboard.figures.live_strips import Strip, as_times, draw_rates, draw_strips

SECOND_NS = 10**9
TIMES = [SECOND_NS * k for k in range(3)]


def test_times_are_utc_without_a_zone() -> None:
    assert as_times([86_400 * SECOND_NS + 1_500_000]) == [
        datetime.datetime(1970, 1, 2, 0, 0, 0, 1_500)
    ]


def test_only_kinds_that_occurred_have_a_strip() -> None:
    strips = [Strip("NAK", "NAKs", "#000", [0, 2, 0]), Strip("CNP", "CNPs", "#000", [0, 0, 0])]
    figure = draw_strips(TIMES, strips, SECOND_NS, 0, 3 * SECOND_NS)
    assert len(figure.data) == 1
    assert list(figure.data[0].y) == [0, 2, 0]
    assert "none: CNPs" in figure.layout.xaxis.title.text
    assert "counts in 1 s" in figure.layout.xaxis.title.text


def test_few_events_have_no_tick_between_two() -> None:
    strips = [Strip("NAK", "NAKs", "#000", [0, 1]), Strip("CNP", "CNPs", "#000", [0, 4_000])]
    figure = draw_strips(TIMES[:2], strips, SECOND_NS, 0, 3 * SECOND_NS)
    assert (figure.layout.yaxis.dtick, figure.layout.yaxis2.dtick) == (1, None)


def test_without_events_it_says_which_are_meant() -> None:
    figure = draw_strips(TIMES, [Strip("NAK", "NAKs", "#000", [0, 0, 0])], SECOND_NS, 0, 1)
    assert figure.layout.annotations[0].text == "None in this time range: NAKs."


def test_a_spike_among_many_points_survives() -> None:
    counts = [0] * 10_000
    counts[7_777] = 5
    figure = draw_strips(
        [SECOND_NS * k for k in range(10_000)], [Strip("NAK", "NAKs", "#000", counts)],
        SECOND_NS, 0, 10_000 * SECOND_NS,
    )  # fmt: skip
    assert max(figure.data[0].y) == 5
    assert len(figure.data[0].y) <= 2_000


def test_rates_are_bits_per_second_with_a_unit() -> None:
    figure = draw_rates(
        TIMES, [("all", "#000", [0, 125_000_000, 0]), ("none", "#000", [0, 0, 0])],
        SECOND_NS, 0, 3 * SECOND_NS,
    )  # fmt: skip
    assert len(figure.data) == 1
    assert max(figure.data[0].y) == 1.0
    assert figure.layout.yaxis.title.text == "Gb/s"
    assert draw_rates(TIMES, [("none", "#000", [0, 0, 0])], SECOND_NS, 0, 1).layout.annotations
