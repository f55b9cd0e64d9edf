"""Times, sizes, rates and shares as people write them."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.quantities import (
    parse_rate_gbps,
    parse_share,
    parse_size_bytes,
    parse_time_ns,
)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [("1ms", 1e6), ("340us", 340e3), ("340 µs", 340e3), ("2.5s", 2.5e9), ("0ns", 0.0),
     ("1e3ns", 1e3), ("2h", 7.2e12), ("3min", 1.8e11)],
)  # fmt: skip
def test_times(text: str, time_ns: float) -> None:
    assert parse_time_ns(text) == pytest.approx(time_ns, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("1GiB", 2**30), ("64MB", 64 * 10**6), ("4096", 4096), ("1.5KiB", 1536), ("8 B", 8)],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size_bytes(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "rate_gbps"), [("400G", 400.0), ("1.6T", 1600.0), ("100Gb/s", 100.0), ("100M", 0.1)]
)
def test_rates(text: str, rate_gbps: float) -> None:
    assert parse_rate_gbps(text) == pytest.approx(rate_gbps)


def test_shares() -> None:
    assert parse_share("25%") == parse_share("0.25") == 0.25


@pytest.mark.parametrize("text", ["", "1", "ms", "-1ms", "1 parsec", "1e999s", "nan", "1ms2ms"])
def test_what_is_no_time_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(FabricError, match="write one such as 1ms"):
        parse_time_ns(text)


@pytest.mark.parametrize("text", ["-400G", "0G", "400", "fast"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(FabricError, match="write one such as 400G"):
        parse_rate_gbps(text)


@pytest.mark.parametrize("text", ["1GIB", "-1B", "big"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(FabricError, match="write one such as 1GiB"):
        parse_size_bytes(text)


@pytest.mark.parametrize("text", ["101%", "2", "-1%", "half"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(FabricError, match="write one such as 25%"):
        parse_share(text)
