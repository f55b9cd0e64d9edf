"""The writing side of a store: buffers rows, flushes each second, folds, compacts and forgets.

What a flush returned is kept whatever happens to the process; what is still in the buffer is not.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Final
from urllib.parse import quote

import polars as pl

from fabricscope.claims import claim
from fabricscope.errors import StoreError
from fabricscope.series import SERIES, is_folded
from fabricscope.shrinking import rank_of, shrink
from fabricscope.store import RESOLUTIONS_NS, DeltaStore, Store, StoreFullError, schema_of

__all__ = ["ALERTS_NS", "Recorder", "Retention"]

FLUSH_S: Final = 1.0
UPKEEP_S: Final = 60.0
"""Of the data's time: a replay at ten times its pace folds ten times as often."""
MAX_BUFFERED_ROWS: Final = 500_000
"""Rows that wait while the disk is full; the oldest beyond it are dropped and counted."""

PIECE: Final = 360
PIECE_ROWS: Final = 1_000_000
"""Intervals folded at a time, fewer where they hold more rows than that."""

ALERTS_NS: Final = 30 * 86_400 * 10**9
"""Alerts and silences stay at least so long: they are few, and what they say holds until then."""

SWEEP_S: Final = 3_600.0
"""How often files are looked for that no table knows."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """How long rows stay. keep_ns: of the samples of a second, and events; None: for ever.

    Folded samples stay ten times as long for each coarser resolution, alerts at least ALERTS_NS.
    max_bytes: of the whole store; None: as the disk allows.
    """

    keep_ns: int | None = None
    max_bytes: int | None = None

    def keep_of(self, place: str) -> int | None:
        """Return how long rows of a Delta table stay, ns."""
        if self.keep_ns is None:
            return None
        keep_ns: int = self.keep_ns * 10 ** rank_of(place)
        return max(keep_ns, ALERTS_NS) if place == "alerts" else keep_ns


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
        self._swept_s = -SWEEP_S
        self._claim: IO[bytes] | None = None
        # First and last time of this collector's rows by table: written here, and before.
        self._written: dict[str, tuple[int, int]] = {}
        self._earlier: dict[str, tuple[int, int] | None] = {}
        self._reached: dict[str, int] = {}

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

        What a table does not take stays buffered, up to a bound, and `problem` says so; while the
        disk is full no other is tried.
        """
        with self._flushing:
            kept, trouble = 0, None
            with self._lock:
                waiting, self._waiting = self._waiting, defaultdict(list)
            for table in list(waiting):
                frame = pl.concat(waiting[table])
                try:
                    self.store.append(table, frame)
                except Exception as error:  # rows must not get lost, whatever it is
                    trouble = error
                    if isinstance(error, StoreFullError):
                        break
                    continue
                del waiting[table]
                with self._lock:
                    self._rows -= frame.height
                self._note(table, frame)
                self.flushed_rows += frame.height
                kept += frame.height
            if trouble is None:
                self._problem = ""
            else:
                self._put_back(waiting)
                self._meet(trouble)
            return kept

    def _note(self, table: str, frame: pl.DataFrame) -> None:
        if is_folded(table):
            first, last = self._written.get(table, (2**63, -(2**63)))
            times = pl.col("time_ns")
            oldest, newest = frame.select(times.min(), newest=times.max()).row(0)
            self._written[table] = (min(first, oldest), max(last, newest))

    def _put_back(self, waiting: dict[str, list[pl.DataFrame]]) -> None:
        with self._lock:
            for table, frames in waiting.items():
                self._waiting[table] = frames + self._waiting[table]
            while self._rows > MAX_BUFFERED_ROWS:
                self._drop_oldest()

    def _meet(self, error: Exception) -> None:
        self._problem = _tell(error, self._problem)
        store = self.store
        if (
            isinstance(error, StoreFullError)
            and isinstance(store, DeltaStore)
            and self.retention.max_bytes is not None
        ):
            try:
                shrink(store, int(store.size_bytes() * 0.9))
            except Exception as failed:  # who flushes must go on
                _tell(failed)

    def start(self) -> None:
        """Flush every `flush_s` and look after the tables every `upkeep_s`, in threads.

        Raises StoreError when another process writes to the directory as the same collector.
        """
        self._claim_name()
        self._upkept_ns = self.clock()
        for name, work, every_s in (
            ("store-flush", self.flush, self.flush_s),
            ("store-upkeep", self._upkeep_when_due, min(self.flush_s, self.upkeep_s)),
        ):
            thread = threading.Thread(target=self._repeat, args=(work, every_s), name=name)
            thread.daemon = True
            thread.start()
            self._threads.append(thread)

    def _claim_name(self) -> None:
        """Make sure that nobody else folds the samples of this collector: they would be twice."""
        if not isinstance(self.store, DeltaStore):
            return
        root = self.store.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._claim = claim(root / f".{quote(self.collector, safe='')}.lock")
        except BlockingIOError:
            raise StoreError(
                f"another running process writes to store {root} as collector {self.collector}; "
                "give this one another --collector name"
            ) from None
        except OSError as error:
            # Not every file system has locks, and a store that cannot be written tells that itself.
            _LOG.info("store %s is not locked: %s", root, error)

    def _release_name(self) -> None:
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _repeat(self, work: Callable[[], object], every_s: float) -> None:
        while not self._stopped.wait(every_s):
            try:
                work()
            except Exception as error:  # a thread that ends would do so unheard
                self._meet(error)

    def stop(self) -> None:
        """End the threads and flush what is left."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self.flush()
        self._release_name()

    def _upkeep_when_due(self) -> None:
        now_ns = self.clock()
        if abs(now_ns - self._upkept_ns) >= self.upkeep_s * 1e9:
            self._upkept_ns = now_ns
            try:
                self.upkeep()
            except StoreError as error:
                self._upkeep_problem = f"the store's upkeep stopped: {error}"
            else:
                self._upkeep_problem = ""

    def upkeep(self) -> None:
        """Fold complete intervals, forget what is too old, and join small files.

        A step that fails keeps no other from its work. Raises StoreError with the first failure.
        """
        store = self.store
        if not isinstance(store, DeltaStore):
            return
        failures: list[str] = []
        for step in self._steps(store):
            try:
                step()
            except Exception as error:  # one broken table must not let the others grow
                failures.append(_tell(error, self._upkeep_problem))
        if failures:
            raise StoreError(failures[0])

    def _steps(self, store: DeltaStore) -> Iterator[Callable[[], object]]:
        """Yield what there is to do, one table at a time."""
        for table in SERIES:
            if is_folded(table):
                yield partial(self._fold, store, table)
        for place in store.places():
            keep_ns = self.retention.keep_of(place)
            if keep_ns is not None:
                yield partial(store.forget, place, self.clock() - keep_ns)
        orphans = time.monotonic() - self._swept_s >= SWEEP_S
        if orphans:
            self._swept_s = time.monotonic()
        for place in store.places():
            yield partial(self._join, store, place, orphans)
        # What was joined takes less than before: the last thing to measure.
        if self.retention.max_bytes is not None:
            yield partial(shrink, store, self.retention.max_bytes)

    def _join(self, store: DeltaStore, place: str, orphans: bool) -> None:
        files = store.files(place)
        if orphans:
            store.compact(place, orphans=True)
        elif files is not None and files.height > 1:
            store.compact(place)

    def _fold(self, store: DeltaStore, table: str) -> None:
        """Add the complete intervals of each resolution that are not folded yet.

        What is complete, this collector's own rows say: another one's clock may be ahead. Where to
        go on is read from the folded table itself, once, so that a crash in between neither loses
        nor repeats an interval.
        """
        own = pl.col("collector") == self.collector
        span = self._own_span(store, table, own)
        if span is None:
            return
        finer = table
        # The newest interval may still grow: samples come up to two flushes late.
        until = span[1] + 1_000_000_000 - int(2 * self.flush_s * 1e9)
        for name, interval_ns in RESOLUTIONS_NS.items():
            place = f"{table}.{name}"
            # Taken out until all is well: after a failure only the table knows what it has.
            start = self._reached.pop(place, None)
            if start is None:
                done = store.last(place, own)
                first = span[0] // interval_ns * interval_ns
                start = first if done is None else done + interval_ns
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
            self._reached[place] = start
            finer = place

    def _own_span(self, store: DeltaStore, table: str, own: pl.Expr) -> tuple[int, int] | None:
        """Return the first and last time of rows of this collector, None when it has none.

        What is there from earlier runs is looked for once; its first time is that of anybody.
        """
        written = self._written.get(table)
        if table not in self._earlier:
            before = own if written is None else own & (pl.col("time_ns") < written[0])
            last = store.last(table, before)
            everyone = store.span(table) if last is not None else None
            self._earlier[table] = (everyone[0], last) if everyone and last is not None else None
        spans = [span for span in (written, self._earlier[table]) if span is not None]
        if not spans:
            return None
        return min(first for first, _ in spans), max(last for _, last in spans)


def _tell(error: Exception, known: str = "") -> str:
    """Return what went wrong in one sentence, which the log gets too unless it is known."""
    expected = isinstance(error, StoreError)
    text = str(error) if expected else f"{type(error).__name__}: {error}"
    if text not in known:
        _LOG.warning("%s", text, exc_info=None if expected else error)
    return text
