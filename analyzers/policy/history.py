"""What is usual for a job: its iterations beside those before them, and who holds it back."""

import math
from collections import deque
from statistics import median
from typing import Any, Final

import polars as pl

__all__ = ["IterationHistory"]

MAX_KINDS: Final = 1_024
"""Kinds of iterations remembered; the one silent for longest is forgotten."""

_NUMBERS: Final = {
    "late_ms": "late_ms",
    "rate_gbps": "rate_gbps",
    "others_gbps": "evidence.others_gbps",
}
"""Column and path in the JSON of a straggler."""

REMEMBERED: Final = 256
LEAST: Final = 32
"""Iterations of a kind before anything is usual: the first ones of a job vary."""


class IterationHistory:
    """Durations of earlier iterations by job, operation and size."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._known: dict[tuple[Any, ...], deque[float]] = {}

    def extend(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows of `iterations` with columns of their own for rules.

        duration_ms; usual_ms: median of up to 256 earlier ones of the kind, null for the
        first 32; slowdown: the one over the other; straggler_...: who holds the job back and by how
        much, null for nobody.
        """
        durations, usual = [], []
        named = ("job", "operation", "algorithm", "message_bytes", "time_ns", "end_ns")
        for job, operation, algorithm, size, start, end in frame.select(named).iter_rows():
            # What is measured a little differently at the next look is the same size.
            kind = (job, operation, algorithm, round(4 * math.log2(max(size, 1))))
            known = self._known.pop(kind, None) or deque(maxlen=REMEMBERED)
            self._known[kind] = known
            duration = (end - start) / 1e6
            durations.append(duration)
            usual.append(median(known) if len(known) >= LEAST else None)
            known.append(duration)
        while len(self._known) > MAX_KINDS:
            del self._known[next(iter(self._known))]
        straggler = pl.col("straggler").replace("", None)
        return frame.with_columns(
            pl.Series("duration_ms", durations, pl.Float64),
            pl.Series("usual_ms", usual, pl.Float64),
            *(
                straggler.str.json_path_match(f"$.{name}").alias(f"straggler_{name}")
                for name in ("kind", "ip", "direction")
            ),
            *(
                straggler.str.json_path_match(f"$.{path}")
                .cast(pl.Float64, strict=False)
                .alias(f"straggler_{name}")
                for name, path in _NUMBERS.items()
            ),
        ).with_columns(slowdown=pl.col("duration_ms") / pl.col("usual_ms"))
