"""Where the packets of a running pipeline come from: mirror ports, a pipe, a file at its pace.

A feed waits, reads and counts; it decodes nothing and knows no analyzer.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture import CaptureFile, displayed
from fabricscope.collectors.mirror.interfaces import dropped_by_interfaces
from fabricscope.collectors.mirror.ring import RETIRE_MS, MirrorRing, start_together
from fabricscope.collectors.mirror.tunnels import MirrorTunnels
from fabricscope.errors import CaptureError
from fabricscope.records import Packets, slice_packets

__all__ = ["Feed", "FileFeed", "Losses", "RingFeed", "SilentFeed"]

Batch = tuple[NDArray[np.uint8], Packets]
SECOND_NS: Final = 1_000_000_000
LAST_BLOCK_S: Final = 3 * RETIRE_MS / 1_000
"""How long after a ring was shut its last block may still come."""


class Losses(NamedTuple):
    """What a tap lost since it was last asked."""

    dropped: int = 0  # packets for which the ring had no room
    freezes: int = 0  # times that the ring stood still
    missed: int = 0  # packets that the interface dropped before the ring


class Feed(Protocol):
    """A source that never ends by itself, or does when it has nothing more."""

    @property
    def waits(self) -> bool:
        """Whether packets wait until they are read, so that none is lost for being slow."""
        ...

    def tap_names(self) -> list[str]:
        """Return the name of each tap number."""
        ...

    def read(self, packets: Packets, timeout_s: float) -> Batch | None:
        """Return the next records within the time, no rows if there are none; None at the end."""
        ...

    def stop(self) -> None:
        """Take nothing new in; what has come already is still read, and then None."""
        ...

    def losses(self) -> dict[int, Losses]:
        """Return what each tap lost since the last call."""
        ...

    def waiting_share(self) -> float:
        """Return which part of the room for packets is taken, 0 to 1."""
        ...

    def now_ns(self) -> int:
        """Return the time of the data: what a packet that came now would carry."""
        ...


class RingFeed:
    """Mirror ports of this host, one tap each; the rings are opened by the caller.

    tunnels: mirrors that arrive wrapped, each session a tap more. first: whether this feed tells
    what the interfaces dropped; of several that share them one does.
    """

    waits = False

    def __init__(
        self,
        rings: Sequence[MirrorRing],
        tunnels: MirrorTunnels | None = None,
        *,
        first: bool = True,
    ) -> None:
        """Take open rings in the order of their taps."""
        self._rings = list(rings)
        self._tunnels = tunnels
        self._first = first
        self._next = 0
        self._stopped_s = 0.0
        self._told = [Losses()] * len(self._rings)
        self._missed = dropped_by_interfaces()

    @property
    def interfaces(self) -> int:
        """How many interfaces are watched."""
        return len(self._rings)

    @property
    def tunnel_kinds(self) -> tuple[str, ...]:
        """What is listened for in tunnels."""
        return self._tunnels.kinds if self._tunnels is not None else ()

    def start(self) -> None:
        """Let packets in."""
        self._missed = dropped_by_interfaces()
        start_together(self._rings)

    def tap_names(self) -> list[str]:
        """Return the interfaces, then the sessions seen so far."""
        if self._tunnels is not None:
            return self._tunnels.names()
        return [ring.interface for ring in self._rings]

    def read(self, packets: Packets, timeout_s: float) -> Batch | None:
        """Return what the next ring with packets holds; rings take turns."""
        for step in range(len(self._rings)):
            ring = self._rings[(self._next + step) % len(self._rings)]
            wait_s = timeout_s / len(self._rings)
            if ring.wait(0 if step + 1 < len(self._rings) else wait_s):
                self._next = (self._next + step + 1) % len(self._rings)
                view, count = ring.read(packets)
                rows = slice_packets(packets, 0, count)
                if self._tunnels is not None:
                    self._tunnels.unwrap(view, rows)
                return view, rows
        if self._stopped_s and time.monotonic() > self._stopped_s + LAST_BLOCK_S:
            return None
        return np.zeros(0, np.uint8), slice_packets(packets, 0, 0)

    def stop(self) -> None:
        """Shut the rings; a block that is not full comes a moment later."""
        if not self._stopped_s:
            for ring in self._rings:
                ring.shut()
            self._stopped_s = time.monotonic()

    def waiting_share(self) -> float:
        """Return how full the fullest ring is."""
        return max(ring.waiting_share() for ring in self._rings)

    def losses(self) -> dict[int, Losses]:
        """Ask the kernel what it dropped."""
        result = {}
        totals = dropped_by_interfaces() if self._first else {}
        for tap, ring in enumerate(self._rings):
            counters = ring.count()
            before = self._told[tap]
            known = self._missed.get(ring.interface, 0)
            # An interface that was taken away and came back counts from nothing.
            missed = totals.get(ring.interface, known)
            now = Losses(counters.dropped, counters.freezes, before.missed + max(missed - known, 0))
            self._missed[ring.interface] = missed
            result[tap] = Losses(*(value - old for value, old in zip(now, before, strict=True)))
            self._told[tap] = now
        return result

    def now_ns(self) -> int:
        """Return the host's time, which the kernel stamps packets with."""
        return time.time_ns()


