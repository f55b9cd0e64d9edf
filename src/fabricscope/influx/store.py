"""A store in InfluxDB: points go to the server, or wait on disk for it to come back."""

import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final

import polars as pl

from fabricscope.influx.address import Address
from fabricscope.influx.influxql import frame_of, select_folded, select_rows, tag_equalities
from fabricscope.influx.points import lines_of
from fabricscope.influx.server import PointsRefusedError, Server, ServerAwayError
from fabricscope.influx.spool import Spool
from fabricscope.schemas import SECOND_NS, bounded, interval_of, schema_of

__all__ = ["InfluxStore"]

BATCH_POINTS: Final = 5_000
"""Points of one request, as InfluxDB's documentation advises."""

_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 15.0
_CLOSE_S: Final = 10.0
_LOG = logging.getLogger(__name__)


class InfluxStore:
    """A database; `open` before rows are appended, nothing before a query.

    Points keep their order: while any wait on disk, new ones go behind them. A point that is sent
    again replaces itself, since its tags and time are the same.
    """

    def __init__(self, address: Address, collector: str = "") -> None:
        """Name the database, and the collector whose points wait apart from others' on disk."""
        self.address = address
        self.collector = collector
        self.problem = ""
        """What stands between the points and the server, in one sentence; empty while nothing."""
        self.sent_points = 0
        self.spooled_points = 0
        """Of all points, those that had to wait on disk."""
        self.resent_points = 0
        """Of those, how many have been sent since; some may be from before this process."""
        self.refused_points = 0
        """Points that the server will never take, such as those older than it keeps."""
        self.empty_rows = 0
        """Rows without any value, which cannot be points."""
        self._server = Server(address)
        self._spool: Spool | None = None
        self._order = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._sender: threading.Thread | None = None

    def __repr__(self) -> str:
        """Return the address, without secrets."""
        return f"InfluxStore({self.address.url!r}, {self.address.database!r})"

    @property
    def dropped_points(self) -> int:
        """Return how many points the disk spool gave up at its bound."""
        return self._spool.dropped if self._spool else 0

    @property
    def waiting_points(self) -> int:
        """Return how many points wait on disk."""
        return self._spool.waiting if self._spool else 0

    @property
    def note(self) -> str:
        """Return what became of points that did not get through at once; empty for none."""
        counts = (
            (self.spooled_points, "points waited on disk"),
            (self.resent_points, "sent since"),
            (self.dropped_points, "given up at the spool's bound"),
            (self.refused_points, "refused by the server"),
        )
        return ", ".join(f"{count:,} {what}" for count, what in counts if count)

    def open(self) -> None:
        """Claim the spool, see whether the server takes points, and begin to send what waits.

        A server that is away is no error: points wait, and `problem` says so. Raises StoreError
        when the credentials or the database are wrong, or points cannot be spooled.
        """
        spool = Spool(self.address.spool_path(self.collector), self.address.spool_bytes)
        spool.open()
        # What an earlier opening ended with is not said of this one.
        self.problem = ""
        self._stopped.clear()
        try:
            self._server.check()
        except ServerAwayError as error:
            if error.asked:
                spool.close()
                raise
            self._meet(error)
        self._spool = spool
        self._sender = threading.Thread(target=self._keep_sending, name="influx", daemon=True)
        self._sender.start()
        self._wake.set()

    def close(self) -> None:
        """Send what waits if the server takes it now; what it does not stays on disk."""
        if self._spool is None or self._sender is None:
            return
        end = time.monotonic() + _CLOSE_S
        while self._spool.waiting and not self.problem and time.monotonic() < end:
            time.sleep(0.02)
        self._stopped.set()
        self._wake.set()
        self._sender.join()
        if self._spool.waiting:
            reason = self.problem.partition("; ")[0] or f"{self.address.url} is slow"
            self.problem = (
                f"{reason}; {self._spool.waiting:,} points wait in {self._spool.root} for the next "
                "run with this store"
            )
        self._spool.close()
        self._server.close()

    def __enter__(self) -> "InfluxStore":
        """Open."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def append(self, table: str, frame: pl.DataFrame) -> None:
        """Add rows of a declared table; on return the server has them, or the disk.

        Raises StoreError when neither takes them.
        """
        spool = self._spool
        assert spool is not None, "the store was not opened"
        schema = schema_of(table)
        rows = frame.select(list(schema)).cast(schema)  # type: ignore[arg-type]
        with self._order:
            for lines in self._batches(table, rows):
                if not spool.waiting and self._send_now(lines):
                    continue
                spool.add(lines)
                self.spooled_points += len(lines)
                self._wake.set()

    def _batches(self, table: str, frame: pl.DataFrame) -> Iterator[list[str]]:
        batch: list[str] = []
        for line in lines_of(table, frame, self.address.precision):
            if not line:
                self.empty_rows += 1
                continue
            batch.append(line)
            if len(batch) == BATCH_POINTS:
                yield batch
                batch = []
        if batch:
            yield batch

    def _send_now(self, lines: list[str]) -> bool:
        try:
            self._send(lines)
        except ServerAwayError as error:
            self._meet(error)
            return False
        self.problem = ""
        return True

    def _send(self, lines: Sequence[str]) -> int:
        """Send lines; return how many the server took and count those that it never will."""
        taken = len(lines)
        try:
            self._server.write(lines)
        except PointsRefusedError as error:
            if error.status == 413 and len(lines) > 1:
                middle = len(lines) // 2
                return self._send(lines[:middle]) + self._send(lines[middle:])
            taken -= error.refused
            self.refused_points += error.refused
            _LOG.warning("%s (%d points)", error, error.refused)
        self.sent_points += taken
        return taken

    def _keep_sending(self) -> None:
        """Send until stopped; what nobody thought of is told, and tried again."""
        while not self._stopped.is_set():
            try:
                self._send_what_waits()
            except Exception as error:
                _LOG.exception("sending to %s failed", self.address.url)
                self.problem = f"sending to the database failed: {error}; points wait on disk"
                self._stopped.wait(_LONGEST_WAIT_S)

    def _send_what_waits(self) -> None:
        assert self._spool is not None
        wait_s = _FIRST_WAIT_S
        while not self._stopped.is_set():
            batch = self._spool.take(BATCH_POINTS)
            if batch is None:
                self._wake.clear()
                # What came in between the look and the clearing must not sleep.
                if not self._spool.waiting:
                    self._wake.wait()
                continue
            try:
                taken = self._send(batch.lines)
            except ServerAwayError as error:
                self._meet(error)
                # Collectors that lost the server together must not all come back at once.
                self._stopped.wait(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                continue
            wait_s = _FIRST_WAIT_S
            self.problem = ""
            self.resent_points += taken
            self._spool.done(batch)

    def _meet(self, error: ServerAwayError) -> None:
        problem = f"{error}; points wait on disk"
        if problem != self.problem:
            _LOG.warning("%s", problem)
        self.problem = problem

    def query(
        self,
        table: str,
        start_ns: int,
        end_ns: int,
        *,
        columns: Sequence[str] | None = None,
        where: pl.Expr | None = None,
        max_points: int | None = None,
    ) -> pl.DataFrame:
        """Return rows with start_ns <= time_ns < end_ns, in order of time.

        max_points: at most so many intervals, folded by the server. where: applied to what the
        server returns, so folded rows if they are folded. Raises TooManyRowsError for more than
        MAX_ROWS rows, StoreError when the server is away or cannot be read.
        """
        wanted = list(columns) if columns is not None else list(schema_of(table))
        interval_ns = interval_of(table, start_ns, end_ns, max_points)
        needed = [*wanted, *(where.meta.root_names() if where is not None else ())]
        tags = tag_equalities(table, where)
        if interval_ns == SECOND_NS:
            question = select_rows(table, start_ns, end_ns, needed, tags)
        else:
            start = start_ns // interval_ns * interval_ns
            question = select_folded(table, interval_ns, start, end_ns, needed, tags)
        frame = bounded(frame_of(table, self._server.ask(question)), table)
        if where is not None:
            frame = frame.filter(where)
        return frame.sort("time_ns").select(wanted)
