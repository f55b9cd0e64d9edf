"""What a store is to those who use it: a place that takes rows and answers questions."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import polars as pl

__all__ = ["Store"]


class Store(Protocol):
    """What collectors write to and pages read from; a context while rows are appended."""

    @property
    def problem(self) -> str:
        """What keeps rows from their place, in one sentence; empty while nothing does."""
        ...

    @property
    def note(self) -> str:
        """Return what became of rows that met with trouble; empty for none."""
        ...

    def __enter__(self) -> Self:
        """Make ready for rows."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Bring what is on its way to its place."""
        ...

    def append(self, table: str, frame: pl.DataFrame) -> None:
        """Add rows; when this returns they are kept."""
        ...

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
        """Return rows with start_ns <= time_ns < end_ns, in order of time."""
        ...
