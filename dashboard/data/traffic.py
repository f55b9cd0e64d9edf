"""What the page Traffic asks: bytes by host, application and behaviour, and flows that ended."""

from typing import Any, Final, NamedTuple

import polars as pl

from fabricscope.dashboard.data.samples import read_events, read_intervals
from fabricscope.dashboard.data.training import read_taps
from fabricscope.dashboard.view import View
from fabricscope.pipeline.contradictions import find_contradictions
from fabricscope.store import Store

__all__ = ["EndedFlows", "Traffic", "read_flows", "read_traffic"]

FLOWS_LISTED: Final = 2_000
SERIES: Final = 6
"""Applications with a colour of their own over time; the others are one."""
UNKNOWN: Final = "unknown"
_LOOKED_NS: Final = 10 * 10**9
"""A collector looks at applications every ten seconds."""
_FLOW_COLUMNS: Final = (
    "time_ns", "src", "dst", "src_port", "dst_port", "protocol", "tunnel",
    "application", "application_source", "application_confidence", "detail", "behaviour",
    "behaviour_confidence", "behaviour_features", "start_ns", "end_ns", "end", "tap",
    "first_frame", "a_to_b_bytes", "b_to_a_bytes", "a_to_b_packets", "b_to_a_packets",
)  # fmt: skip


class Traffic(NamedTuple):
    """interval_ns: of what times stand for.

    pairs: a row an application and behaviour; hosts: a row a host, application and behaviour, most
    bytes first; times_ns and series: bytes of each application over time, by name.
    """

    interval_ns: int
    pairs: pl.DataFrame
    hosts: pl.DataFrame
    times_ns: list[int]
    series: list[tuple[str, list[int]]]


class EndedFlows(NamedTuple):
    """rows: those with most bytes; total: how many ended; since_ns: what was looked at."""

    rows: pl.DataFrame
    total: int
    since_ns: int
    contradictions: list[dict[str, Any]]


def read_traffic(store: Store, view: View) -> Traffic:
    """Return who carried what in the view, by payload (application) and by statistics."""
    columns = ["time_ns", "src", "application", "behaviour", "packets", "bytes", "flows"]
    rows, step_ns = read_intervals(store, view, "application_samples", columns, points=300)
    rows = rows.with_columns(
        pl.col("application").replace("", None).fill_null(UNKNOWN),
        pl.col("behaviour").replace("", None),
    )
    sums = [pl.col("bytes", "packets").sum(), pl.col("flows").max()]
    hosts = rows.group_by("src", "application", "behaviour").agg(sums)
    pairs = hosts.group_by("application", "behaviour").agg(
        pl.col("bytes", "packets", "flows").sum()
    )
    order = ["bytes", "application", "behaviour"]
    times, series = _over_time(rows)
    return Traffic(
        max(step_ns, _LOOKED_NS),
        pairs.sort(order, descending=[True, False, False]),
        hosts.sort([*order, "src"], descending=[True, False, False, False]),
        times,
        series,
    )


def _over_time(rows: pl.DataFrame) -> tuple[list[int], list[tuple[str, list[int]]]]:
    sizes = rows.group_by("application").agg(pl.col("bytes").sum())
    named = sizes.sort("bytes", "application", descending=[True, False])["application"].to_list()
    shown = named[:SERIES]
    merged = rows.with_columns(
        name=pl.when(pl.col("application").is_in(shown)).then("application").otherwise(pl.lit(""))
    )
    table = merged.pivot(
        on="name", index="time_ns", values="bytes", aggregate_function="sum"
    ).sort("time_ns").fill_null(0)  # fmt: skip
    series = [(name, table[name].to_list()) for name in shown]
    if "" in table.columns:
        series.append((f"{len(named) - len(shown):,} others", table[""].to_list()))
    return table["time_ns"].to_list(), series


def read_flows(store: Store, view: View) -> EndedFlows:
    """Return the flows that ended in the view, and those that contradict themselves.

    Those of a collector are the ones that its taps saw first.
    """
    taps = read_taps(store, view) if view.collector else None

    def ask(start_ns: int) -> pl.DataFrame:
        return store.query(
            "flows",
            start_ns,
            view.end_ns,
            columns=list(_FLOW_COLUMNS),
            where=None if taps is None else pl.col("tap").is_in(taps),
        )

    rows, since_ns = read_events(store, view, "flows", ask)
    found = find_contradictions(rows)
    listed = (
        rows.with_columns(
            bytes=pl.col("a_to_b_bytes") + pl.col("b_to_a_bytes"),
            packets=pl.col("a_to_b_packets") + pl.col("b_to_a_packets"),
            duration_us=(pl.col("end_ns") - pl.col("start_ns")) / 1e3,
        )
        .sort("bytes", "time_ns", descending=True)
        .head(FLOWS_LISTED)
    )
    return EndedFlows(listed, rows.height, since_ns, found)
