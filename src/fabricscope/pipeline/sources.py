"""Where the batches of an offline analysis come from when one file with one tap is read.

`several` has the other case: several captures, or several taps in one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture import CaptureFile, displayed
from fabricscope.collectors.decode import decode
from fabricscope.records import BATCH_ROWS, TUNNELS, Packets, allocate_packets, slice_packets

View = NDArray[np.uint8]
Batch = tuple[View, Packets]
Progress = Callable[[int, int | None], None]
"""Called with the bytes done and the bytes in all (None when a pipe does not tell)."""

_ERSPAN: Final = TUNNELS.index("erspan")


@dataclass(frozen=True)
class FileFacts:
    """What the reader found out about one capture."""

    path: str
    format: str
    taps: list[str]
    unreadable_bytes: int
    unreadable_records: int
    ended: str


class SingleFile:
    """One capture read from start to end; the batches come as they lie in the file."""

    def __init__(self, path: str, progress: Progress, *, first_tap: int = 0) -> None:
        """Remember the path; entering the context opens it."""
        self._file = CaptureFile(path, first_tap=first_tap)
        self._path = path
        self._progress = progress
        self._peeked: Batch | None = None
        self._session: int | None = None

    def __enter__(self) -> "SingleFile":
        """Open the file."""
        self._file.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        """Close the file."""
        self._file.__exit__(None, None, None)

    def read(self, packets: Packets) -> tuple[View, Packets, bool] | None:
        """Return the next records, and whether they are decoded already."""
        if self._peeked is not None:
            batch, self._peeked = self._peeked, None
            return (*batch, True)
        view, rows = self._file.read(packets)
        self._progress(self._file.position_bytes, self._file.size_bytes)
        if rows == 0:
            return None
        return view, slice_packets(packets, 0, rows), False

    def starts_with_more_taps(self) -> bool:
        """Tell whether the first batch shows several mirror sources; `read` still returns it."""
        batch = self.read(allocate_packets(BATCH_ROWS))
        if batch is None:
            return False
        view, packets, _ = batch
        decode(view, packets)
        self._peeked = view, packets
        return len(self._file.taps) > 1 or self.has_more_taps(packets)

    def has_more_taps(self, packets: Packets) -> bool:
        """Tell whether a decoded batch, with those before, shows more than one mirror source."""
        taps = packets.tap
        if bool((taps != 0).any()):
            return True
        kinds = packets.tunnel_kinds
        if not kinds.any():
            return False
        sessions = packets.tunnel_ids_low[(kinds & 0xFF) == _ERSPAN] & 0xFFFFFFFF
        if sessions.size == 0:
            return False
        if self._session is None:
            self._session = int(sessions[0])
        return bool((sessions != self._session).any())

    @property
    def can_restart(self) -> bool:
        """Tell whether the file can be read a second time."""
        return self._path != "-" and self._file.size_bytes is not None

    def tap_names(self) -> list[str]:
        """Return the name of each tap number."""
        return list(self._file.taps) or [displayed(Path(self._path).name)]

    def facts(self) -> list[FileFacts]:
        """Return the file's facts."""
        return [facts_of(self._path, self._file)]


def facts_of(path: str, file: CaptureFile) -> FileFacts:
    """Return what `file`, read or being read, has found."""
    counters = file.counters
    return FileFacts(
        path=displayed(path),
        format=file.format,
        taps=list(file.taps),
        unreadable_bytes=counters.unreadable_bytes,
        unreadable_records=counters.unreadable_records,
        ended=counters.ended,
    )
