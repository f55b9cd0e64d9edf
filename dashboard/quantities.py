"""Numbers as people read them: prefixes, units, thousands separators. No figures, no layout.

Volumes of bytes take binary prefixes (KiB = 1,024 bytes), rates and counts take decimal ones.
Whatever is not known (`None`) is shown as an en dash, never as zero.
"""

import math
from typing import Final

UNKNOWN: Final = "–"  # noqa: RUF001 - the typographic sign for "no value"
DECIMAL_PREFIXES: Final = ("", "k", "M", "G", "T", "P", "E")
BINARY_PREFIXES: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def format_count(value: float | None) -> str:
    """Return a count in full, with thousands separators."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def format_number(value: float | None) -> str:
    """Return a plain number with three significant digits, in full and never as a power of ten."""
    return UNKNOWN if value is None else _three_digits(value)


def format_times(ratio: float) -> str:
    """Return a ratio as it is said: `1.32 times`, `1,490 times`."""
    return f"{_three_digits(float(f'{ratio:.3g}'))} times"


def plural(count: float, noun: str) -> str:
    """Return a count with its noun, which takes an s unless there is one of it."""
    return f"{count:,.0f} {noun}" if count == 1 else f"{count:,.0f} {noun}s"


def format_bytes(value: float | None) -> str:
    """Return a volume in bytes with a binary prefix and three significant digits."""
    if value is None:
        return UNKNOWN
    index, factor = scale(value, 1024)
    if index == 0:
        return f"{value:,.0f} B"
    return f"{_three_digits(value / factor)} {BINARY_PREFIXES[index]}B"


def format_bit_rate(bits_per_second: float | None) -> str:
    """Return a rate in bits per second with a decimal prefix and three significant digits."""
    if bits_per_second is None:
        return UNKNOWN
    index, factor = scale(bits_per_second, 1000)
    return f"{_three_digits(bits_per_second / factor)} {DECIMAL_PREFIXES[index]}b/s"


def format_duration(seconds: float | None) -> str:
    """Return a duration in the unit that keeps it between 1 and 1,000, or in minutes to days."""
    if seconds is None:
        return UNKNOWN
    if seconds == 0:
        return "0 s"
    if abs(seconds) >= 100 * 3600:
        hours = round(seconds / 3600)
        return f"{hours // 24:,} d {hours % 24} h"
    if abs(seconds) >= 3600:
        minutes = round(seconds / 60)
        return f"{minutes // 60} h {minutes % 60:02d} min"
    if abs(seconds) >= 120:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60:02d} s"
    unit, factor = time_unit(seconds)
    return f"{_three_digits(seconds / factor)} {unit}"


def format_microseconds(value_us: float | None) -> str:
    """Return a duration that is given in microseconds."""
    return format_duration(None if value_us is None else value_us / 1e6)


def format_share(value: float | None) -> str:
    """Return a share (0 to 1) as a percentage."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    if 0 < abs(percent) < 0.01:
        return "<0.01 %"
    return f"{_three_digits(percent)} %"


def format_ratio(part: float | None, whole: float | None) -> str:
    """Return part / whole as a percentage, unknown where there is no whole."""
    return UNKNOWN if part is None or not whole else format_share(part / whole)


def time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which `seconds` is at least 1, and its length in seconds."""
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= factor * 0.9995:
            return unit, factor
    return "ns", 1e-9


def scale(value: float, base: int) -> tuple[int, float]:
    """Return the prefix index and its factor that keep value / factor below `base` in print."""
    index, factor = 0, 1.0
    while abs(value) / factor >= base - 0.5 and index < len(DECIMAL_PREFIXES) - 1:
        index, factor = index + 1, factor * base
    return index, factor


def _three_digits(value: float) -> str:
    """Return three significant digits without exponent; whole numbers without decimals."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(digits, 6)}f}"
    whole, _, decimals = text.partition(".")
    return text if decimals.strip("0") else whole


def format_clock(time_ns: int) -> str:
    """Return the time of day of a moment since the epoch, UTC."""
    seconds = time_ns // 10**9 % 86_400
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
