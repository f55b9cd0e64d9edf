"""The same packet at several taps of a running collector: marked, so that it is counted once."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.taps.analyzer import TapAnalyzer
from fabricscope.analyzers.taps.layout import MAX_TAPS
from fabricscope.records import Packets

__all__ = ["DuplicateMarker"]

WINDOW_NS: Final = 2_000_000_000
"""Longest time between two sightings of a packet; all taps carry this host's time stamps."""
REMEMBERED_PACKETS: Final = 1 << 19


class DuplicateMarker:
    """Sets FLAG_DUPLICATE on rows that another tap saw before.

    Remembers nothing, and costs next to nothing, until a second tap is heard of.
    """

    def __init__(
        self, *, window_ns: int = WINDOW_NS, remembered_packets: int = REMEMBERED_PACKETS
    ) -> None:
        """Remember at most so many packets for at most so long."""
        self._window_ns = window_ns
        self._remembered_packets = remembered_packets
        self._taps: set[int] = set()
        self._analyzer: TapAnalyzer | None = None

    def mark(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Mark a decoded batch of taps below MAX_TAPS; later ones are counted as they come."""
        taps = packets.tap
        if (taps == taps[0]).all():
            self._taps.add(int(taps[0]))
        else:
            self._taps.update(np.unique(taps).tolist())
        if self._analyzer is None:
            if len(self._taps) < 2:
                return
            self._analyzer = TapAnalyzer(
                [""] * MAX_TAPS,
                window_ns=self._window_ns,
                remembered_packets=self._remembered_packets,
            )
        if max(self._taps) < MAX_TAPS:
            self._analyzer.mark(view, packets)

    @property
    def counters(self) -> dict[str, int]:
        """Return how many packets were forgotten before the window had passed, for want of room."""
        return {"forced_out": self._analyzer.forced_out if self._analyzer else 0}
