"""The tap analyzer: a first pass samples, `fit` estimates clocks, a second pass marks.

No files and no decoding here; `merge.merge` interleaves the second pass of several captures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.taps import kernels
from fabricscope.analyzers.taps.alignment import TapClock, estimate_clocks
from fabricscope.analyzers.taps.layout import (
    LOSS_TAPS,
    PAYLOAD_BYTES,
    PROXIMITY_NS,
    REMEMBERED_PACKETS,
    TOTALS,
    WINDOW_NS,
    allocate_state,
)
from fabricscope.analyzers.taps.losses import TapLosses, judge
from fabricscope.analyzers.taps.registry import TapRegistry
from fabricscope.analyzers.taps.samples import SAMPLES, SightingSample, signatures
from fabricscope.records import Packets, slice_packets

_NO_CLOCK: Final = TapClock(0, None, None, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class LostExample:
    """A packet that a tap missed: the tap that saw it, and the frame number there."""

    tap: str
    frame: int


@dataclass(frozen=True, slots=True)
class TapReport:
    """One tap: what it saw, how its clock differs from the first tap's, what it missed."""

    name: str
    packets: int
    duplicate_packets: int  # another tap saw them first
    clock_offset_us: float | None  # at the start; None: no packet in common with the first tap
    offset_error_us: float | None  # None: traffic one way bounds the offset on one side only
    drift_ppm: float | None  # None: the data does not show one
    matched_packets: int  # of those sampled, seen at another tap too
    lost_packets: int  # must have passed and were not captured
    network_lost_packets: int  # of these, sent again later
    collector_lost_packets: int  # of these, never sent again
    absent_packets: int  # of flows that took another path for a while
    unjudged_packets: int  # missed, of flows this tap saw too little of
    examples: tuple[LostExample, ...]


@dataclass(frozen=True, slots=True)
class TapResult:
    """All taps, in order of appearance."""

    taps: tuple[TapReport, ...]
    packets: int
    duplicate_packets: int
    forced_out: int  # distinct packets forgotten before the window had passed
    shortest_memory_ns: int | None  # least time that one of them was remembered
    unjudged_packets: int  # distinct packets of flows beyond the loss tables
    cut_searches: int  # searches among equal packets that were given up
    other_tap_packets: int  # of taps beyond the limit


