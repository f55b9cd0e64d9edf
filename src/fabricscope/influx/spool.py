"""Lines that wait on disk, in order, until a server takes them; bounded, and safe from crashes.

The folder holds segments of whole lines, `00000001.lines` first; what has been taken from the first
one stands in `position`. A line that a crash cut off was never reported as kept and is removed.
"""

import contextlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from fabricscope.claims import claim
from fabricscope.errors import StoreError

__all__ = ["Batch", "Spool"]

SEGMENT_BYTES: Final = 4 << 20
"""A segment that has become longer is followed by another; the bound gives up whole segments."""

BATCH_BYTES: Final = 8 << 20
"""A batch ends with the line that reaches this."""


@dataclass
class _Segment:
    path: Path
    size: int
    lines: int


@dataclass(frozen=True)
class Batch:
    """The oldest lines that wait."""

    lines: list[str]
    segment: Path
    end: int
    """Where the next line begins, from the segment's first byte."""


class Spool:
    """A folder of lines; one process at a time, any of its threads."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        """Name the folder; `open` makes it."""
        self.root = root
        self.max_bytes = max_bytes
        self.waiting = 0
        """Lines that were added and not yet taken away."""
        self.dropped = 0
        """Lines given up because the bound was reached, the oldest first."""
        self._segments: list[_Segment] = []
        self._offset = 0
        self._taken = 0
        self._left = 0
        """Number of the last segment that was done with."""
        self._guard = threading.RLock()
        self._lock: IO[bytes] | None = None

    def open(self) -> None:
        """Make the folder, claim it, and find what waits there from before.

        Raises StoreError when it cannot be written or another process uses it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock = claim(self.root / "lock")
        except BlockingIOError:
            raise StoreError(
                f"{self.root} is the spool of another running process; give this one another "
                "--collector name, or a folder of its own with ?spool=DIR in the store's URL"
            ) from None
        except OSError as error:
            raise StoreError(
                f"points cannot be spooled in {self.root} ({error.strerror}); name a folder that "
                "can be written with ?spool=DIR in the store's URL"
            ) from error
        self._load()

    def close(self) -> None:
        """Let another process use the folder; what waits there stays."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _load(self) -> None:
        self._segments = []
        for path in sorted(self.root.glob("*.lines")):
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                os.truncate(path, whole)
            self._segments.append(_Segment(path, whole, data.count(b"\n")))
        self._offset, self._taken = self._read_position()
        self.waiting = sum(segment.lines for segment in self._segments) - self._taken
        if self._segments and self._offset == self._segments[0].size:
            self._leave_first()

    def _read_position(self) -> tuple[int, int]:
        """Return bytes and lines of the first segment that are done with."""
        try:
            name, offset_text, _ = (self.root / "position").read_text().split(" ", 2)
            offset = int(offset_text)
        except (OSError, ValueError):
            return 0, 0
        if not self._segments or self._segments[0].path.name != name:
            return 0, 0
        data = self._segments[0].path.read_bytes()[:offset]
        # Whatever the file says, no line is sent in part.
        sound = data.endswith(b"\n") and len(data) == offset
        return (offset, data.count(b"\n")) if sound else (0, 0)

    def add(self, lines: Sequence[str]) -> None:
        """Put whole lines at the end; on return they are on disk.

        Raises StoreError when the disk does not take them; then none of them is there.
        """
        data = "".join(f"{line}\n" for line in lines).encode()
        with self._guard:
            if not self._segments or self._segments[-1].size >= SEGMENT_BYTES:
                self._segments.append(_Segment(self._next_path(), 0, 0))
            segment = self._segments[-1]
            try:
                with segment.path.open("ab") as file:
                    if file.tell() > segment.size:
                        file.truncate(segment.size)  # what an attempt before left behind
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.truncate(segment.path, segment.size)
                raise StoreError(
                    f"points cannot be spooled in {self.root}: {error.strerror or error}"
                ) from error
            segment.size += len(data)
            segment.lines += len(lines)
            self.waiting += len(lines)
            self._keep_the_bound()

    def _next_path(self) -> Path:
        last = int(self._segments[-1].path.stem) if self._segments else self._last_done()
        return self.root / f"{last + 1:08d}.lines"

    def _last_done(self) -> int:
        """Return the number of the segment named in `position`: names are not used again."""
        try:
            return max(self._left, int((self.root / "position").read_text().partition(".")[0]))
        except (OSError, ValueError):
            return self._left

    def _keep_the_bound(self) -> None:
        while len(self._segments) > 1 and self._size_bytes() > self.max_bytes:
            gone = self._segments[0]
            lines = gone.lines - self._taken
            self.dropped += lines
            self.waiting -= lines
            self._leave_first()

    def _size_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def _leave_first(self) -> None:
        gone = self._segments.pop(0)
        self._offset = self._taken = 0
        self._left = int(gone.path.stem)
        # First what makes room: a full disk does not take the position.
        with contextlib.suppress(OSError):
            gone.path.unlink()
        self._write_position(gone.path, gone.size)

    def _write_position(self, segment: Path, offset: int) -> None:
        """Say what is done with, if the disk takes it: else it is sent again after a restart."""
        fresh = self.root / "position.new"
        with contextlib.suppress(OSError):
            fresh.write_text(f"{segment.name} {offset} bytes done\n")
            fresh.replace(self.root / "position")

    def take(self, limit: int) -> Batch | None:
        """Return at most `limit` of the oldest lines, None if none wait; they stay until `done`."""
        with self._guard:
            if not self.waiting:
                return None
            segment = self._segments[0]
            lines: list[str] = []
            end = self._offset
            with segment.path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if end + len(line) > segment.size:
                        break  # not reported as kept
                    lines.append(line[:-1].decode())
                    end += len(line)
                    if len(lines) == limit or end - self._offset >= BATCH_BYTES:
                        break
            return Batch(lines, segment.path, end)

    def done(self, batch: Batch) -> None:
        """Take a batch away: the server has it."""
        with self._guard:
            if not self._segments or self._segments[0].path != batch.segment:
                # The bound gave it up while it was under way, but it arrived.
                self.dropped -= len(batch.lines)
                return
            self.waiting -= len(batch.lines)
            self._taken += len(batch.lines)
            self._offset = batch.end
            if self._offset == self._segments[0].size:
                self._leave_first()
            else:
                self._write_position(batch.segment, batch.end)
