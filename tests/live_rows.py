"""Rows of the tables of a running collector, filled in where a test does not care."""

from typing import Any

import polars as pl

from fabricscope.schemas import schema_of

SECOND_NS = 1_000_000_000
T0 = 1_800_000_000 * SECOND_NS
_PLAIN: dict[type[pl.DataType], Any] = {pl.String: "", pl.Int64: 0, pl.Int32: 0, pl.UInt32: 0}
_NAMED = {
    "link": "leaf1-spine1", "direction": "up", "source": "mirror", "tap": "eth2", "score": 100.0,
    "src": "10.0.0.1", "dst": "10.0.0.2", "state": "active", "job": "10.0.0.1+3",
    "operation": "allreduce", "algorithm": "ring", "message_bytes": 1 << 20, "packets": 1_000,
    "bytes": 1_000_000,
}  # fmt: skip


def frame(table: str, second: float, *rows: dict[str, Any]) -> pl.DataFrame:
    """Return rows of `table` of the second that begins so many seconds after T0."""
    schema = schema_of(table)
    start = T0 + int(second * SECOND_NS)
    plain = {name: _PLAIN.get(type(dtype)) for name, dtype in schema.items()}
    named = {name: value for name, value in _NAMED.items() if name in schema}
    return pl.DataFrame([plain | named | {"time_ns": start} | row for row in rows], schema=schema)
