"""Carries packets from a feed into a monitor, second by second of their own time.

What the seconds mean is judged by whoever they are handed to.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fabricscope.collectors.decode import decode
from fabricscope.pipeline.live.counts import SecondCounts
from fabricscope.pipeline.live.feeds import Batch, Feed
from fabricscope.pipeline.live.monitor import Monitor
from fabricscope.pipeline.live.overload import Overload
from fabricscope.records import BATCH_ROWS, Packets, allocate_packets, slice_packets

__all__ = ["Watch"]

SECOND_NS: Final = 1_000_000_000
WAIT_S: Final = 0.1
JUDGED_EVERY_S: Final = 0.9
LATE_NS: Final = 300_000_000
"""A second without further packets is closed this long after its end."""

BACK_NS: Final = 2 * SECOND_NS
FAR_NS: Final = 60 * SECOND_NS
STEP_EVERY_S: Final = 1.0
"""The clock was set back when it says so by two seconds itself, or when packets come a minute late:
no ring holds any for so long. Ports whose clocks differ set it to and fro, at most so often."""


@dataclass
class Watch:
    """Carries a feed's packets through a monitor and hands on what each second counted.

    idle: whether seconds pass without packets too. poll: called between batches; must not wait.
    """

    feed: Feed
    monitor: Monitor
    hand_on: Callable[[SecondCounts], None]
    overload: Overload = field(default_factory=Overload)
    idle: bool = False
    poll: Callable[[], None] = lambda: None
    packets: int = 0

    def __post_init__(self) -> None:
        """Prepare the second at hand: none yet."""
        self._start_ns = 0
        self._stopped = False
        self._batches = 0
        self._busy_s = 0.0
        self._dropped = 0
        self._judged_s = time.monotonic()
        self._stepped_s = -STEP_EVERY_S

    def stop(self) -> None:
        """End the run after what has come already; may be called from a signal handler."""
        self._stopped = True

    def run(self) -> None:
        """Carry packets until the end; the last, incomplete second is told too."""
        packets = allocate_packets(BATCH_ROWS)
        self._judged_s = time.monotonic()
        if self.idle:
            self._begin(self.feed.now_ns() // SECOND_NS * SECOND_NS)
        while True:
            if self._stopped:
                self.feed.stop()
            batch = self.feed.read(packets, WAIT_S)
            if batch is None:
                break
            self.poll()
            began_s = time.monotonic()
            if batch[1].time_ns.size:
                self._take(batch)
                self._busy_s += time.monotonic() - began_s
            elif self._start_ns:
                self._pass_time()
        if self._start_ns:
            self._tick(self._start_ns + SECOND_NS, last=True)

    def _pass_time(self) -> None:
        """Close the second at hand when it is over, without packets that say so."""
        now_ns = self.feed.now_ns()
        if self._went_back(now_ns):
            self._begin_anew(now_ns)
        elif now_ns > self._start_ns + SECOND_NS + LATE_NS:
            self._tick(self._start_ns + SECOND_NS)
            # A clock that was set forward by far is followed at once, not second by second.
            if now_ns > self._start_ns + FAR_NS:
                self._begin_anew(now_ns, told=True)

    def _went_back(self, time_ns: int) -> bool:
        """Tell whether `time_ns`, of a packet or of the feed, says that the clock was set back."""
        late_ns = self._start_ns - time_ns
        if late_ns <= BACK_NS or time.monotonic() - self._stepped_s < STEP_EVERY_S:
            return False
        return late_ns > FAR_NS or self.feed.now_ns() < self._start_ns - BACK_NS

    def _begin_anew(self, time_ns: int, *, told: bool = False) -> None:
        """Go on at another time; told: the second at hand was closed already."""
        if not told:
            self._tick(self._start_ns + SECOND_NS)
        self._begin(time_ns // SECOND_NS * SECOND_NS)
        self._stepped_s = time.monotonic()

    def _take(self, batch: Batch) -> None:
        """Analyze a batch, second by second."""
        view, rows = batch
        self.packets += rows.time_ns.size
        self._batches += 1
        self.monitor.tap_names = self.feed.tap_names()
        if not self._start_ns:
            self._begin(int(rows.time_ns[0]) // SECOND_NS * SECOND_NS)
        if self._went_back(int(rows.time_ns[0])):
            self._begin_anew(int(rows.time_ns[0]))
        skipping = self.overload.sampling > 1 and self._batches % self.overload.sampling > 0
        if not skipping:
            decode(view, rows)
        while rows.time_ns.size:
            end_ns = self._start_ns + SECOND_NS
            later = np.flatnonzero(rows.time_ns >= end_ns)
            cut = int(later[0]) if later.size else rows.time_ns.size
            if cut:
                part = slice_packets(rows, 0, cut)
                if skipping:
                    self._skip(part)
                else:
                    self.monitor.update(view, part)
            if not later.size:
                return
            rows = slice_packets(rows, cut, rows.time_ns.size)
            self._tick(end_ns)
            # Silence between packets is told as one: no rows are made of hours without traffic.
            silent = (int(rows.time_ns[0]) - self._start_ns) // SECOND_NS
            if silent > 0:
                self._begin(self._start_ns + silent * SECOND_NS)

    def _skip(self, rows: Packets) -> None:
        for tap in np.unique(rows.tap).tolist():
            self.monitor.skip(tap, int(np.count_nonzero(rows.tap == tap)))

    def _begin(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self.monitor.begin(start_ns)

    def _tick(self, end_ns: int, *, last: bool = False) -> None:
        """Close the second at hand and hand its counts on."""
        losses = self.feed.losses()
        self.hand_on(self.monitor.collect(self._start_ns, end_ns, losses, last=last))
        self._start_ns = end_ns
        self._dropped += sum(lost.dropped for lost in losses.values())
        if not self.feed.waits:
            self._judge_load()

    def _judge_load(self) -> None:
        """Set the level of detail by the load since it was last judged.

        At most once a second of this host's time: what piled up is read faster than it came.
        """
        passed_s = time.monotonic() - self._judged_s
        if passed_s < JUDGED_EVERY_S:
            return
        busy = min(self._busy_s / passed_s, 1.0)
        if self.overload.judge(self._dropped, busy, self.feed.waiting_share()):
            self.monitor.level = self.overload.level
            self.monitor.sampling = self.overload.sampling
        self._busy_s, self._dropped, self._judged_s = 0.0, 0, time.monotonic()