class SilentFeed:
    """No packets at all, only time: for a collector that watches counters."""

    waits = True

    def __init__(self) -> None:
        """Begin."""
        self._stopped = False

    def tap_names(self) -> list[str]:
        """Return no taps."""
        return []

    def read(self, packets: Packets, timeout_s: float) -> Batch | None:
        """Wait, and return no rows."""
        if self._stopped:
            return None
        time.sleep(timeout_s)
        return np.zeros(0, np.uint8), slice_packets(packets, 0, 0)

    def stop(self) -> None:
        """Wait no longer."""
        self._stopped = True

    def waiting_share(self) -> float:
        """Return 0."""
        return 0.0

    def losses(self) -> dict[int, Losses]:
        """Return nothing."""
        return {}

    def now_ns(self) -> int:
        """Return the host's time."""
        return time.time_ns()


class FileFeed:
    """A capture at its packets' own pace, times `speed`; or a pipe as fast as it comes (speed 0).

    loops: how often it is played, 0 for ever; each time its packets come later by the length of
    the capture. rebase_ns: the time of the first packet, None to keep the capture's own.
    """

    waits = True

    def __init__(
        self, path: str, *, speed: float = 1.0, loops: int = 1, rebase_ns: int | None = None
    ) -> None:
        """Open the file. Raises CaptureError when it cannot be read."""
        self._path = path
        self._speed = speed
        self._loops = loops
        self._rebase_ns = rebase_ns
        self._file = CaptureFile(path)
        self._file.__enter__()
        self._played = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._shift_ns = 0
        self._began_s = 0.0
        self._waiting: Batch | None = None
        self._stopped = False

    def close(self) -> None:
        """Close the file."""
        self._file.__exit__(None, None, None)

    def tap_names(self) -> list[str]:
        """Return the name of each tap number."""
        return list(self._file.taps) or [displayed(Path(self._path).name)]

    def read(self, packets: Packets, timeout_s: float) -> Batch | None:
        """Return the packets whose time has come."""
        if self._stopped:
            return None
        if self._waiting is None:
            self._waiting = self._load(packets)
            if self._waiting is None:
                return None
        view, rows = self._waiting
        if self._speed <= 0:
            self._waiting = None
            return view, rows
        due_ns = self.now_ns()
        count = int(np.searchsorted(rows.time_ns, due_ns, side="right"))
        if count == 0:
            late_s = (int(rows.time_ns[0]) - due_ns) / SECOND_NS / self._speed
            time.sleep(min(timeout_s, max(late_s, 0.0)))
            count = int(np.searchsorted(rows.time_ns, self.now_ns(), side="right"))
        ready = slice_packets(rows, 0, count)
        rest = slice_packets(rows, count, rows.time_ns.size)
        self._waiting = (view, rest) if rest.time_ns.size else None
        return view, ready

    def _load(self, packets: Packets) -> Batch | None:
        """Return the next batch of the file with its times shifted, None at the last end."""
        while True:
            view, count = self._file.read(packets)
            if count:
                rows = slice_packets(packets, 0, count)
                self._start(int(rows.time_ns[0]))
                rows.time_ns[:] += self._shift_ns
                self._last_ns = max(self._last_ns, int(rows.time_ns.max()))
                return view, rows
            self._played += 1
            if self._played == self._loops or self._first_ns is None or self._path == "-":
                return None
            self._rewind()

    def _start(self, first_ns: int) -> None:
        if self._first_ns is not None:
            return
        self._first_ns = first_ns
        if self._rebase_ns is not None:
            self._shift_ns = self._rebase_ns - first_ns
        self._began_s = time.monotonic()

    def _rewind(self) -> None:
        """Begin again, after the end by a usual distance between packets."""
        assert self._first_ns is not None
        self.close()
        self._file = CaptureFile(self._path)
        self._file.__enter__()
        self._shift_ns = self._last_ns + 1_000 - self._first_ns

    def stop(self) -> None:
        """End here: what has not been read stays in the file."""
        self._stopped = True

    def waiting_share(self) -> float:
        """Return 0: what is not read stays where it is."""
        return 0.0

    def losses(self) -> dict[int, Losses]:
        """Return nothing: a file loses no packets here."""
        return {}

    def now_ns(self) -> int:
        """Return the time in the capture that has come by now."""
        if self._first_ns is None:
            return self._rebase_ns or 0
        if self._speed <= 0:
            return self._last_ns
        first_ns = self._first_ns if self._rebase_ns is None else self._rebase_ns
        return first_ns + int((time.monotonic() - self._began_s) * self._speed * SECOND_NS)


def check_replayable(path: str) -> None:
    """Raise CaptureError for standard input, which has no pace to keep."""
    if path == "-":
        raise CaptureError("replay needs a file; for a pipe use `fabricscope live -`")
