"""Rows for the tests of databases: alerts with everything that needs escaping, counted samples."""

import numpy as np
import polars as pl

from fabricscope.schemas import schema_of

SECOND_NS = 1_000_000_000
START_S = 1_760_000_000

ALERT = {
    "time_ns": 1_700_000_000_123_456_789,
    "collector": "one",
    "rule": "slow link",
    "subject": "leaf1, port=3",
    "severity": "warning",
    "state": "firing",
    "text": 'he said "no"\nand left\\',
    "action": "",
    "value": 2.5,
    "table": "link_samples",
    "since_ns": 1_700_000_000_000_000_000,
    "until_ns": None,
    "by": "",
}


def alerts(*changes: dict[str, object]) -> pl.DataFrame:
    rows = [{**ALERT, **change} for change in changes]
    return pl.DataFrame(rows, schema=schema_of("alerts"))


def numbered(start: int, rows: int) -> pl.DataFrame:
    """Return tap samples of ten taps whose `packets` count up, so that each can be told apart."""
    number = np.arange(start, start + rows)
    frame = pl.DataFrame(
        {
            "time_ns": (START_S + number // 10) * SECOND_NS,
            "collector": ["stream"] * rows,
            "tap": [f"tap{k % 10}" for k in number],
            "packets": number,
        }
    )
    zeros = [pl.lit(0).alias(c) for c in schema_of("tap_samples") if c not in frame.columns]
    return frame.with_columns(zeros)
