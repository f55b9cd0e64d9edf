"""Pause time per tap, sender and priority.

The duration of a quantum is 512 bit times of the link, whose rate no capture tells: it is given
by the caller and stands beside each result.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.pause.kernels import follow_pauses, settle_pauses
from fabricscope.analyzers.timeline.fold import TIMELINE_BINS
from fabricscope.records import FLAG_DUPLICATE, FLAG_HEADER_CUT, PROTOCOLS, Packets

PAUSE_DTYPE: Final = np.dtype(
    [
        ("frames", "i8"),
        ("xoff", "i8"),
        ("xon", "i8"),
        ("pause_ns", "i8"),
        ("last_ns", "i8"),
        ("until_ns", "i8"),
        ("first_frame", "i8"),
    ],
    align=True,
)
MAX_SOURCES: Final = 1_024
_PAUSE: Final = PROTOCOLS.index("pause")
_PFC: Final = PROTOCOLS.index("pfc")


class PauseTable:
    """Pause frames of one run."""

    def __init__(self, *, link_rate_gbps: float) -> None:
        """Prepare an empty table; `link_rate_gbps` sets the length of a pause quantum."""
        self.link_rate_gbps = link_rate_gbps
        self._state = np.zeros((MAX_SOURCES, 9), PAUSE_DTYPE).view(np.recarray)
        self._sources = np.zeros((MAX_SOURCES, 2), np.int64)
        self._counters = np.zeros(2, np.int64)
        self.timeline = np.zeros((TIMELINE_BINS, 1), np.int64)
        self.timeline_scale = np.array([-1, 10], np.int64)
        """Frames over time: start_ns (or -1) and shift, a bin is 2**shift ns."""

    def update(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Take in a decoded batch."""
        protocol = packets.protocol
        pause = (protocol == _PAUSE) | (protocol == _PFC)
        if pause.any():
            usable = packets.flags & np.uint32(FLAG_DUPLICATE | FLAG_HEADER_CUT) == 0
            self._count(packets.time_ns[pause & usable])
            bit_time_ns = 1.0 / self.link_rate_gbps
            follow_pauses(view, packets, self._state, self._sources, self._counters, bit_time_ns)

    def _count(self, times_ns: NDArray[np.int64]) -> None:
        """Add frames to the timeline; its bins double in width until all find a place."""
        if times_ns.size == 0:
            return
        if self.timeline_scale[0] < 0:
            self.timeline_scale[0] = times_ns[0]
        since_ns = np.maximum(times_ns - self.timeline_scale[0], 0)
        while int(since_ns.max()) >> int(self.timeline_scale[1]) >= TIMELINE_BINS:
            halved = self.timeline.reshape(-1, 2).sum(axis=1)
            self.timeline[: halved.size, 0] = halved
            self.timeline[halved.size :] = 0
            self.timeline_scale[1] += 1
        places = since_ns >> self.timeline_scale[1]
        self.timeline[:, 0] += np.bincount(places, minlength=TIMELINE_BINS)

    def finish(self, now_ns: int) -> list[dict[str, object]]:
        """Return a record for each sender and priority that was seen, longest pause first.

        `now_ns` is the end of the capture, at which pauses under way are cut off.
        """
        used = int(self._counters[0])
        settle_pauses(self._state, used, now_ns)
        rows: list[dict[str, object]] = []
        for place in range(used):
            tap, mac = self._sources[place].tolist()
            for priority in range(9):
                entry = self._state[place, priority]
                if entry["frames"]:
                    rows.append(
                        {
                            "tap": tap,
                            "source_mac": ":".join(
                                f"{mac:012x}"[k : k + 2] for k in range(0, 12, 2)
                            ),
                            "priority": priority if priority < 8 else None,
                            "frames": int(entry["frames"]),
                            "xoff": int(entry["xoff"]),
                            "xon": int(entry["xon"]),
                            "pause_s": int(entry["pause_ns"]) / 1e9,
                            "assumed_rate_gbps": self.link_rate_gbps,
                            "first_frame": int(entry["first_frame"]),
                        }
                    )
        return sorted(rows, key=lambda row: -float(str(row["pause_s"])))

    @property
    def dropped(self) -> int:
        """Frames of senders past the bound of `MAX_SOURCES`."""
        return int(self._counters[1])
