"""What decided a behaviour, in words: features come as `name=value`, with numbers in base units."""

import re
from collections.abc import Callable
from typing import Final

from fabricscope.dashboard.columns import Cell, Row
from fabricscope.dashboard.quantities import (
    UNKNOWN,
    format_bit_rate,
    format_bytes,
    format_duration,
    format_number,
    format_share,
)

_FEATURE: Final = re.compile(r"\b([a-z]\w*)=(-?[\d.]+(?:e[-+]?\d+)?)")
_LABELS: Final = {
    "larger_bytes": "larger direction",
    "both_bytes": "smaller direction",
    "data_bytes_mean": "mean of data packets",
    "bytes_per_turn": "each turn",
    "upload_share": "upload",
    "download_share": "download",
    "one_way_share": "one way",
    "relay": "passed on",
    "a_payload": "payload sent",
}
_SHARES: Final = frozenset({"relay", "exchange", "between_ranks", "a_is_rank", "storage_context"})


def features(row: Row) -> Cell:
    """Return a cell with the features that decided a flow's behaviour."""
    shown = describe_features(row.get("behaviour_features") or "") or UNKNOWN
    return Cell(shown, shown)


def describe_features(text: str) -> str:
    """Return features with units and without exponents; what is no feature stays as it is."""
    return _FEATURE.sub(lambda match: _describe(match[1], float(match[2])), text)


def _describe(name: str, value: float) -> str:
    form, unit = _form_of(name)
    label = _LABELS.get(name) or name.removesuffix(unit).replace("_", " ")
    return f"{label} {form(value)}"


def _form_of(name: str) -> tuple[Callable[[float], str], str]:
    """Return how a feature's value is written, and the ending of its name that is the unit."""
    if name in _SHARES or name.endswith("_share"):
        return format_share, "_share"
    if "bytes" in name or name.endswith("payload"):
        return format_bytes, "_bytes"
    if name.endswith("_mbps"):
        return lambda value: format_bit_rate(value * 1e6), "_mbps"
    if name.endswith("_bps"):
        return format_bit_rate, "_bps"
    if name.endswith("_s"):
        return format_duration, "_s"
    return format_number, ""
