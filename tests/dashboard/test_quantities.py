"""Prefixes, units and rounding of numbers as people read them."""

import pytest

from fabricscope.dashboard import quantities
from fabricscope.dashboard.quantities import UNKNOWN, format_clock


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1 KiB"),
        (1536, "1.50 KiB"),
        (1024**2 - 1, "1 MiB"),
        (524_288, "512 KiB"),
        (18.8 * 1024**3, "18.8 GiB"),
        (None, UNKNOWN),
    ],
)
def test_bytes_take_binary_prefixes(value: float | None, expected: str) -> None:
    assert quantities.format_bytes(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0 b/s"),
        (999, "999 b/s"),
        (999_999, "1 Mb/s"),
        (2_110_000_000, "2.11 Gb/s"),
        (400e9, "400 Gb/s"),
        (None, UNKNOWN),
    ],
)
def test_rates_take_decimal_prefixes(value: float | None, expected: str) -> None:
    assert quantities.format_bit_rate(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (12e-9, "12 ns"),
        (9.4e-6, "9.40 µs"),
        (999.9e-6, "1 ms"),
        (0.0123, "12.3 ms"),
        (4.29, "4.29 s"),
        (146, "2 min 26 s"),
        (184_281_000, "2,132 d 21 h"),
        (7265, "2 h 01 min"),
        (3599.9, "60 min 00 s"),
    ],
)
def test_durations_take_the_unit_that_fits(seconds: float, expected: str) -> None:
    assert quantities.format_duration(seconds) == expected


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(1, 0, UNKNOWN), (0, 5, "0 %"), (1, 3, "33.3 %"), (5, 5, "100 %"), (1, 1_000_000, "<0.01 %")],
)
def test_a_ratio_without_a_whole_is_unknown(part: int, whole: int, expected: str) -> None:
    assert quantities.format_ratio(part, whole) == expected


def test_counts_are_written_in_full() -> None:
    assert quantities.format_count(1_234_567) == "1,234,567"
    assert quantities.format_count(None) == UNKNOWN


def test_clock_is_the_time_of_day() -> None:
    assert format_clock(1_800_000_000 * 10**9 + 999) == "08:00:00"
    assert format_clock((23 * 3600 + 59 * 60 + 59) * 10**9) == "23:59:59"
