"""Open a capture of any format and compression and read it a batch of records at a time.

Recognising is in `formats`, bytes come from `source`, records from the walkers.
"""

import os
import stat
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture.compression import ByteStream, Descriptor, Gzip, Zstd
from fabricscope.collectors.capture.erf.walker import ErfWalker
from fabricscope.collectors.capture.formats import (
    COMPRESSIONS,
    HEAD_BYTES,
    Recognised,
    recognise,
)
from fabricscope.collectors.capture.pcap.walker import PcapWalker
from fabricscope.collectors.capture.pcapng.walker import PcapngWalker
from fabricscope.collectors.capture.source import MappedSource, Source, StreamSource
from fabricscope.collectors.capture.walker import CaptureCounters, Walker
from fabricscope.errors import CaptureError
from fabricscope.records import Packets

STANDARD_INPUT: Final = "-"
STANDARD_INPUT_DESCRIPTOR: Final = 0


def displayed(path: str) -> str:
    """Return a path as text that can be encoded: bytes that are not UTF-8 become codes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


class CaptureFile:
    """One capture: a path, or `-` for standard input; read it inside `with`.

    Attributes:
        taps: name of each tap seen so far; the column `tap` is `first_tap` plus the index here.
        counters: what was read and what could not be, up to the last `read`.
        format: "pcap", "pcapng" or "erf", and the compression, as in "pcapng, gzip".
        size_bytes: size as stored, or None for a pipe.

    """

    def __init__(self, path: str, *, first_tap: int = 0) -> None:
        """Remember what to open; nothing is touched before `with`."""
        self.path = path
        self.format = ""
        self.size_bytes: int | None = None
        self._first_tap = first_tap
        self._name = (
            "standard input" if path == STANDARD_INPUT else displayed(os.path.basename(path))
        )
        self._label = "standard input" if path == STANDARD_INPUT else displayed(path) or "''"
        self._descriptor = -1
        self._source: Source | None = None
        self._walker: Walker | None = None

    def __enter__(self) -> Self:
        """Open and recognise the input; raises CaptureError, or DependencyError for zstd."""
        try:
            self._open()
        except OSError as error:
            self._close()
            raise CaptureError(
                f"{self._label}: cannot be read ({error.strerror}): check the path and permissions"
            ) from error
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the input; views that were given out stay valid."""
        self._close()

    @property
    def taps(self) -> list[str]:
        """Name of each tap seen so far."""
        return self._walker.taps if self._walker else []

    @property
    def counters(self) -> CaptureCounters:
        """What was read and what could not be, up to the last `read`."""
        return self._walker.counters if self._walker else CaptureCounters()

    @property
    def position_bytes(self) -> int:
        """How much of the stored input was consumed."""
        return self._source.position_bytes() if self._source else 0

    def read(self, packets: Packets) -> tuple[NDArray[np.uint8], int]:
        """Fill the record columns of up to `len(packets.time_ns)` rows.

        Returns the read-only view that `packet_offset` points into and the number of rows; 0 is
        the end. The view's bytes stay untouched until five more batches have been read.
        """
        source, walker = self._source, self._walker
        if source is None or walker is None:
            raise ValueError("read() needs an open capture: use it inside `with`")
        window = source.window
        while True:
            start = window.position
            rows = walker.walk(window, packets)
            if rows > 0:
                source.gave(start)
                return window.view, rows
            if walker.done:
                if source.problem:
                    walker.counters.ended = source.problem
                return window.view, 0
            source.refill(walker.need_bytes)

    def _open(self) -> None:
        if self.path == STANDARD_INPUT:
            self._descriptor = os.dup(STANDARD_INPUT_DESCRIPTOR)
        else:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(self._descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise CaptureError(f"{self._label}: is a directory, not a capture: name a file in it")
        is_regular = stat.S_ISREG(status.st_mode) and status.st_size > 0
        is_pipe = not stat.S_ISREG(status.st_mode)
        if is_regular:
            self.size_bytes = status.st_size
        stored = Descriptor(self._descriptor, is_pipe=is_pipe)
        head, found = self._recognise(stored)
        if found.kind in COMPRESSIONS:
            stored.push_back(head)
            compression = found.kind
            stream: ByteStream = Gzip(stored) if compression == "gzip" else Zstd(stored)
            head, found = self._recognise(stream, f"{compression} data that holds a file that ")
            self.format = f"{found.kind}, {compression}"
            self._source = StreamSource(stream, stored, head)
        else:
            self.format = found.kind
            self._source = self._plain_source(stored, head)
        self._walker = self._make_walker(found.kind, head)

    def _plain_source(self, stored: Descriptor, head: bytes) -> Source:
        """Map a regular file that is read from its start, else stream."""
        if self.size_bytes is not None:
            try:
                if os.lseek(self._descriptor, 0, os.SEEK_CUR) == len(head):
                    return MappedSource(self._descriptor, self.size_bytes)
            except OSError:
                pass  # some network and user-space file systems cannot map
        return StreamSource(stored, stored, head)

    def _make_walker(self, kind: str, head: bytes) -> Walker:
        """Return the walker of a format, and step over the file header."""
        assert self._source is not None
        if kind == "pcapng":
            return PcapngWalker(self._name, self._first_tap)
        if kind == "erf":
            return ErfWalker(self._name, self._first_tap)
        self._source.window.position = PcapWalker.header_bytes(head)
        return PcapWalker(head, self._name, self._first_tap)

    def _recognise(self, stream: ByteStream, inside: str = "") -> tuple[bytes, Recognised]:
        """Read until the format is known; a live pipe may have given no more than a header."""
        buffer = bytearray(HEAD_BYTES)
        space = memoryview(buffer)
        size = 0
        while size < HEAD_BYTES:
            count = stream.readinto(space[size:])
            if count == 0:
                break
            size += count
            if recognise(bytes(space[:size])).kind not in ("", "erf"):
                break  # ERF has no magic number: the more bytes, the surer
        head = bytes(space[:size])
        found = recognise(head)
        if stream.problem and not head:
            raise CaptureError(f"{self._label}: {stream.problem}")
        problem = found.problem
        if inside and found.kind in COMPRESSIONS:
            problem = f"is {found.kind} data again: unpack it first"
        if problem:
            prefix = f"is {inside}" if inside else ""
            raise CaptureError(f"{self._label}: {prefix}{problem}")
        return head, found

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._source = None
