"""Who is at the other end of each tap, by the LLDP frames seen on it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.dpi.extractors.lldp import parse_neighbour
from fabricscope.records import PROTOCOLS, Packets

__all__ = ["NeighbourWatch"]

_LLDP: Final = PROTOCOLS.index("lldp")
MAX_FRAMES: Final = 64
"""LLDP frames of a batch that are read: a port sends one in 30 seconds."""

MAX_NEIGHBOURS: Final = 1_024


class NeighbourWatch:
    """Remembers (tap, system, port) of the LLDP frames seen."""

    def __init__(self) -> None:
        """Know nobody."""
        self._known: dict[tuple[int, str, str], None] = {}

    def update(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Look through a decoded batch."""
        rows = np.flatnonzero(packets.protocol == _LLDP)[:MAX_FRAMES]
        for row in rows.tolist():
            start = int(packets.payload_offset[row])
            stop = min(
                start + int(packets.payload_length[row]),
                int(packets.packet_offset[row]) + int(packets.captured_length[row]),
            )
            detail = parse_neighbour(view[start:stop].tobytes())
            system = detail.get("system_name") or detail.get("chassis")
            if system and len(self._known) < MAX_NEIGHBOURS:
                key = int(packets.tap[row]), str(system), str(detail.get("port", ""))
                self._known[key] = None

    def rows(self, tap_names: list[str]) -> tuple[dict[str, str], ...]:
        """Return tap, system and port of each neighbour, by the taps' names."""
        return tuple(
            {"tap": tap_names[tap], "system": system, "port": port}
            for tap, system, port in self._known
            if tap < len(tap_names)
        )
