"""Where the batches of an offline analysis come from when one file with one tap is read.

`several` has the other case: several captures, or several taps in one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.capture import CaptureFile
from fabricscope.records import TUNNELS, Packets, slice_packets

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
    """One capture with one mirror source: nothing needs merging."""

    def __init__(self, path: str, progress: Progress) -> None:
        """Remember the path; `open` opens it."""
        self._file = CaptureFile(path)
        self._path = path
        self._progress = progress

    def __enter__(self) -> "SingleFile":
        """Open the file."""
        self._file.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        """Close the file."""
        self._file.__exit__(None, None, None)

    def read(self, packets: Packets) -> tuple[View, Packets, bool] | None:
        """Return the next records, not decoded."""
        view, rows = self._file.read(packets)
        self._progress(self._file.position_bytes, self._file.size_bytes)
        if rows == 0:
            return None
        return view, slice_packets(packets, 0, rows), False

    @property
    def can_restart(self) -> bool:
        """Tell whether the file can be read a second time."""
        return self._path != "-" and self._file.size_bytes is not None

    def tap_names(self) -> list[str]:
        """Return the name of each tap number."""
        return list(self._file.taps) or [Path(self._path).name]

    def facts(self) -> list[FileFacts]:
        """Return the file's facts."""
        return [facts_of(self._path, self._file)]


def facts_of(path: str, file: CaptureFile) -> FileFacts:
    """Return what `file`, read or being read, has found."""
    counters = file.counters
    return FileFacts(
        path=path,
        format=file.format,
        taps=list(file.taps),
        unreadable_bytes=counters.unreadable_bytes,
        unreadable_records=counters.unreadable_records,
        ended=counters.ended,
    )


def has_more_taps(packets: Packets) -> bool:
    """Tell whether a decoded batch of one file holds more than one mirror source."""
    taps = packets.tap
    if taps.size == 0 or bool((taps != taps[0]).any()) or bool(taps[0]):
        return taps.size > 0
    kinds = packets.tunnel_kinds
    if not kinds.any():
        return False
    mirrored = (kinds & 0xFF) == _ERSPAN
    sessions = packets.tunnel_ids_low[mirrored] & 0xFFFFFFFF
    return bool(sessions.size) and bool((sessions != sessions[0]).any())
