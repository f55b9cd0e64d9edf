"""Several captures of one run as one stream of packets: clocks aligned, duplicates marked."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path

from fabricscope.analyzers.taps.analyzer import TapAnalyzer, TapResult
from fabricscope.analyzers.taps.merge import merge
from fabricscope.collectors.capture import displayed
from fabricscope.collectors.decode import decode
from fabricscope.errors import CaptureError
from fabricscope.pipeline.sources import Batch, FileFacts, Progress, SingleFile, View
from fabricscope.records import BATCH_ROWS, Packets, allocate_packets


class SeveralTaps:
    """Several captures, or one with several mirror sources: one order, duplicates marked.

    Every file is read twice: first for the clock offsets between the taps, then for the packets.
    A pipe cannot be: its taps are taken to share one clock. Batches are valid until the next one.
    """

    def __init__(
        self, paths: list[str], progress: Progress, *, opened: SingleFile | None = None
    ) -> None:
        """Remember the paths; the first `read` starts the work.

        opened: the only path, opened, where it is a pipe. Raises CaptureError for other pipes.
        """
        for path in paths:
            if opened is None and _is_pipe(path):
                name = "Standard input (-)" if path == "-" else displayed(path)
                raise CaptureError(
                    f"{name} cannot be one of several captures: each is read twice, so save it "
                    "to a file first."
                )
        self._paths = paths
        self._opened = opened
        self._progress = progress
        self._done_bytes = [0] * (2 * len(paths))
        self._facts: dict[int, FileFacts] = {}
        self._names: list[str] = []
        self._batches: Iterator[Batch] | None = None
        self.taps = TapAnalyzer(self._names)
        self.result: TapResult | None = None

    def __enter__(self) -> "SeveralTaps":
        """Open nothing yet: files are opened as they are read."""
        return self

    def __exit__(self, *details: object) -> None:
        """Leave nothing open."""
        self._batches = None

    def read(self, packets: Packets) -> tuple[View, Packets, bool] | None:
        """Return the next merged batch, decoded, in columns of its own."""
        if self._batches is None:
            self._batches = self._merged()
        batch = next(self._batches, None)
        return None if batch is None else (*batch, True)

    def facts(self) -> list[FileFacts]:
        """Return the facts of the files, in the order given."""
        return [self._facts[number] for number in sorted(self._facts)]

    def tap_names(self) -> list[str]:
        """Return the name of each tap number in the merged batches."""
        self.result = self.result or self.taps.finish()
        return [tap.name for tap in self.result.taps]

    def _merged(self) -> Iterator[Batch]:
        first_taps = []
        for number in range(len(self._paths)):
            first_taps.append(len(self._names))
            if self._opened is None:
                for view, packets in self._decoded(number, len(self._names), number):
                    self.taps.sample(view, packets)
        self.taps.fit()
        sources = [
            self._decoded(number, first_tap, len(self._paths) + number)
            for number, first_tap in enumerate(first_taps)
        ]
        for view, packets in merge(self.taps, sources):
            self.taps.mark(view, packets)
            yield view, packets

    def _decoded(self, number: int, first_tap: int, part: int) -> Iterator[Batch]:
        """Read and decode a file, naming its taps as they appear; reuses one set of columns.

        part: which of the readings this is, for the progress.
        """
        path = self._paths[number]
        columns = allocate_packets(BATCH_ROWS)

        def progress(done: int, total: int | None) -> None:
            self._done_bytes[part] = done
            self._progress(sum(self._done_bytes), self._total_bytes)

        source: AbstractContextManager[SingleFile] = (
            nullcontext(self._opened)
            if self._opened
            else SingleFile(path, progress, first_tap=first_tap)
        )
        with source as file:
            while True:
                batch = file.read(columns)
                for tap in file.tap_names()[len(self._names) - first_tap :]:
                    self._names.append(self._tap_name(path, tap))
                if batch is None:
                    break
                view, packets, decoded = batch
                if not decoded:
                    decode(view, packets)
                yield view, packets
            self._facts[number] = file.facts()[0]

    @cached_property
    def _total_bytes(self) -> int | None:
        if self._opened:
            return None
        return 2 * sum(os.path.getsize(path) for path in self._paths if os.path.exists(path))

    def _tap_name(self, path: str, tap: str) -> str:
        """Return `file/interface`, or just the file's name when that is all there is."""
        name = displayed(Path(path).name) if path != "-" else "stdin"
        if sum(Path(other).name == name for other in self._paths) > 1:
            name = displayed(path)
        return name if Path(tap).name == Path(displayed(path)).name else f"{name}/{tap}"


def _is_pipe(path: str) -> bool:
    """Tell whether a path can be read only once; one that is not there is no pipe."""
    try:
        mode = stat.S_IFIFO if path == "-" else os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
