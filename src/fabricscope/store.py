"""The store: a directory of Delta Lake tables, written by collectors and read by pages.

`DeltaStore` appends and queries; several processes may do both at once. What buffers, folds,
compacts and forgets is in `recorder`; InfluxDB is in `influx`, and `open_store` chooses.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from fabricscope.errors import StoreError, StoreFullError
from fabricscope.listings import Listings
from fabricscope.schemas import (
    MAX_ROWS,
    RESOLUTIONS_NS,
    SECOND_NS,
    bounded,
    fold,
    interval_at,
    interval_of,
    schema_of,
    stored_schema,
)
from fabricscope.storing import Store

if TYPE_CHECKING:
    from fabricscope.influx.store import InfluxStore

__all__ = [
    "RESOLUTIONS_NS",
    "DeltaStore",
    "Store",
    "StoreFullError",
    "fold",
    "open_store",
    "schema_of",
]

_FILE_BYTES: Final = 64 << 20
_FILE_ROWS: Final = 2_000_000
"""A file is joined with others until it has either: the newest ones are written again each time,
and columns that seldom change take less than a byte a row."""
_ATTEMPTS: Final = 5
_LENGTH: Final = "length_ns"  # what a row stands for, besides the columns of its table
_CONFIGURATION: Final = {"delta.logRetentionDuration": "interval 1 minutes"}
"""Nobody asks for old versions of a table; without this its log grows for a month."""


def open_store(place: str, collector: str = "") -> "DeltaStore | InfluxStore":
    """Return the store that `place` names: a directory, or `influx://...` for a database.

    collector: who writes, if anybody. Nothing is opened yet. Raises ConfigError for a URL that
    cannot be read.
    """
    # influxdb_client takes a third of a second to import.
    if "://" not in place:
        return DeltaStore(place)
    from fabricscope.influx.address import parse_address
    from fabricscope.influx.store import InfluxStore

    return InfluxStore(parse_address(place), collector)


def _scan(paths: list[str], schema: dict[str, pl.DataType]) -> pl.LazyFrame:
    """Return files of a Delta table as rows of the declared `schema`."""
    stored = stored_schema(schema)
    back = [pl.col(name).cast(dtype) for name, dtype in schema.items() if stored[name] != dtype]
    return pl.scan_parquet(paths, missing_columns="insert", schema=stored).with_columns(back)


class DeltaStore:
    """A directory with one Delta Lake table for each table and resolution."""

    def __init__(self, root: str | Path) -> None:
        """Name the directory; nothing is made before the first row is written."""
        self.root = Path(root)
        self._listings = Listings(self._open)
        self.problem = ""
        self.note = ""

    def __enter__(self) -> Self:
        """Return the store: there is nothing to open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: every row is on disk already."""

    def append(self, table: str, frame: pl.DataFrame) -> None:
        """Add rows of a declared table; they are on disk and visible to readers on return.

        Raises StoreError when the disk is full or the directory cannot be written.
        """
        self.write(table, frame.select(list(schema_of(table))).cast(schema_of(table)))  # type: ignore[arg-type]

    def write(self, place: str, frame: pl.DataFrame) -> None:
        """Add rows to the Delta table `place`, for example `link_samples` or `link_samples.1m`."""
        if frame.is_empty():
            return
        frame = frame.cast(stored_schema(dict(frame.schema)))  # type: ignore[arg-type]
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for attempt in range(_ATTEMPTS):
                try:
                    write_deltalake(
                        str(self.root / place),
                        frame,
                        mode="append",
                        configuration=_CONFIGURATION,
                        # A table made before a column was declared gets it now.
                        schema_mode="merge",
                    )
                    return
                except CommitFailedError:
                    if attempt == _ATTEMPTS - 1:
                        raise
        except (OSError, DeltaError) as error:
            raise self._explain(error) from error

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

        max_points: at most so many intervals; samples then come from the finest resolution that
        has no more (`interval_of` tells which), and what is not folded yet is folded on the way. A
        table without rows gives an empty frame, more than MAX_ROWS rows raise TooManyRowsError.
        """
        schema = schema_of(table)
        wanted = list(columns) if columns is not None else list(schema)
        interval_ns = interval_of(table, start_ns, end_ns, max_points)
        if interval_ns == SECOND_NS:
            frame = self.read(table, start_ns, end_ns, where, wanted)
        else:
            frame = self._read_folded(table, interval_ns, start_ns, end_ns, where, wanted)
        return frame.sort("time_ns").select(wanted)

    def span(self, place: str) -> tuple[int, int] | None:
        """Return the first and last `time_ns` in a Delta table, None when it has no rows."""
        files = self.files(place)
        if files is None or files.is_empty():
            return None
        first, last = files["min.time_ns"].min(), files["max.time_ns"].max()
        return (int(first), int(last)) if first is not None and last is not None else None  # type: ignore[arg-type]

    def last(self, place: str, where: pl.Expr) -> int | None:
        """Return the last `time_ns` of the rows that `where` keeps, None when there are none."""
        span = self.span(place)
        reach_ns = SECOND_NS * 3_600
        schema = schema_of(place.split(".")[0])

        def look(rows: pl.LazyFrame) -> pl.DataFrame:
            return rows.select(pl.col("time_ns").max()).collect()

        while span is not None:
            start = span[1] - reach_ns
            found = self._look([(place, start, span[1] + 1)], where, schema, look)
            newest = found["time_ns"].max()
            if newest is not None:
                return int(newest)  # type: ignore[arg-type]
            if start <= span[0]:
                return None
            reach_ns *= 8
        return None

    def scan(self, place: str) -> pl.LazyFrame:
        """Return a Delta table as a lazy frame, for queries of one's own."""
        files = self.files(place)
        if files is None or files.is_empty():
            return pl.LazyFrame(schema=schema_of(place.split(".")[0]))
        paths = [str(self.root / place / path) for path in files["path"]]
        schema = schema_of(place.split(".")[0])
        return _scan(paths, schema)

    def files(self, place: str) -> pl.DataFrame | None:
        """Return the files of a Delta table with sizes and statistics, None if there is none."""
        return self._listings.files(place)

    def count(self, place: str, start_ns: int, end_ns: int) -> int:
        """Return how many rows the files of a Delta table hold that have any in the range."""
        files = self.files(place)
        if files is None or files.is_empty():
            return 0
        return int(files.filter(_overlap(start_ns, end_ns))["num_records"].sum())

    def places(self) -> list[str]:
        """Return the Delta tables that exist, in order of name."""
        if not self.root.is_dir():
            return []
        return sorted(path.parent.name for path in self.root.glob("*/_delta_log"))

    def compact(self, place: str, *, orphans: bool = False) -> tuple[int, int]:
        """Join small files and delete those no longer needed; return how many were and are.

        orphans: delete also what no log knows, left by one that was killed or met a full disk.
        """
        delta = self._open(place)
        if delta is None:
            return 0, 0
        before = len(delta.file_uris())
        files = pl.DataFrame(delta.get_add_actions(flatten=True))
        rows, size = int(files["num_records"].sum()), int(files["size_bytes"].sum())
        target = min(_FILE_BYTES, max(_FILE_ROWS * size // max(rows, 1), 1))
        try:
            delta.optimize.compact(target_size=target)
            # Files that the log itself gave up, or old ones: not what others are writing.
            delta.vacuum(
                int(orphans), dry_run=False, enforce_retention_duration=False, full=orphans
            )
            delta.create_checkpoint()
            delta.cleanup_metadata()
        except CommitFailedError:
            return before, before  # another collector was at it; the next time will do
        except (OSError, DeltaError) as error:
            raise self._explain(error) from error
        return before, len(delta.file_uris())

    def forget(self, place: str, before_ns: int) -> int:
        """Delete rows older than `before_ns`; return how many."""
        span = self.span(place)
        delta = self._open(place)
        if delta is None or span is None or span[0] >= before_ns:
            return 0
        try:
            result: dict[str, Any] = delta.delete(f"time_ns < {int(before_ns)}")
        except CommitFailedError:
            return 0
        except (OSError, DeltaError) as error:
            raise self._explain(error) from error
        return int(result.get("num_deleted_rows") or 0)

    def check_writable(self) -> None:
        """Make the directory if it is not there, and a file in it for a moment.

        Raises StoreError when that cannot be done.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as file:
                file.write(b"written")
        except OSError as error:
            raise self._explain(error) from error

    def size_bytes(self) -> int:
        """Return what the store takes on disk, old versions included."""
        total = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                # Others delete what they have joined.
                with contextlib.suppress(FileNotFoundError):
                    total += os.stat(os.path.join(folder, name)).st_size
        return total

    def _open(self, place: str) -> DeltaTable | None:
        try:
            return DeltaTable(str(self.root / place))
        except TableNotFoundError:
            return None
        except (OSError, DeltaError) as error:
            raise self._explain(error) from error

    def read(
        self,
        place: str,
        start_ns: int,
        end_ns: int,
        where: pl.Expr | None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return rows of the Delta table `place`, in no order.

        Files without rows in the range are not opened; too many rows raise TooManyRowsError.
        """
        schema = schema_of(place.split(".")[0])
        chosen = list(schema if columns is None else dict.fromkeys([*columns, "time_ns"]))

        def look(rows: pl.LazyFrame) -> pl.DataFrame:
            return rows.select(chosen).head(MAX_ROWS + 1).collect()

        return bounded(self._look([(place, start_ns, end_ns)], where, schema, look), place)

    def _look(
        self,
        parts: Sequence[tuple[str, int, int]],
        where: pl.Expr | None,
        schema: dict[str, pl.DataType],
        answer: Callable[[pl.LazyFrame], pl.DataFrame],
    ) -> pl.DataFrame:
        """Return what `answer` makes of rows of Delta tables, each from a time to another.

        Files without rows in the range are not opened. What was compacted and swept away between
        the list of files and the look is read again by the new list.
        """
        for attempt in range(_ATTEMPTS):
            rows = [self._rows(*part, schema) for part in parts]
            found = [frame for frame in rows if frame is not None]
            if not found:
                return pl.DataFrame(schema=schema)
            together = pl.concat(found)
            try:
                return answer(together if where is None else together.filter(where))
            except (OSError, pl.exceptions.ComputeError) as error:
                if attempt == _ATTEMPTS - 1:
                    raise self._explain(error) from error
        raise AssertionError("unreachable")

    def _rows(
        self, place: str, start_ns: int, end_ns: int, schema: dict[str, pl.DataType]
    ) -> pl.LazyFrame | None:
        files = self.files(place)
        if files is None or files.is_empty():
            return None
        inside = files.filter(_overlap(start_ns, end_ns))
        paths = [str(self.root / place / path) for path in inside["path"]]
        if not paths:
            return None
        time_ns, length_ns = pl.col("time_ns"), pl.lit(float(interval_at(place)))
        rows = _scan(paths, schema).filter((time_ns >= start_ns) & (time_ns < end_ns))
        return rows.with_columns(length_ns.alias(_LENGTH))

    def _read_folded(
        self,
        table: str,
        interval_ns: int,
        start_ns: int,
        end_ns: int,
        where: pl.Expr | None,
        columns: Sequence[str],
    ) -> pl.DataFrame:
        """Return folded samples; the newest, not folded yet, are folded from finer ones."""
        kept = [f"{table}.{name}" for name, ns in RESOLUTIONS_NS.items() if ns <= interval_ns]
        parts = []
        start = start_ns // interval_ns * interval_ns
        for place in reversed([table, *kept]):
            span = self.span(place)
            if span is None:
                continue
            parts.append((place, start, end_ns))
            start = max(start, span[1] + interval_at(place))
            if start >= end_ns:
                break
        return bounded(self.folded(table, parts, where, interval_ns, columns), table)

    def folded(
        self,
        table: str,
        parts: Sequence[tuple[str, int, int]],
        where: pl.Expr | None,
        interval_ns: int,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Return rows of Delta tables of `table`, each from a time to another, folded as read."""
        # An hour counts more than a second; rows of one length count the same.
        weight = _LENGTH if len(parts) > 1 else None

        def answer(rows: pl.LazyFrame) -> pl.DataFrame:
            return fold(table, rows, interval_ns, columns, weight)

        return self._look(parts, where, schema_of(table), answer)

    def _explain(self, error: Exception) -> StoreError:
        text = str(error)
        if "No space left" in text or "os error 28" in text:
            free = shutil.disk_usage(self.root).free if self.root.exists() else 0
            return StoreFullError(
                f"the disk of store {self.root} is full ({free / 1e6:.0f} MB free); free some "
                "space, or give --max-size so that the oldest data make room"
            )
        if isinstance(error, PermissionError) or "ermission denied" in text:
            return StoreError(f"store {self.root} cannot be written: permission denied")
        return StoreError(f"store {self.root}: {(text.splitlines() or [type(error).__name__])[0]}")


def _overlap(start_ns: int, end_ns: int) -> pl.Expr:
    """Return which files have rows in a range."""
    return (pl.col("max.time_ns") >= start_ns) & (pl.col("min.time_ns") < end_ns)
