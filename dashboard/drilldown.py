"""From a finding to its packets: which packets of a capture an address asks for, and in what words.

Knows documents of `analyze` and views; what reads captures is in the pipeline.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fabricscope.dashboard.quantities import format_duration
from fabricscope.dashboard.training import name_collective, spans_of
from fabricscope.dashboard.view import View
from fabricscope.pipeline.packets import Selection

__all__ = ["WAYS", "Asked", "frames_parameter", "read_asked"]

WAYS: Final = {"": "to or from it", "up": "from it", "down": "to it"}
_DATA_BYTES: Final = 200
"""Longer than acknowledgements: what carries a collective's data."""
_FRAMES_LIMIT: Final = 500
_PARAMETER_LIMIT: Final = 300
_FRAMES: Final = re.compile(r"[0-9]{1,10}")
_ADDRESS: Final = re.compile(r"[0-9a-zA-Z:.]{2,64}")


@dataclass(frozen=True)
class Asked:
    """What to list, and why so, in words; empty where the address says it all."""

    selection: Selection
    why: str = ""


def read_asked(view: View, document: Mapping[str, Any] | None) -> Asked:
    """Return which packets the parameters of `view` ask for.

    Of a host in a direction, given by a verdict, those of one iteration are shown: that of median
    length, of the collective that the verdict is about. document: None while it is not there yet.
    """
    host = view.parameter("host")
    host = host if _ADDRESS.fullmatch(host) else ""
    way = view.parameter("way")
    least = view.parameter("least")
    frames = tuple(int(text) for text in _FRAMES.findall(view.parameter("frames"))[:_FRAMES_LIMIT])
    bytes_least = min(int(least), 65_536) if least.isascii() and least.isdigit() else 0
    chosen = Selection(
        src=host if way == "up" else "",
        dst=host if way == "down" else "",
        host=host if way not in ("up", "down") else "",
        least_bytes=bytes_least,
        frames=frames,
    )
    if frames:
        return Asked(chosen)
    found = _find_iteration(host, document) if host and view.parameter("all") != "1" else None
    if found is None:
        return Asked(chosen)
    collective, number, (start_ns, end_ns) = found
    return Asked(
        replace(
            chosen, least_bytes=bytes_least or _DATA_BYTES, start_ns=start_ns, end_ns=end_ns + 1
        ),
        f"Iteration {number} of {name_collective(collective)}, which took "
        f"{format_duration((end_ns - start_ns) / 1e9)}, the median: packets of {_DATA_BYTES} bytes "
        "and more.",
    )


def _find_iteration(
    host: str, document: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], int, Sequence[int]] | None:
    """Return collective, number and span of the iteration to show, None for none."""
    if document is None:
        return None
    collectives = [one for one in document["collectives"] if host in one["ranks"] and spans_of(one)]
    if not collectives:
        return None
    blamed = [one for one in collectives if (one.get("straggler") or {}).get("ip") == host]
    chosen = max(blamed or collectives, key=lambda one: one.get("message_bytes") or 0)
    spans = spans_of(chosen)
    order = sorted(range(len(spans)), key=lambda place: spans[place][1] - spans[place][0])
    middle = order[len(order) // 2]
    return chosen, middle + 1, spans[middle]


def frames_parameter(frames: Sequence[int]) -> str:
    """Return frame numbers as an address holds them, as many as it takes."""
    text = ""
    for frame in frames:
        longer = f"{text},{frame}" if text else str(frame)
        if len(longer) > _PARAMETER_LIMIT:
            break
        text = longer
    return text
