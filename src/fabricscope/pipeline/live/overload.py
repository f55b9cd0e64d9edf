"""What is given up when packets come faster than they can be analyzed, and when it comes back.

In this order: per-packet RDMA detail and training jobs, then payload and behaviour, then all but 1
in N batches, N doubling. What is left out is counted, what is scaled is labelled.
"""

from dataclasses import dataclass
from typing import Final

from fabricscope.pipeline.live.monitor import DETAIL_ALL, DETAIL_SAMPLED

MAX_SAMPLING: Final = 64
MOST_WAITING: Final = 0.4
"""Part of the ring that may wait at a second's end; the rest is there for a burst."""

RELIEF_TICKS: Final = 10
"""Seconds without pressure before one step is taken back."""


@dataclass
class Overload:
    """The level of detail that the load allows; `judge` once a second."""

    level: int = DETAIL_ALL
    sampling: int = 1
    calm: int = 0

    def judge(self, dropped: int, busy_share: float, waiting_share: float) -> bool:
        """Take note of a second; return whether the level changed.

        dropped: packets that found no room in the ring; busy_share: part of the second in which
        packets were analyzed; waiting_share: part of the ring that waits to be read. A second that
        is busy from begin to end does no harm as long as nothing piles up.
        """
        before = self.level, self.sampling
        if dropped > 0 or waiting_share > MOST_WAITING:
            self.calm = 0
            if self.level < DETAIL_SAMPLED:
                self.level += 1
                self.sampling = 2 if self.level == DETAIL_SAMPLED else 1
            elif self.sampling < MAX_SAMPLING:
                self.sampling *= 2
        elif busy_share < 0.5 and waiting_share < MOST_WAITING / 4:
            self.calm += 1
            if self.calm >= RELIEF_TICKS:
                self.calm = 0
                self._take_back()
        return (self.level, self.sampling) != before

    def _take_back(self) -> None:
        if self.level == DETAIL_SAMPLED and self.sampling > 2:
            self.sampling //= 2
        elif self.level > DETAIL_ALL:
            self.level -= 1
            self.sampling = 1
