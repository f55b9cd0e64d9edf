"""What a finding or a rule saw, in words: names without underscores, numbers with their units."""

from collections.abc import Callable, Mapping
from typing import Final

from fabricscope.dashboard.quantities import (
    format_bit_rate,
    format_bytes,
    format_duration,
    format_share,
)

_UNITS: Final[dict[str, Callable[[float], str]]] = {
    "us": lambda value: format_duration(value / 1e6),
    "ms": lambda value: format_duration(value / 1e3),
    "s": format_duration,
    "gbps": lambda value: format_bit_rate(value * 1e9),
    "bytes": format_bytes,
}
"""Units that stand in a name and need not be read out of it."""
_SHARES: Final = frozenset({"share", "ratio"})
_SPELLED: Final = {
    **{word: word.upper() for word in ("ack", "cnp", "crc", "ecn", "ip", "nak", "qp", "rnr",
                                       "xoff", "xon")},
    "cnps": "CNPs",
    "naks": "NAKs",
}  # fmt: skip


def list_evidence(evidence: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return named values as text, without those that are not known."""
    return [_describe(str(name), value) for name, value in evidence.items() if value is not None]


def describe_evidence(evidence: object) -> str:
    """Return evidence, which may be a sentence, a list or named values, as one line.

    Named values that are not known are left out.
    """
    if isinstance(evidence, Mapping):
        return ", ".join(f"{name} {value}" for name, value in list_evidence(evidence))
    if isinstance(evidence, list | tuple):
        return "; ".join(describe_evidence(item) for item in evidence)
    return "" if evidence is None else format_value(evidence)


def format_value(value: object) -> str:
    """Return a value of a finding's evidence: numbers with separators, anything else as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, Mapping | list | tuple):
        return describe_evidence(value)
    return str(value)


def _describe(name: str, value: object) -> tuple[str, str]:
    words = name.split("_")
    shown = format_value(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        unit = next((word for word in words[1:] if word in _UNITS), "")
        if unit:
            words.remove(unit)
            shown = _UNITS[unit](value)
        elif words[-1] in _SHARES:
            shown = format_share(value)
    return " ".join(_SPELLED.get(word, word) for word in words), shown
