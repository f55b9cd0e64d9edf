"""From counters to rows: what each tap carried in an interval, and each application."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from fabricscope.pipeline.live.counts import TapCounts
from fabricscope.schemas import schema_of

__all__ = ["application_samples", "tap_samples"]


def tap_samples(
    start_ns: int, collector: str, taps: Mapping[str, TapCounts], sampling: int, level: int
) -> pl.DataFrame:
    """Return a row for each tap, by its name."""
    everywhere = {
        "time_ns": start_ns,
        "collector": collector,
        "sampling": sampling,
        "level": level,
    }
    rows = [{**everywhere, "tap": name, **vars(counts)} for name, counts in taps.items()]
    return pl.DataFrame(rows, schema=schema_of("tap_samples"))


def application_samples(
    start_ns: int, collector: str, flows: pl.DataFrame, grown: Mapping[str, Any]
) -> pl.DataFrame:
    """Return rows by source host, application and behaviour.

    flows: `records.TABLES["flows"]` rows; grown: `bytes` and `packets` since the last look.
    """
    return (
        flows.select("src", "application", "behaviour")
        .with_columns(
            bytes=pl.Series(grown["bytes"], dtype=pl.Int64),
            packets=pl.Series(grown["packets"], dtype=pl.Int64),
        )
        .group_by("src", "application", "behaviour")
        .agg(pl.col("packets").sum(), pl.col("bytes").sum(), pl.len().cast(pl.Int64).alias("flows"))
        .with_columns(time_ns=pl.lit(start_ns, pl.Int64), collector=pl.lit(collector, pl.String))
        .select(list(schema_of("application_samples")))
    )
