"""What a rule may compare: the columns of `records.TABLES`, numbers with their unit in the name."""

from typing import Final

import polars as pl

from fabricscope.records import TABLES, Column

_SUFFIXES: Final = {"": "", "ns": "_ns", "us": "_us", "B": "_bytes", "Gb/s": "_gbps",
                    "packets": "_packets"}  # fmt: skip
_NUMBERS: Final = ("Int", "UInt", "Float")

_DERIVED: Final[dict[str, dict[str, pl.Expr]]] = {
    "flows": {
        "bytes": pl.col("a_to_b_bytes") + pl.col("b_to_a_bytes"),
        "packets": pl.col("a_to_b_packets") + pl.col("b_to_a_packets"),
        "duration_s": (pl.col("end_ns") - pl.col("start_ns")) / 1e9,
        "rate_gbps": (pl.col("a_to_b_bytes") + pl.col("b_to_a_bytes"))
        * 8.0
        / (pl.col("end_ns") - pl.col("start_ns")).clip(1),
    },
    "queue_pairs": {
        "duration_s": (pl.col("end_ns") - pl.col("start_ns")) / 1e9,
        "retransmission_share": pl.col("retransmissions") / pl.col("packets").clip(1),
        "ecn_marked_share": pl.col("ecn_marked") / pl.col("ecn_capable").clip(1),
    },
    "findings": {},
}


def metric_name(column: Column) -> str:
    """Return a column's name in rules: its own, and the unit at the end unless it says it."""
    suffix = _SUFFIXES.get(column.unit, f"_{column.unit}")
    return column.name if f"{suffix}_" in f"_{column.name}_" else column.name + suffix


def metrics_of(table: str) -> dict[str, pl.Expr]:
    """Return the numbers of a table that rules can compare, as polars expressions by name.

    Ports are left out: they have conditions of their own.
    """
    metrics = {
        metric_name(column): pl.col(column.name)
        for column in TABLES[table]
        if column.dtype.startswith(_NUMBERS) and column.name not in ("src_port", "dst_port")
    }
    return metrics | _DERIVED.get(table, {})


def texts_of(table: str) -> list[str]:
    """Return the text columns that rules can match; addresses have conditions of their own."""
    return [
        column.name
        for column in TABLES[table]
        if column.dtype == "String" and column.name not in ("src", "dst", "subject", "evidence")
    ]
