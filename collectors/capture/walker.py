"""Drive a format's kernel over the bytes at hand and decide what to do about damage.

How the bytes arrive is not known here; how a record is laid out is the kernels' and subclasses'.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture import layout
from fabricscope.collectors.capture.source import Window
from fabricscope.records import Packets

SCAN_BYTES: Final = 64 << 10
"""How far the next believable record is looked for after a damaged one."""

DEFAULT_RECORD_LIMIT: Final = 262_144
"""A record that claims more than this, and more than the file's snap length, is damaged."""

LARGEST_RECORD_LIMIT: Final = 16 << 20
"""Bound on what a file's own snap length can allow, and so on the memory for one record."""

SPAN_BYTES: Final = 8 << 20
"""Most bytes of input that one batch spans, which bounds the mapped pages in use."""


@dataclass
class CaptureCounters:
    """What was read from one capture, and what could not be."""

    records: int = 0
    captured_bytes: int = 0
    wire_bytes: int = 0
    unreadable_bytes: int = 0
    unreadable_records: int = 0
    impossible_times: int = (
        0  # timestamps that do not fit in 64-bit nanoseconds: the one before is repeated
    )
    ended: str = ""  # why reading stopped before the end of the file, or empty


class Walker(ABC):
    """Turns bytes into record columns; one object reads one input from its start to its end."""

    def __init__(self, first_tap: int) -> None:
        """Take the number of the first tap."""
        self.taps: list[str] = []
        self.counters = CaptureCounters()
        self.done = False
        self.need_bytes = 0
        self.first_tap = first_tap
        self.state = np.zeros(layout.STATE_SIZE, np.int64)
        self.layout = np.zeros(layout.LAYOUT_SIZE, np.int64)
        self.layout[layout.RECORD_LIMIT] = DEFAULT_RECORD_LIMIT
        self.layout[layout.SPAN_LIMIT] = SPAN_BYTES

    @abstractmethod
    def run_kernel(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Append rows from `state[POSITION]` on."""

    @abstractmethod
    def find_record(self, view: NDArray[np.uint8], start: int, scan_stop: int, stop: int) -> int:
        """Return the offset of the next believable record in [start, scan_stop), or -1."""

    def walk(self, window: Window, packets: Packets) -> int:
        """Fill the record columns from the window and return how many rows.

        Afterwards either rows were filled, or `done` is true, or `need_bytes` must be at hand
        before the next call.
        """
        state = self.state
        state[layout.POSITION] = window.position
        state[layout.STOP] = window.stop
        state[layout.ROW] = 0
        self.need_bytes = 0
        while not self.done:
            self.run_kernel(window.view, packets)
            status = state[layout.STATUS]
            if status == layout.FULL:
                if state[layout.ROW] > 0:
                    break
            elif status != layout.SHORT:
                self.pass_obstacle(window)
            elif window.final:
                self._finish(window, packets)
            else:
                self.need_bytes = int(state[layout.NEED])
            if self.need_bytes:
                break
        window.position = int(state[layout.POSITION])
        self._count()
        return int(state[layout.ROW])

    def pass_obstacle(self, window: Window) -> None:
        """Deal with what the kernel stopped at: damage, unless a format has more than records."""
        self.pass_over_damage(window)

    def pass_over_damage(self, window: Window) -> None:
        """Go on at the next believable record after the impossible one, or end here."""
        at = int(self.state[layout.POSITION])
        wanted = SCAN_BYTES + int(self.layout[layout.RECORD_LIMIT]) + SCAN_BYTES
        if not window.final and window.stop - at < wanted:
            self.need_bytes = wanted
            return
        if self._resume(window, at):
            return
        self._end(f"{self.here()} at byte {window.origin + at:,} has an impossible length")
        self.state[layout.UNREADABLE_BYTES] += window.stop - at
        self.state[layout.UNREADABLE_RECORDS] += 1
        self.state[layout.POSITION] = window.stop

    def _finish(self, window: Window, packets: Packets) -> None:
        """Deal with the last bytes of the input, which are no complete record."""
        at = int(self.state[layout.POSITION])
        if at == window.stop:
            self.done = True
            return
        if self._resume(window, at):
            return
        where = self.here()
        self.state[layout.ACCEPT_CUT] = 1
        self.run_kernel(window.view, packets)
        self.end_cut(window, where)

    def end_cut(self, window: Window, where: str) -> None:
        """End at the end of the input, which is in the middle of something."""
        self.state[layout.UNREADABLE_BYTES] += window.stop - self.state[layout.POSITION]
        self.state[layout.POSITION] = window.stop
        self._end(f"cut in the middle of {where} at byte {window.origin + window.stop:,}")

    def _resume(self, window: Window, at: int) -> bool:
        """Move on to the next believable record after `at`, if there is one nearby."""
        scan_stop = min(window.stop, at + SCAN_BYTES)
        found = self.find_record(window.view, at + 1, scan_stop, window.stop)
        if found < 0:
            return False
        self.state[layout.UNREADABLE_BYTES] += found - at
        self.state[layout.UNREADABLE_RECORDS] += 1
        self.state[layout.POSITION] = found
        return True

    def _end(self, reason: str) -> None:
        self.done = True
        self.counters.ended = reason

    def here(self) -> str:
        """Name the record at hand, counting from 1."""
        return f"record {int(self.state[layout.FRAME]) + 1:,}"

    def _count(self) -> None:
        state = self.state
        counters = self.counters
        counters.records = int(state[layout.FRAME])
        counters.captured_bytes = int(state[layout.CAPTURED_BYTES])
        counters.wire_bytes = int(state[layout.WIRE_BYTES])
        counters.unreadable_bytes = int(state[layout.UNREADABLE_BYTES])
        counters.unreadable_records = int(state[layout.UNREADABLE_RECORDS])
        counters.impossible_times = int(state[layout.IMPOSSIBLE_TIMES])
