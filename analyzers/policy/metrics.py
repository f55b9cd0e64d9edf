"""What a rule may compare: the columns of the tables, numbers with their unit in the name.

Tables of captures are `records.TABLES`; those of a running collector are `series.SERIES`, whose
rows are folded over the rule's window before anything here is computed (`policy.folding`).
"""

from typing import Final

import polars as pl

from fabricscope.records import TABLES, Column
from fabricscope.series import SERIES

__all__ = ["LIVE_TABLES", "RULE_TABLES", "columns_of", "metric_name", "metrics_of", "texts_of"]

LIVE_TABLES: Final = tuple(name for name in SERIES if name != "alerts")
"""Tables of a running collector that rules look at each second."""

RULE_TABLES: Final = (*TABLES, *LIVE_TABLES)

_SUFFIXES: Final = {"": "", "ns": "_ns", "us": "_us", "B": "_bytes", "Gb/s": "_gbps",
                    "packets": "_packets", "dBm": "_dbm"}  # fmt: skip
_NUMBERS: Final = ("Int", "UInt", "Float")
_TIMES: Final = ("time_ns", "end_ns")
_IDENTITIES: Final = ("src", "dst", "subject", "evidence")

_FOLDED_S: Final = pl.col("folded_s")
_THROUGHPUT: Final = pl.col("bytes") * 8e-9 / _FOLDED_S

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
    "link_samples": {
        "throughput_gbps": _THROUGHPUT,
        "lost_share": pl.col("lost") / pl.col("packets").clip(1),
        "error_share": pl.col("errors") / pl.col("packets").clip(1),
        "discard_share": pl.col("discards") / pl.col("packets").clip(1),
        "ecn_marked_share": pl.col("ecn_marked") / pl.col("ecn_capable").clip(1),
        "pause_share": (pl.col("pause_ns") * 1e-9 / _FOLDED_S).clip(0, 1),
    },
    "rdma_samples": {
        "goodput_gbps": pl.col("payload_bytes") * 8e-9 / _FOLDED_S,
        "retransmission_share": pl.col("retransmissions") / pl.col("packets").clip(1),
        "lost_share": pl.col("network_lost") / pl.col("packets").clip(1),
        "ecn_marked_share": pl.col("ecn_marked") / pl.col("packets").clip(1),
    },
    "tap_samples": {
        "throughput_gbps": _THROUGHPUT,
        "dropped_share": pl.col("dropped")
        / (pl.col("packets") + pl.col("skipped") + pl.col("dropped")).clip(1),
    },
    "application_samples": {"throughput_gbps": _THROUGHPUT},
    "iterations": {
        name: pl.col(name)
        for name in (
            "duration_ms",
            "usual_ms",
            "slowdown",
            "straggler_late_ms",
            "straggler_rate_gbps",
            "straggler_others_gbps",
        )
    },
}
_DERIVED_TEXTS: Final = {"iterations": ("straggler_ip", "straggler_kind", "straggler_direction")}


def columns_of(table: str) -> tuple[Column, ...]:
    """Return the declared columns of a table that rules can look at."""
    return SERIES[table] if table in SERIES else TABLES[table]


def metric_name(column: Column) -> str:
    """Return a column's name in rules: its own, and the unit at the end unless it says it."""
    suffix = _SUFFIXES.get(column.unit, f"_{column.unit}")
    return column.name if f"{suffix}_" in f"_{column.name}_" else column.name + suffix


def metrics_of(table: str) -> dict[str, pl.Expr]:
    """Return the numbers of a table that rules can compare, as polars expressions by name.

    Ports are left out: they have conditions of their own. Counters of a running collector are also
    there as rates, `..._per_s`; `rows` is how many were folded into one.
    """
    columns = [
        column
        for column in columns_of(table)
        if column.dtype.startswith(_NUMBERS)
        and column.name not in ("src_port", "dst_port")
        and not (table in SERIES and column.name in _TIMES)
    ]
    metrics = {metric_name(column): pl.col(column.name) for column in columns}
    rates = {
        f"{metric_name(column)}_per_s": pl.col(column.name) / _FOLDED_S
        for column in columns
        if column.fold == "sum"
    }
    counted = {"rows": pl.col("rows")} if table in SERIES else {}
    return metrics | rates | counted | _DERIVED.get(table, {})


def texts_of(table: str) -> list[str]:
    """Return the text columns that rules can match; addresses have conditions of their own."""
    texts = [
        column.name
        for column in columns_of(table)
        if column.dtype == "String" and column.name not in _IDENTITIES
    ]
    return [*texts, *_DERIVED_TEXTS.get(table, ())]
