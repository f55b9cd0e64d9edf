"""The writing side of a store: buffers rows, flushes each second, folds, compacts and forgets.

What a flush returned is kept whatever happens to the process; what is still in the buffer is not.
"""

import contextlib
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from fabricscope.errors import StoreError
from fabricscope.series import SERIES, is_folded
from fabricscope.store import RESOLUTIONS_NS, DeltaStore, Store, StoreFullError, schema_of

__all__ = ["Recorder", "Retention"]

FLUSH_S: Final = 1.0
UPKEEP_S: Final = 60.0
"""Of the data's time: a replay at ten times its pace folds ten times as often."""
MAX_BUFFERED_ROWS: Final = 500_000
"""Rows that wait while the disk is full; the oldest beyond it are dropped and counted."""

PIECE: Final = 360
PIECE_ROWS: Final = 1_000_000
"""Intervals folded at a time, fewer where they hold more rows than that."""

_SHRINK_ROUNDS: Final = 4
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """How long rows stay. keep_ns: of the samples of a second, and events; None: for ever.

    Folded samples stay ten times as long for each coarser resolution. max_bytes: of the whole
    store; None: as the disk allows.
    """

    keep_ns: int | None = None
    max_bytes: int | None = None

    def keep_of(self, resolution: str | None) -> int | None:
        """Return how long rows of a resolution stay, ns."""
        if self.keep_ns is None:
            return None
        rank = 0 if resolution is None else list(RESOLUTIONS_NS).index(resolution) + 1
        keep_ns: int = self.keep_ns * 10**rank
        return keep_ns


