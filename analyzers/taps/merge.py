"""Batches of several captures in one order of time, on the first tap's clock.

Holds one batch of each source. Reading and decoding are the sources' own business.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.taps.analyzer import TapAnalyzer
from fabricscope.analyzers.taps.copying.kernels import copy_column, copy_rows
from fabricscope.records import BATCH_ROWS, Packets, allocate_packets, slice_packets

COPIED_BYTES: Final = 2_048
"""Captured bytes of a packet that a merged batch keeps: all headers and the start of payload."""
_LAST_ROWS: Final = 16
_LONGEST_SILENCE_NS: Final = 60_000_000_000
_REWRITTEN: Final = frozenset({"packet_offset", "payload_offset", "captured_length"})

Batch = tuple[NDArray[np.uint8], Packets]


class _Source:
    """One capture: its batch in hand, its rows in order of time, and how many are given out."""

    def __init__(self, batches: Iterator[Batch], analyzer: TapAnalyzer) -> None:
        self._batches = batches
        self._analyzer = analyzer
        self.view = np.empty(0, np.uint8)
        self.packets = allocate_packets(0)
        self._order = np.empty(0, np.int64)
        self._times_ns = np.empty(0, np.int64)
        self._given = 0
        self.newest_ns = 0

    def refill(self) -> bool:
        """Read a batch if none is in hand; False at the end of the source."""
        while self._given == self._order.size:
            batch = next(self._batches, None)
            if batch is None:
                return False
            self.view, self.packets = batch
            self._analyzer.align(self.view, self.packets)
            self._order = np.argsort(self.packets.time_ns, kind="stable")
            self._times_ns = self.packets.time_ns[self._order]
            self._given = 0
            if self._order.size:
                self.newest_ns = _newest_ns(self.packets.time_ns, self._times_ns)
        return True

    def take(self, horizon_ns: int) -> NDArray[np.int64]:
        """Return the rows up to the horizon: all of them once the source has been read so far."""
        if self.newest_ns <= horizon_ns:
            stop = self._order.size
        else:
            stop = int(np.searchsorted(self._times_ns, horizon_ns, side="right"))
        rows = self._order[self._given : max(stop, self._given)]
        self._given = max(stop, self._given)
        return rows


def _newest_ns(times_ns: NDArray[np.int64], sorted_ns: NDArray[np.int64]) -> int:
    """Return how far a batch has been read, from its times in the order of the file and sorted.

    That is the last row's time; a wrong time stamp there must not hold up other sources, nor let
    them wait for a day that never comes.
    """
    last_ns = int(times_ns[-1])
    middle_ns = int(np.sort(times_ns[-_LAST_ROWS:])[-1 - min(_LAST_ROWS, times_ns.size) // 2])
    if sorted_ns.size > 1 and last_ns - int(sorted_ns[-2]) > _LONGEST_SILENCE_NS:
        return middle_ns
    return max(last_ns, middle_ns)


def merge(
    analyzer: TapAnalyzer, sources: list[Iterator[Batch]], *, copied_bytes: int = COPIED_BYTES
) -> Iterator[Batch]:
    """Yield the packets of all sources by corrected time, at most BATCH_ROWS at a time.

    The sources' batches are aligned (`TapAnalyzer.align`) on the way and may be reused by them
    for the next one; what is yielded is valid until the next step. `captured_length` is cut to
    `copied_bytes`. Rows of equal time stay in the order of sources, then of files.
    """
    if copied_bytes < 1:
        raise ValueError("copied_bytes must be positive")
    merged = allocate_packets(BATCH_ROWS)
    arena = np.empty(0, np.uint8)
    open_sources = [_Source(source, analyzer) for source in sources]
    while open_sources := [source for source in open_sources if source.refill()]:
        horizon_ns = min(source.newest_ns for source in open_sources)
        taken = [(source, source.take(horizon_ns)) for source in open_sources]
        times_ns = np.concatenate([source.packets.time_ns[rows] for source, rows in taken])
        places = np.empty(times_ns.size, np.int64)
        places[np.argsort(times_ns, kind="stable")] = np.arange(times_ns.size)
        for start in range(0, times_ns.size, BATCH_ROWS):
            count = min(BATCH_ROWS, times_ns.size - start)
            batch = slice_packets(merged, 0, count)
            arena = _fill(taken, places, start, batch, arena, copied_bytes)
            view = arena.view()
            view.flags.writeable = False  # as the collectors' views are
            yield view, batch


def _fill(
    taken: list[tuple[_Source, NDArray[np.int64]]],
    places: NDArray[np.int64],
    start: int,
    batch: Packets,
    arena: NDArray[np.uint8],
    copied_bytes: int,
) -> NDArray[np.uint8]:
    """Write the rows whose place is in the batch; returns the arena, a larger one if need be."""
    count = batch.time_ns.size
    chosen = []
    first = 0
    for source, rows in taken:
        mine = places[first : first + rows.size] - start
        first += rows.size
        inside = (mine >= 0) & (mine < count)
        chosen.append((source, rows[inside], mine[inside]))
    for source, rows, at in chosen:
        for name in Packets._fields:
            if name not in _REWRITTEN:
                copy_column(getattr(source.packets, name), rows, at, getattr(batch, name))
        lengths = source.packets.captured_length[rows]
        batch.captured_length[at] = np.minimum(lengths, copied_bytes)
    ends = np.cumsum(batch.captured_length, dtype=np.int64)
    offsets = ends - batch.captured_length
    if arena.size < ends[-1]:
        arena = np.empty(int(ends[-1]), np.uint8)
    for source, rows, at in chosen:
        copy_rows(source.view, source.packets, rows, at, copied_bytes, arena, batch, offsets)
    return arena
