"""What the page Training asks: jobs as the reports know them, of iterations and job samples."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import polars as pl

from fabricscope.dashboard.data.samples import affordable_start, interval_ns, of_collector
from fabricscope.dashboard.training import Job
from fabricscope.dashboard.view import View
from fabricscope.store import Store

__all__ = ["STORAGE", "LiveJob", "Storage", "read_jobs", "read_storage", "read_taps"]

STORAGE: Final = ("dataset_read", "checkpoint_write")
JOBS_LIMIT: Final = 50
ITERATIONS_LIMIT: Final = 50_000
"""Of a job, the latest ones; the store may hold more."""
_COLUMNS: Final = (
    "time_ns", "collector", "job", "operation", "algorithm", "ranks", "end_ns", "message_bytes",
    "algbw_gbps", "busbw_gbps", "straggler",
)  # fmt: skip


class LiveJob(NamedTuple):
    """A job in a time range.

    key: what tells it apart in an address; job: as the reports draw it; iterations: its rows, in
    order of time, with `collective`, the place in `job.collectives`; sample: the last row of
    job_samples, {} without any; held: iterations that somebody held back.
    """

    key: str
    name: str
    collector: str
    job: Job
    iterations: pl.DataFrame
    sample: Mapping[str, Any]
    held: int


class Storage(NamedTuple):
    """Bytes that ranks exchanged with storage, by time and behaviour."""

    times_ns: list[int]
    interval_ns: int
    bytes: dict[str, list[int]]


def read_jobs(store: Store, view: View) -> list[LiveJob]:
    """Return the jobs of the view, those held back first, then by their latest iteration."""
    where = of_collector(view)
    start_ns = affordable_start(store, view, "iterations")
    rows = store.query("iterations", start_ns, view.end_ns, columns=list(_COLUMNS), where=where)
    samples = store.query("job_samples", view.start_ns, view.end_ns, where=where)
    latest = {
        (row["collector"], row["job"]): row
        for row in samples.sort("time_ns").group_by("collector", "job").last().to_dicts()
    }
    found = [
        _job(str(collector), str(name), part, latest.get((collector, name), {}))
        for (collector, name), part in rows.group_by("collector", "job")
    ]
    found.sort(key=lambda one: one.key)
    found.sort(key=lambda one: (one.held > 0, one.iterations["time_ns"][-1]), reverse=True)
    return [
        one._replace(job=one.job._replace(number=number))
        for number, one in enumerate(found[:JOBS_LIMIT], 1)
    ]


def _job(collector: str, name: str, rows: pl.DataFrame, sample: Mapping[str, Any]) -> LiveJob:
    rows = rows.sort("time_ns").tail(ITERATIONS_LIMIT)
    # Sizes are measured a little differently from look to look.
    size = (pl.col("message_bytes").clip(1).log(2) * 4).round()
    rows = rows.with_columns(
        collective=pl.struct("operation", size.alias("size")).rank("dense").cast(pl.Int64) - 1
    )
    collectives: list[Mapping[str, Any]] = [
        _collective(part) for _, part in sorted(rows.group_by("collective"), key=lambda one: one[0])
    ]
    entry = _entry(rows, sample)
    held = rows.filter(pl.col("straggler") != "").height
    return LiveJob(
        f"{collector}/{name}", name, collector, Job(1, entry, collectives), rows, sample, held
    )


def _collective(rows: pl.DataFrame) -> dict[str, Any]:
    """Return a collective as the document of `analyze` has it."""
    last = rows.row(-1, named=True)
    named = [row["straggler"] for row in rows.tail(20).iter_rows(named=True) if row["straggler"]]
    return {
        "operation": last["operation"],
        "algorithm": last["algorithm"],
        "ranks": last["ranks"],
        "rank_count": len(last["ranks"]),
        "message_bytes": last["message_bytes"],
        "iterations": rows.height,
        "iteration_spans": list(zip(rows["time_ns"], rows["end_ns"], strict=True)),
        "algbw_gbps": rows["algbw_gbps"].median(),
        "busbw_gbps": rows["busbw_gbps"].median(),
        "duration_ms": {
            "p50": ((rows["end_ns"] - rows["time_ns"]) / 1e6).median(),
            "p99": ((rows["end_ns"] - rows["time_ns"]) / 1e6).quantile(0.99),
        },
        "straggler": _parse(named[-1]) if named else None,
        "held": rows.filter(pl.col("straggler") != "").height,
    }


def _entry(rows: pl.DataFrame, sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job as the document of `analyze` has it; what is not known is left out."""
    ranks = (
        sample.get("ranks") or rows["ranks"].explode(empty_as_null=False).unique().sort().to_list()
    )
    entry: dict[str, Any] = {"ranks": ranks}
    if not sample:
        return entry
    entry |= {
        "steps": sample["steps"],
        "step_ms": {"p50": sample["step_ms_p50"], "p99": sample["step_ms_p99"]},
        "step_bytes": sample["step_bytes"],
        "communication_share": sample["communication_share"],
        "parallelism": sample["parallelism"],
    }
    # A verdict is for as long as it is repeated: the last look may have found nothing wrong.
    if sample["diagnosis"]:
        entry["diagnosis"] = _parse(sample["diagnosis"])
    return entry


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_storage(store: Store, view: View, ranks: tuple[str, ...]) -> Storage | None:
    """Return what the hosts `ranks` read from data sets and wrote as checkpoints, None for nothing.

    The behaviour is that of flows from a host, both directions together.
    """
    chosen = pl.col("src").is_in(ranks) & pl.col("behaviour").is_in(STORAGE)
    collector = of_collector(view)
    rows = store.query(
        "application_samples",
        view.start_ns,
        view.end_ns,
        columns=["time_ns", "behaviour", "bytes"],
        where=chosen if collector is None else chosen & collector,
        max_points=400,
    )
    if rows.is_empty():
        return None
    table = rows.pivot(on="behaviour", index="time_ns", values="bytes", aggregate_function="sum")
    table = table.fill_null(0).sort("time_ns")
    return Storage(
        table["time_ns"].to_list(),
        max(interval_ns(table["time_ns"]), 10 * 10**9),
        {name: table[name].to_list() for name in STORAGE if name in table.columns},
    )


def read_taps(store: Store, view: View) -> list[str]:
    """Return the names of the taps that saw anything: of a replay, those of the captures."""
    rows = store.query(
        "tap_samples",
        view.start_ns,
        view.end_ns,
        columns=["time_ns", "tap"],
        where=of_collector(view),
        max_points=60,
    )
    return sorted(rows["tap"].drop_nulls().unique().to_list())