@dataclass
class Recorder:
    """Buffers rows for a store; `start` begins the flushing, `stop` ends with a flush.

    A directory's tables are also folded, compacted and forgotten; a database does that itself.
    clock: ns since the epoch, of the data (a replay has its own). collector: whose samples are
    folded here; each collector folds its own.
    """

    store: Store
    collector: str
    retention: Retention = field(default_factory=Retention)
    flush_s: float = FLUSH_S
    upkeep_s: float = UPKEEP_S
    clock: Callable[[], int] = time.time_ns
    flushed_rows: int = 0
    dropped_rows: int = 0

    def __post_init__(self) -> None:
        """Prepare empty buffers."""
        self._problem = self._upkeep_problem = ""
        self._waiting: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._rows = 0
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._upkept_ns = 0

    @property
    def problem(self) -> str:
        """Return what keeps rows from their place, in one sentence; empty while nothing does."""
        return self._problem or self._upkeep_problem or self.store.problem

    def append(self, table: str, frame: pl.DataFrame) -> None:
        """Take rows of a declared table in; they are kept from the next flush on."""
        if frame.is_empty():
            return
        frame = frame.select(list(schema_of(table))).cast(schema_of(table))  # type: ignore[arg-type]
        with self._lock:
            self._waiting[table].append(frame)
            self._rows += frame.height
            while self._rows > MAX_BUFFERED_ROWS:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        table = max(self._waiting, key=lambda name: sum(f.height for f in self._waiting[name]))
        gone = self._waiting[table].pop(0)
        self._rows -= gone.height
        self.dropped_rows += gone.height

    def flush(self) -> int:
        """Write what is buffered; return how many rows are kept now.

        While the disk is full rows stay buffered, up to a bound, and `problem` says so.
        """
        with self._flushing:
            kept = 0
            with self._lock:
                waiting, self._waiting = self._waiting, defaultdict(list)
            for table in list(waiting):
                frame = pl.concat(waiting[table])
                try:
                    self.store.append(table, frame)
                except StoreError as error:
                    self._put_back(waiting)
                    self._meet(error)
                    break
                del waiting[table]
                with self._lock:
                    self._rows -= frame.height
                self.flushed_rows += frame.height
                kept += frame.height
            else:
                self._problem = ""
            return kept

    def _put_back(self, waiting: dict[str, list[pl.DataFrame]]) -> None:
        with self._lock:
            for table, frames in waiting.items():
                self._waiting[table] = frames + self._waiting[table]
            while self._rows > MAX_BUFFERED_ROWS:
                self._drop_oldest()

    def _meet(self, error: StoreError) -> None:
        if str(error) != self._problem:
            _LOG.warning("%s", error)
        self._problem = str(error)
        store = self.store
        if (
            isinstance(error, StoreFullError)
            and isinstance(store, DeltaStore)
            and self.retention.max_bytes is not None
        ):
            self._shrink(store, int(store.size_bytes() * 0.9))

    def start(self) -> None:
        """Flush every `flush_s` and look after the tables every `upkeep_s`, in threads."""
        self._upkept_ns = self.clock()
        for name, work, every_s in (
            ("store-flush", self.flush, self.flush_s),
            ("store-upkeep", self._upkeep_when_due, min(self.flush_s, self.upkeep_s)),
        ):
            thread = threading.Thread(target=self._repeat, args=(work, every_s), name=name)
            thread.daemon = True
            thread.start()
            self._threads.append(thread)

    def _repeat(self, work: Callable[[], object], every_s: float) -> None:
        while not self._stopped.wait(every_s):
            try:
                work()
            except StoreError as error:
                self._meet(error)

    def stop(self) -> None:
        """End the threads and flush what is left."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self.flush()

    def _upkeep_when_due(self) -> None:
        now_ns = self.clock()
        if now_ns - self._upkept_ns >= self.upkeep_s * 1e9:
            self._upkept_ns = now_ns
            try:
                self.upkeep()
            except StoreError as error:
                self._upkeep_problem = f"the store's upkeep stopped: {error}"
                raise
            self._upkeep_problem = ""

    def upkeep(self) -> None:
        """Fold complete intervals, forget what is too old, and join small files."""
        store = self.store
        if not isinstance(store, DeltaStore):
            return
        for table in SERIES:
            if is_folded(table):
                self._fold(store, table)
        self._forget(store)
        for place in store.places():
            files = store.files(place)
            if files is not None and files.height > 1:
                store.compact(place)

    def _fold(self, store: DeltaStore, table: str) -> None:
        """Add the complete intervals of each resolution that are not folded yet.

        Where to go on is read from the folded table itself, so that a crash in between neither
        loses nor repeats an interval.
        """
        own = pl.col("collector") == self.collector
        finer = table
        finer_ns = 1_000_000_000
        for name, interval_ns in RESOLUTIONS_NS.items():
            place = f"{table}.{name}"
            source = store.span(finer)
            if source is None:
                return
            done = store.last(place, own)
            start = source[0] // interval_ns * interval_ns if done is None else done + interval_ns
            # The newest interval may still grow: samples come up to two flushes late.
            until = source[1] + finer_ns - int(2 * self.flush_s * 1e9) * (finer == table)
            until = until // interval_ns * interval_ns
            while start < until:
                # In pieces, so that a collector that was away for long needs no more memory.
                stop = min(start + PIECE * interval_ns, until)
                share = store.count(finer, start, stop) / PIECE_ROWS
                if share > 1:
                    stop = start + max(int((stop - start) / share) // interval_ns, 1) * interval_ns
                rows = store.folded(table, [(finer, start, stop)], own, interval_ns)
                if not rows.is_empty():
                    store.write(place, rows)
                start = stop
            finer, finer_ns = place, interval_ns

    def _forget(self, store: DeltaStore) -> None:
        now = self.clock()
        for place in store.places():
            _, _, resolution = place.partition(".")
            keep_ns = self.retention.keep_of(resolution or None)
            if keep_ns is not None:
                store.forget(place, now - keep_ns)
        if self.retention.max_bytes is not None:
            self._shrink(store, self.retention.max_bytes)

    def _shrink(self, store: DeltaStore, limit_bytes: int) -> None:
        """Give up the oldest of the finest rows, as much as the store is over its limit."""
        for _ in range(_SHRINK_ROUNDS):
            size = store.size_bytes()
            if size <= limit_bytes:
                return
            spans = {place: store.span(place) for place in store.places()}
            held = {place: span for place, span in spans.items() if span and span[1] > span[0]}
            fine = {place: span for place, span in held.items() if "." not in place} or held
            if not fine:
                return
            oldest = min(span[0] for span in fine.values())
            newest = max(span[1] for span in fine.values())
            part = min(1.1 * (size - limit_bytes) / size, 0.9)
            for place in fine:
                with contextlib.suppress(StoreFullError):
                    store.forget(place, oldest + int((newest - oldest) * part) + 1)
                    store.compact(place)