class TapAnalyzer:
    """Finds the packets that several taps saw; `names` is indexed by the `tap` column.

    Offline: `sample` each capture, `fit`, then `merge` or `align`, and `mark`, then `finish`.
    Live: `mark` alone, rows carrying taps below MAX_TAPS; clocks are then taken as equal.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        window_ns: int = WINDOW_NS,
        remembered_packets: int = REMEMBERED_PACKETS,
        samples: int = SAMPLES,
    ) -> None:
        """Remember nothing yet; the three limits bound memory (see `layout` and `samples`)."""
        self._names = names
        self._window_ns = window_ns
        self._proximity_ns = PROXIMITY_NS
        self._payload_bytes = PAYLOAD_BYTES
        self._registry = TapRegistry(names)
        self._sample: SightingSample | None = SightingSample(samples)
        self._sampled = False
        self._clocks: dict[int, TapClock] = {}
        self._moved = False
        self._offsets_ns = np.zeros(0, np.int64)
        self._drifts = np.zeros(0, np.float64)
        self._epochs_ns = np.zeros(0, np.int64)
        self._state = allocate_state(remembered_packets)

    def sample(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Look at a batch of one capture, before the second pass; changes nothing in it."""
        if self._sample is None:
            raise ValueError("sample() comes before fit()")
        if packets.time_ns.size:
            self._sampled = True
            self._sample.add(view, packets, self._registry.resolve(view, packets))

    def fit(self) -> list[TapClock]:
        """Estimate the clocks of the taps seen so far, in order of appearance."""
        if self._sample is None:
            raise ValueError("fit() is called once")
        indexes = self._registry.indexes
        if len(indexes) > 1:
            self._clocks = estimate_clocks(self._sample, indexes)
            self._payload_bytes = self._sample.payload_bytes
            errors = [clock.error_ns or 0.0 for clock in self._clocks.values()]
            self._proximity_ns = min(PROXIMITY_NS + int(max(errors)), self._window_ns)
        self._sample = None
        places = range(max(indexes, default=0) + 1)
        clocks = [self._clocks.get(index, _NO_CLOCK) for index in places]
        self._offsets_ns = np.array([clock.offset_ns for clock in clocks], np.int64)
        self._drifts = np.array([(clock.drift_ppm or 0.0) * 1e-6 for clock in clocks])
        self._epochs_ns = np.array([clock.epoch_ns for clock in clocks], np.int64)
        self._moved = bool(self._offsets_ns.any() or self._drifts.any())
        return [self._clocks.get(index, _NO_CLOCK) for index in indexes]

    def align(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Rewrite `tap` to the tap's index in the result and `time_ns` to the first tap's clock.

        Once for each batch of the second pass; `merge` does it itself.
        """
        taps = self._registry.resolve(view, packets)
        packets.tap[:] = taps
        if self._moved:
            # A tap that appears after the fit has no clock of its own.
            known = np.minimum(taps, self._offsets_ns.size - 1)
            fitted = taps < self._offsets_ns.size
            times = packets.time_ns - np.where(fitted, self._offsets_ns[known], 0)
            ahead = self._drifts[known] * (times - self._epochs_ns[known]) * fitted
            packets.time_ns[:] = times - np.rint(ahead).astype(np.int64)

    def mark(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Set FLAG_DUPLICATE on the rows of an aligned batch that another tap saw before."""
        alone = self._registry.count <= 1 and (self._sampled or len(self._names) <= 1)
        kernels.count(packets, self._state)
        if alone:
            return
        step = self._state.entries.size // 2
        for start in range(0, packets.time_ns.size, step):
            part = slice_packets(packets, start, start + step)
            columns = signatures(view, part, self._payload_bytes)
            kernels.mark(part, *columns, self._state, self._window_ns, self._proximity_ns)

    @property
    def forced_out(self) -> int:
        """Return how many packets were forgotten so far before the window had passed."""
        return int(self._state.totals[TOTALS.forced_out])

    def finish(self) -> TapResult:
        """Return what was found; the analyzer is not to be used again."""
        kernels.finish(self._state)
        totals = self._state.totals
        memory_ns = int(totals[TOTALS.shortest_memory_ns])
        losses = judge(self._state)
        return TapResult(
            taps=tuple(
                self._report(index, losses[index] if index < LOSS_TAPS else TapLosses())
                for index in self._registry.indexes
            ),
            packets=int(self._state.packets.sum()),
            duplicate_packets=int(self._state.duplicates.sum()),
            forced_out=int(totals[TOTALS.forced_out]),
            shortest_memory_ns=None if memory_ns < 0 else memory_ns,
            unjudged_packets=int(totals[TOTALS.unjudged]),
            cut_searches=int(totals[TOTALS.cut_searches]),
            other_tap_packets=self._registry.overflow_rows,
        )

    def _report(self, index: int, losses: TapLosses) -> TapReport:
        clock = self._clocks.get(index)
        first = index == 0
        linked = clock is not None and clock.reference == 0 and not first
        offset_us = clock.offset_ns / 1e3 if clock is not None and linked else None
        error_ns = clock.error_ns if clock is not None and linked else None
        return TapReport(
            name=self._registry.name(index),
            packets=int(self._state.packets[index]),
            duplicate_packets=int(self._state.duplicates[index]),
            clock_offset_us=0.0 if first else offset_us,
            offset_error_us=0.0 if first else None if error_ns is None else error_ns / 1e3,
            drift_ppm=clock.drift_ppm if clock is not None and linked else None,
            matched_packets=clock.matched_packets if clock is not None else 0,
            lost_packets=losses.resent + losses.not_resent,
            network_lost_packets=losses.resent,
            collector_lost_packets=losses.not_resent,
            absent_packets=losses.absent,
            unjudged_packets=losses.unjudged,
            examples=tuple(
                LostExample(self._registry.name(witness.tap), witness.frame)
                for witness in losses.examples
            ),
        )
