"""Rows of a window folded into one for each subject, before a rule compares them."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import polars as pl

from fabricscope.analyzers.policy.metrics import columns_of
from fabricscope.analyzers.policy.timing import DEFAULT_GROUPS

__all__ = ["MAX_WINDOW_ROWS", "Window", "fold_rows", "subject_of"]

MAX_WINDOW_ROWS: Final = 1_000_000
"""Rows that one rule's window holds; beyond it the oldest second goes."""

_MEDIANS: Final = ("duration_ms", "usual_ms", "slowdown")


def subject_of(table: str, group_by: Sequence[str]) -> pl.Expr:
    """Return the text that names what rows are about, in the words of the other pages."""
    if tuple(group_by) == DEFAULT_GROUPS["link_samples"]:
        source = pl.col("source")
        by = pl.when(source == "mirror").then(None).otherwise(pl.format("({})", source))
        parts = [pl.col("link"), pl.col("direction"), by]
    elif tuple(group_by[:2]) == ("src", "dst"):
        parts = [pl.format("{} -> {}", "src", "dst")]
        parts += [
            pl.format("qp {}", name) if name == "dest_qp" else pl.col(name) for name in group_by[2:]
        ]
    else:
        parts = [pl.col(name).cast(pl.String).replace("", None) for name in group_by]
    return pl.concat_str(parts, separator=" ", ignore_nulls=True)


def fold_rows(
    frame: pl.DataFrame, table: str, group_by: Sequence[str], window_s: float
) -> pl.DataFrame:
    """Return one row for each subject: columns folded as the store folds them, and more.

    subject: what the row is about; rows: how many it was; folded_s: `window_s` as given. Columns
    that the store keeps as they are (of `iterations`) give their mean, medians where an outlier
    must not count, and their last text.
    """
    folds = {column.name: column.fold for column in columns_of(table)}
    values = []
    for name, dtype in frame.schema.items():
        if name in group_by:
            continue
        column = pl.col(name)
        fold = folds.get(name, "")
        if name == "time_ns":
            values.append(column.max())
        elif fold in ("sum", "max", "min", "mean"):
            values.append(getattr(column, fold)())
        elif name in _MEDIANS:
            values.append(column.median())
        elif dtype.is_numeric() and not fold:
            values.append(column.mean())
        else:
            values.append(column.drop_nulls().last())
    keys: list[str] | list[pl.Expr] = list(group_by) or [pl.lit("").alias("everything")]
    folded = frame.group_by(keys, maintain_order=True).agg(*values, pl.len().alias("rows"))
    return folded.with_columns(
        subject_of(table, group_by).alias("subject") if group_by else pl.lit("").alias("subject"),
        pl.lit(window_s).alias("folded_s"),
    )


class Window:
    """Rows of the last `length_ns`, second by second, with the columns that a rule needs."""

    def __init__(self, length_ns: int) -> None:
        """Begin empty."""
        self._length_ns = length_ns
        self._seconds: deque[tuple[int, pl.DataFrame]] = deque()
        self._rows = 0
        self.cut = 0
        """Rows given up at the bound."""

    def add(self, end_ns: int, frame: pl.DataFrame | None) -> pl.DataFrame | None:
        """Take a second in and return the rows of the window that ends with it, None for none."""
        if frame is not None and not frame.is_empty():
            self._seconds.append((end_ns, frame))
            self._rows += frame.height
        while self._seconds and self._seconds[0][0] <= end_ns - self._length_ns:
            self._rows -= self._seconds.popleft()[1].height
        while self._rows > MAX_WINDOW_ROWS and len(self._seconds) > 1:
            gone = self._seconds.popleft()[1].height
            self._rows -= gone
            self.cut += gone
        frames = [rows for _, rows in self._seconds]
        return pl.concat(frames) if frames else None
