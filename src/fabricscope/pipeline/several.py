"""Several captures of one run as one stream of packets: clocks aligned, duplicates marked."""

from collections.abc import Iterator
from pathlib import Path

from fabricscope.analyzers.taps.analyzer import TapAnalyzer, TapResult
from fabricscope.analyzers.taps.merge import merge
from fabricscope.collectors.capture import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.errors import CaptureError
from fabricscope.pipeline.sources import Batch, FileFacts, Progress, View, facts_of
from fabricscope.records import BATCH_ROWS, Packets, allocate_packets, slice_packets


class SeveralTaps:
    """Several captures, or one with several mirror sources: one order, duplicates marked.

    Every file is read twice: first for the clock offsets between the taps, then for the packets.
    A pipe cannot be: its taps are taken to share one clock. Batches are valid until the next one.
    """

    def __init__(self, paths: list[str], progress: Progress) -> None:
        """Remember the paths; the first `read` starts the work."""
        if paths.count("-") > 1 or (len(paths) > 1 and "-" in paths):
            raise CaptureError(
                "Standard input (-) cannot be one of several captures: each is read twice, so "
                "save it to a file first."
            )
        self._paths = paths
        self._progress = progress
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
        passes = 2 * len(self._paths)
        first_taps = []
        for number, path in enumerate(self._paths):
            first_taps.append(len(self._names))
            if path == "-":
                continue
            batches = self._decoded(number, len(self._names), self._share(number, passes))
            for view, packets in batches:
                self.taps.sample(view, packets)
        self.taps.fit()
        sources = [
            self._decoded(number, first_tap, self._share(len(self._paths) + number, passes))
            for number, first_tap in enumerate(first_taps)
        ]
        for view, packets in merge(self.taps, sources):
            self.taps.mark(view, packets)
            yield view, packets

    def _decoded(self, number: int, first_tap: int, progress: Progress) -> Iterator[Batch]:
        """Read and decode a file, naming its taps as they appear; reuses one set of columns."""
        path = self._paths[number]
        packets = allocate_packets(BATCH_ROWS)
        with CaptureFile(path, first_tap=first_tap) as file:
            while True:
                view, rows = file.read(packets)
                for place in range(len(self._names) - first_tap, len(file.taps)):
                    self._names.append(self._tap_name(path, file.taps[place]))
                progress(file.position_bytes, file.size_bytes)
                if rows == 0:
                    break
                batch = slice_packets(packets, 0, rows)
                decode(view, batch)
                yield view, batch
            self._facts[number] = facts_of(path, file)

    def _tap_name(self, path: str, tap: str) -> str:
        """Return `file/interface`, or just the file's name when that is all there is."""
        name = Path(path).name if path != "-" else "stdin"
        if sum(Path(other).name == name for other in self._paths) > 1:
            name = path
        return name if Path(tap).name == Path(path).name else f"{name}/{tap}"

    def _share(self, number: int, passes: int) -> Progress:
        """Return a progress function that speaks for pass `number` of `passes`."""

        def report(done: int, total: int | None) -> None:
            if total:
                self._progress(int((number + done / total) / passes * 1_000_000), 1_000_000)

        return report
