"""Bytes of a file or pipe, as stored or decompressed, a buffer at a time.

Memory is bounded by the caller's buffer and the format's window, whatever the data claims.
"""

import os
import select
import zlib
from typing import Any, Final, Protocol

from fabricscope.collectors.capture.formats import GZIP_MAGIC
from fabricscope.errors import DependencyError

READ_BYTES: Final = 1 << 18
"""Size of one read of stored bytes."""

ZSTD_WINDOW_BYTES: Final = 128 << 20
"""Largest zstd window, and so the most memory, that a file may ask for (zstd --long=27)."""


class ByteStream(Protocol):
    """Bytes that come one after the other; `problem` says why they ended early, if they did."""

    problem: str

    def readinto(self, buffer: memoryview) -> int:
        """Fill some or all of `buffer` and return how much; 0 only at the end."""


class Descriptor:
    """Bytes of a file descriptor as they are stored."""

    def __init__(self, descriptor: int, *, is_pipe: bool) -> None:
        """Take an open descriptor, which the caller closes."""
        self.problem = ""
        self.read_bytes = 0
        self._descriptor = descriptor
        self._is_pipe = is_pipe
        self._returned = memoryview(b"")

    def push_back(self, head: bytes) -> None:
        """Give these bytes again before any other."""
        self._returned = memoryview(head)

    def readinto(self, buffer: memoryview) -> int:
        """Fill some or all of `buffer` and return how much; 0 only at the end."""
        if self._returned:
            size = min(len(self._returned), len(buffer))
            buffer[:size] = self._returned[:size]
            self._returned = self._returned[size:]
            return size
        try:
            size = os.readv(self._descriptor, [buffer])
        except OSError as error:
            self.problem = f"reading failed ({error.strerror})"
            return 0
        self.read_bytes += size
        return size

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none only at the end."""
        buffer = bytearray(size)
        count = self.readinto(memoryview(buffer))
        return bytes(memoryview(buffer)[:count])

    def is_ready(self, wait_s: float) -> bool:
        """Say whether a read would return within `wait_s`."""
        if not self._is_pipe or self._returned:
            return True
        readable, _, _ = select.select([self._descriptor], [], [], wait_s)
        return bool(readable)


class Gzip:
    """Decompresses gzip members, one after the other."""

    def __init__(self, stored: Descriptor) -> None:
        """Take the compressed bytes."""
        self.problem = ""
        self._stored = stored
        self._decoder = zlib.decompressobj(wbits=31)
        self._input = b""
        self._ended = False

    def readinto(self, buffer: memoryview) -> int:
        """Fill some or all of `buffer` and return how much; 0 only at the end."""
        while not self.problem and not self._ended:
            if self._decoder.eof and not self._next_member():
                return 0
            if not self._input:
                self._input = self._stored.read(READ_BYTES)
                if not self._input:
                    self.problem = self._stored.problem or "the gzip data ends early"
                    return 0
            try:
                plain = self._decoder.decompress(self._input, len(buffer))
            except zlib.error as error:
                self.problem = f"the gzip data is damaged ({error})"
                return 0
            self._input = self._decoder.unconsumed_tail
            if plain:
                buffer[: len(plain)] = plain
                return len(plain)
        return 0

    def _next_member(self) -> bool:
        """Start the member after the one that ended; zeros between members are padding."""
        rest = self._decoder.unused_data.lstrip(b"\0")
        while len(rest) < len(GZIP_MAGIC):
            more = self._stored.read(READ_BYTES)
            if not more:
                break
            rest = (rest + more).lstrip(b"\0")
        if rest[: len(GZIP_MAGIC)] != GZIP_MAGIC:
            if rest:
                self.problem = "what follows the last gzip member is not gzip"
            self._ended = True
            return False
        self._decoder = zlib.decompressobj(wbits=31)
        self._input = rest
        return True


class Zstd:
    """Decompresses zstd frames, one after the other."""

    def __init__(self, stored: Descriptor) -> None:
        """Take the compressed bytes."""
        try:
            import zstandard
        except ImportError as error:
            raise DependencyError(
                "reading zstd needs the package zstandard: pip install zstandard"
            ) from error
        self.problem = ""
        self._stored = stored
        self._error = zstandard.ZstdError
        decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
        source: Any = stored  # of a file's methods only read() is called
        self._reader: Any = decoder.stream_reader(
            source, read_size=READ_BYTES, read_across_frames=True, closefd=False
        )

    def readinto(self, buffer: memoryview) -> int:
        """Fill some or all of `buffer` and return how much; 0 only at the end."""
        if self.problem:
            return 0
        try:
            size = int(self._reader.readinto(buffer))
        except self._error as error:
            self.problem = f"the zstd data is damaged ({error})"
            return 0
        if size == 0:
            self.problem = self._stored.problem
        return size
