"""What an interface dropped by itself, before any ring could see it."""

from pathlib import Path
from typing import Final

__all__ = ["dropped_by_interfaces"]

_TABLE: Final = Path("/proc/self/net/dev")
_DROPS: Final = 3  # place among the received counters: those without a buffer and those refused
_OVERRUNS: Final = 4  # of the card's own queue


def dropped_by_interfaces(text: str | None = None) -> dict[str, int]:
    """Return packets dropped on reception since it came up, by interface of this network namespace.

    text: the kernel's table, None to read it. A packet that the ring had no room for is not among
    them: the ring counts it.
    """
    if text is None:
        try:
            text = _TABLE.read_text("ascii", "replace")
        except OSError:
            return {}
    counts = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and len(words) > _OVERRUNS:
            counts[name.strip()] = int(words[_DROPS]) + int(words[_OVERRUNS])
    return counts
