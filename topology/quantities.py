"""Quantities as people write them in scenarios and on the command line: `1ms`, `1GiB`, `400G`.

Reading only; how numbers are shown is a matter of the dashboard.
"""

import math
import re
from typing import Final

from fabricscope.errors import FabricError

__all__ = ["parse_rate_gbps", "parse_share", "parse_size_bytes", "parse_time_ns"]

_TIME_NS: Final = {
    "ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "min": 6e10, "h": 3.6e12, "d": 8.64e13,
}  # fmt: skip
_SIZE_BYTES: Final = {
    "": 1, "B": 1,
    "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_RATE_GBPS: Final = {
    "M": 1e-3, "G": 1.0, "T": 1e3, "Mb/s": 1e-3, "Gb/s": 1.0, "Tb/s": 1e3,
    "Mbps": 1e-3, "Gbps": 1.0, "Tbps": 1e3,
}  # fmt: skip
_NUMBER: Final = re.compile(r"\s*([+-]?[0-9_]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(\S*)\s*", re.ASCII)


def parse_time_ns(text: str) -> float:
    """Return the time in ns that `text` such as 1ms, 340us or 2.5s says; never negative.

    Raises FabricError.
    """
    return _parse(text, _TIME_NS, "time", "1ms, 500us or 2.5s")


def parse_size_bytes(text: str) -> int:
    """Return the bytes that `text` such as 1GiB, 64MB or 4096 says. Raises FabricError."""
    return round(_parse(text, _SIZE_BYTES, "size", "1GiB, 64MB or 4096"))


def parse_rate_gbps(text: str) -> float:
    """Return the rate in Gb/s that `text` such as 400G or 1.6T says, above 0.

    Raises FabricError.
    """
    rate_gbps = _parse(text, _RATE_GBPS, "rate", "400G or 1.6T")
    if not rate_gbps > 0:
        raise FabricError(f"rate {text!r} is not above 0; write one such as 400G")
    return rate_gbps


def parse_share(text: str) -> float:
    """Return the share (0 to 1) that `text` such as 25% or 0.25 says. Raises FabricError."""
    share = _parse(text, {"": 1.0, "%": 0.01}, "share", "25% or 0.25")
    if share > 1:
        raise FabricError(f"share {text!r} is above 1; write one such as 25% or 0.25")
    return share


def _parse(text: str, units: "dict[str, float] | dict[str, int]", what: str, like: str) -> float:
    match = _NUMBER.fullmatch(text)
    if not match or match[2] not in units:
        raise FabricError(f"{what} {text[:40]!r} is not understood; write one such as {like}")
    value = float(match[1].replace("_", "")) * units[match[2]]
    if value < 0 or not math.isfinite(value):
        raise FabricError(
            f"{what} {text[:40]!r} is negative or too large; write one such as {like}"
        )
    return value
