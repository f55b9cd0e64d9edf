"""Counts what each host's access link carried, second by second.

The link of a host is known by its address: what the host sends goes up, what it receives comes
down. Which cable that is, the topology says; without one the address is the link's name.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.links import layout
from fabricscope.analyzers.links.kernels import add_hosts, count_links
from fabricscope.records import Packets

MAX_LINKS: Final = 8_192
FULL_PART: Final = 0.75
SILENT_SECONDS: Final = 120
SELDOM_SECONDS: Final = 3
"""When such a part of the room is taken, links that were silent for so long are forgotten; where
that does not leave half of it, those heard in fewer seconds too, as the targets of a scan are."""


class LinkCounts(NamedTuple):
    """What was counted since the sample before.

    hosts: (links, 2) address halves; counts: (links, 2) COUNT_DTYPE, up and down; bins:
    (links, 2, BINS) bytes in each 10 ms; uncounted: packets of no link.
    """

    hosts: NDArray[np.uint64]
    counts: NDArray[np.void]
    bins: NDArray[np.int64]
    uncounted: int

    @property
    def burst_bytes(self) -> NDArray[np.int64]:
        """Return the bytes in the busiest 10 ms, (links, 2)."""
        return self.bins.max(axis=2) if len(self.bins) else np.zeros((0, 2), np.int64)

    def scaled(self, factor: float) -> "LinkCounts":
        """Return an estimate of all packets where one in `factor` was counted."""
        counts = self.counts.copy()
        for name in layout.COUNT_DTYPE.names or ():
            counts[name] = np.rint(counts[name] * factor)
        bins = np.rint(self.bins * factor).astype(np.int64)
        return LinkCounts(self.hosts, counts, bins, round(self.uncounted * factor))


class LinkCounter:
    """Counters of all access links; `update` each batch, `sample` each second."""

    def __init__(self, *, flow_capacity: int = 262_144, max_links: int = MAX_LINKS) -> None:
        """Prepare empty counters; memory is touched as it is used."""
        self._state = layout.LinkState(
            hosts=np.zeros((max_links, 2), np.uint64),
            table=np.zeros(1 << (2 * max_links - 1).bit_length(), np.int32),
            flow_hosts=np.zeros(2 * flow_capacity, np.int32),
            counts=np.zeros((max_links, 2), layout.COUNT_DTYPE).view(np.recarray),
            bins=np.zeros((max_links, 2, layout.BINS), np.int64),
            cursor=np.zeros(4, np.int64),
        )
        self._samples = 0
        self._heard: NDArray[np.int64] = np.zeros(max_links, np.int64)
        self._seconds: NDArray[np.int64] = np.zeros(max_links, np.int64)

    def begin(self, time_ns: int) -> None:
        """Set the start of the second whose packets come next."""
        self._state.cursor[1] = time_ns

    def update(self, packets: Packets, flow: NDArray[np.int64], side: NDArray[np.uint8]) -> None:
        """Take in a decoded batch after the flow table has seen it."""
        count_links(self._state, packets, flow, side)

    def flow_closed(self, slots: NDArray[np.int64]) -> None:
        """Forget the hosts of flows that ended, before their slots are used again."""
        self._state.flow_hosts[2 * slots] = 0
        self._state.flow_hosts[2 * slots + 1] = 0

    def sample(self, next_ns: int) -> LinkCounts:
        """Return what was counted and begin the second at `next_ns`."""
        state = self._state
        used = int(state.cursor[0])
        result = LinkCounts(
            state.hosts[:used].copy(),
            state.counts[:used].copy(),
            state.bins[:used].copy(),
            int(state.cursor[2]),
        )
        state.counts[:used] = np.zeros((), layout.COUNT_DTYPE)
        state.bins[:used] = 0
        state.cursor[2] = 0
        self.begin(next_ns)
        self._samples += 1
        active = result.counts["packets"].any(axis=1)
        self._heard[:used][active] = self._samples
        self._seconds[:used] += active
        if used >= FULL_PART * len(state.hosts):
            self.make_room()
        return result

    @property
    def left_out(self) -> int:
        """Return of how many packets one end was not counted for want of room."""
        return int(self._state.cursor[3])

    def make_room(self, *, always: bool = False) -> None:
        """Forget links that fell silent; none has counts yet in the second that begins.

        always: enter the others anew even where all stay.
        """
        state = self._state
        used = int(state.cursor[0])
        lately = self._heard[:used] > self._samples - SILENT_SECONDS
        if np.count_nonzero(lately) > len(state.hosts) // 2:
            lately &= self._seconds[:used] >= SELDOM_SECONDS
        kept = np.flatnonzero(lately)
        if kept.size == used and not always:
            return
        moved = np.zeros(used + 1, np.int32)  # by link + 1, as flows know it
        moved[kept + 1] = np.arange(1, kept.size + 1)
        # What a flow knows of an end that has no link, below 0, stays.
        known = state.flow_hosts > 0
        state.flow_hosts[known] = moved[state.flow_hosts[known]]
        for values in (state.hosts, self._heard, self._seconds):
            values[: kept.size] = values[kept]
            values[kept.size :] = 0
        state.cursor[0] = kept.size
        state.table[:] = 0
        add_hosts(state)
