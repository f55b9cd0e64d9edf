"""Give the bytes of an input as uint8 views that are read in place: mapped, or a buffer at a time.

What the bytes mean is not known here.
"""

import mmap
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture.compression import ByteStream, Descriptor

CHUNK_BYTES: Final = 4 << 20
"""Size of one buffer of streamed input."""

BATCHES_ALIVE: Final = 6
"""A batch's bytes stay untouched until this many more were given: consumers keep up to four."""

RELEASE_BYTES: Final = 16 << 20
"""Mapped pages that were read are given back in steps of this size."""

FILL_WAIT_S: Final = 0.1
"""How long a pipe that has already given enough may take to fill the buffer."""


@dataclass
class Window:
    """The bytes at hand: `view[position:stop]` is unread, `view[0]` is byte `origin` of the input.

    `final` says that nothing follows `stop`.
    """

    view: NDArray[np.uint8]
    position: int
    stop: int
    origin: int
    final: bool


class Source(Protocol):
    """Bytes of one input; `problem` says in a few words why they ended early, if they did."""

    problem: str
    window: Window

    def refill(self, need_bytes: int) -> None:
        """Make at least `need_bytes` unread bytes available, or set `window.final`."""

    def gave(self, start: int) -> None:
        """Take note that a batch was given out whose bytes begin at `start` of the view."""

    def position_bytes(self) -> int:
        """Return how much of the stored input was consumed."""


class MappedSource:
    """A plain regular file, mapped and read in place; pages behind the readers are given back."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        """Map an open descriptor, which must stay open; raises OSError where that cannot be."""
        self.problem = ""
        self._descriptor = descriptor
        self._map = mmap.mmap(descriptor, size_bytes, prot=mmap.PROT_READ)
        # Faults map 16 pages at a time from the page cache, which MADV_POPULATE_READ does not beat.
        self._map.madvise(mmap.MADV_SEQUENTIAL)
        self._released_bytes = 0
        self._starts: deque[int] = deque(maxlen=BATCHES_ALIVE)
        view = np.frombuffer(self._map, np.uint8)
        self.window = Window(view, 0, size_bytes, 0, final=True)

    def refill(self, need_bytes: int) -> None:
        """Do nothing: everything is at hand from the start."""

    def gave(self, start: int) -> None:
        """Give back the pages before the oldest batch that may still be in use."""
        self._starts.append(start)
        if len(self._starts) == BATCHES_ALIVE:
            steps = (self._starts[0] - self._released_bytes) // RELEASE_BYTES
            if steps > 0:
                size = steps * RELEASE_BYTES
                self._map.madvise(mmap.MADV_DONTNEED, self._released_bytes, size)
                self._released_bytes += size
        # To touch mapped pages beyond the end of a file that has shrunk kills the process.
        size_now = os.fstat(self._descriptor).st_size
        if size_now < self.window.stop:
            self.problem = f"the file shrank to {size_now:,} bytes while it was read"
            self.window.stop = max(size_now, self.window.position)

    def position_bytes(self) -> int:
        """Return how much of the stored input was consumed."""
        return self.window.position


class StreamSource:
    """A pipe or decompressed stream, read into a ring of buffers; no record straddles two."""

    def __init__(self, stream: ByteStream, stored: Descriptor, head: bytes) -> None:
        """Take a stream over `stored`, or `stored` itself, and the bytes it already gave."""
        self.problem = ""
        self._stream = stream
        self._stored = stored
        self._ring = [np.empty(max(CHUNK_BYTES, len(head)), np.uint8)]
        self._turn = 0
        self._in_use = False
        self._ring[0][: len(head)] = np.frombuffer(head, np.uint8)
        self.window = Window(_read_only(self._ring[0]), 0, len(head), 0, final=False)

    def refill(self, need_bytes: int) -> None:
        """Make at least `need_bytes` unread bytes available, or set `window.final`."""
        window = self.window
        kept = window.view[window.position : window.stop]
        buffer = self._next_buffer(max(need_bytes, CHUNK_BYTES))
        buffer[: len(kept)] = kept
        window.origin += window.position
        window.view = _read_only(buffer)
        window.position = 0
        window.stop = len(kept)
        self._fill(buffer.data, need_bytes)

    def gave(self, start: int) -> None:
        """Keep the current buffer untouched until the ring has come round."""
        self._in_use = True

    def position_bytes(self) -> int:
        """Return how much of the stored input was consumed."""
        if self._stream is self._stored:
            return self._stored.read_bytes - (self.window.stop - self.window.position)
        return self._stored.read_bytes

    def _next_buffer(self, size_bytes: int) -> NDArray[np.uint8]:
        """Return a buffer that no batch in flight points into."""
        if self._in_use:
            self._turn = (self._turn + 1) % BATCHES_ALIVE
            self._in_use = False
            if self._turn == len(self._ring):
                self._ring.append(np.empty(size_bytes, np.uint8))
        if len(self._ring[self._turn]) < size_bytes:
            self._ring[self._turn] = np.empty(size_bytes, np.uint8)
        return self._ring[self._turn]

    def _fill(self, space: memoryview, need_bytes: int) -> None:
        """Read until the buffer is full, the input ends, or enough came and no more is ready."""
        window = self.window
        deadline_s = 0.0
        while window.stop < len(space) and not window.final:
            if window.stop >= need_bytes and deadline_s:
                wait_s = max(deadline_s - time.monotonic(), 0.0)
                if not self._stored.is_ready(wait_s):
                    break
            count = self._stream.readinto(space[window.stop :])
            window.final = count == 0
            window.stop += count
            deadline_s = deadline_s or time.monotonic() + FILL_WAIT_S
        if window.final:
            self.problem = self._stream.problem


def _read_only(buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a view that cannot be written through, of the type that kernels are compiled for."""
    view = buffer.view()
    view.flags.writeable = False
    return view
