"""What the page Training asks: jobs as the reports know them, of iterations and job samples."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from fabricscope.dashboard.data.samples import of_collector, read_events, read_intervals
from fabricscope.dashboard.training import Job
from fabricscope.dashboard.view import View
from fabricscope.schemas import SECOND_NS
from fabricscope.store import Store

__all__ = ["STORAGE", "LiveJob", "Storage", "read_jobs", "read_storage", "read_taps"]

STORAGE: Final = ("dataset_read", "checkpoint_write")
JOBS_LIMIT: Final = 50
ITERATIONS_LIMIT: Final = 50_000
"""Of a job, the latest ones; the store may hold more."""
_COLUMNS: Final = (
    "time_ns", "collector", "job", "operation", "algorithm", "end_ns", "message_bytes",
    "algbw_gbps", "busbw_gbps", "straggler",
)  # fmt: skip
_PLACE: Final = ("time_ns", "collector", "job", "operation", "message_bytes")
"""What tells a row of iterations from others."""
_AROUND_NS: Final = 60 * SECOND_NS
"""How long before and after its last iteration a job's last sample is looked for: a look takes the
iterations of 20 s before it."""
_NEAR_NS: Final = 10 * SECOND_NS
"""Times so close are asked for together."""
_LOOKED_NS: Final = 10 * SECOND_NS
"""A collector looks at applications every ten seconds."""


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

    def ask(start_ns: int) -> pl.DataFrame:
        return store.query("iterations", start_ns, view.end_ns, columns=list(_COLUMNS), where=where)

    rows, _ = read_events(store, view, "iterations", ask)
    if rows.is_empty():
        return []
    parts = [part.sort("time_ns") for _, part in rows.group_by("collector", "job")]
    parts.sort(key=lambda part: part.select("collector", "job").row(0))
    parts.sort(
        key=lambda part: ((part["straggler"] != "").any(), part["time_ns"][-1]), reverse=True
    )
    listed = [_number_collectives(part) for part in parts[:JOBS_LIMIT]]
    ranks = _ranks_of(store, listed)
    samples = _last_samples(store, view, listed)
    return [_job(number, part, ranks, samples) for number, part in enumerate(listed, 1)]


def _number_collectives(rows: pl.DataFrame) -> pl.DataFrame:
    """Return a job's latest iterations with the number of the collective that each is of."""
    # Sizes are measured a little differently from look to look.
    size = (pl.col("message_bytes").clip(1).log(2) * 4).round()
    return rows.tail(ITERATIONS_LIMIT).with_columns(
        collective=pl.struct("operation", size.alias("size")).rank("dense").cast(pl.Int64) - 1
    )


def _ranks_of(store: Store, jobs: Sequence[pl.DataFrame]) -> dict[tuple[Any, ...], list[str]]:
    """Return the ranks of each collective's last iteration, by `_PLACE`.

    There may be a thousand ranks in a row: those of the other rows are not read.
    """
    last = pl.concat([job.group_by("collective", maintain_order=True).last() for job in jobs])
    times = last["time_ns"].unique().sort()
    found: dict[tuple[Any, ...], list[str]] = {}
    for start_ns, end_ns in _join_spans((time_ns, time_ns + 1) for time_ns in times):
        rows = store.query(
            "iterations",
            start_ns,
            end_ns,
            columns=[*_PLACE, "ranks"],
            where=pl.col("time_ns").is_in(times.to_list()),
        )
        found |= {row[:-1]: row[-1] for row in rows.select(*_PLACE, "ranks").iter_rows()}
    return found


def _last_samples(
    store: Store, view: View, jobs: Sequence[pl.DataFrame]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the last row of job_samples by collector and job."""
    spans = [
        (
            max(job["time_ns"][-1] - _AROUND_NS, view.start_ns),
            min(job["end_ns"][-1] + _AROUND_NS, view.end_ns),
        )
        for job in jobs
    ]
    key = ["collector", "job"]
    names = pl.concat([job.select(*key).head(1) for job in jobs])
    last = pl.DataFrame(schema={**names.schema, "time_ns": pl.Int64})
    for start_ns, end_ns in _join_spans(spans):
        seen = store.query("job_samples", start_ns, end_ns, columns=[*key, "time_ns"])
        last = pl.concat([last, seen.select(*key, "time_ns")])
    last = last.join(names, on=key, how="semi").group_by(key).agg(pl.col("time_ns").max())
    found = {}
    for (time_ns,), part in last.group_by("time_ns"):
        wanted = set(part.select(*key).iter_rows())
        rows = store.query("job_samples", int(time_ns), int(time_ns) + 1)
        for row in rows.iter_rows(named=True):
            if (row["collector"], row["job"]) in wanted:
                found[row["collector"], row["job"]] = row
    return found


def _join_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, those that nearly touch as one."""
    joined: list[tuple[int, int]] = []
    for start_ns, end_ns in sorted(spans):
        if joined and start_ns <= joined[-1][1] + _NEAR_NS:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_ns))
        else:
            joined.append((start_ns, end_ns))
    return joined


def _job(
    number: int,
    rows: pl.DataFrame,
    ranks: Mapping[tuple[Any, ...], list[str]],
    samples: Mapping[tuple[str, str], Mapping[str, Any]],
) -> LiveJob:
    collector, name = rows.select("collector", "job").row(0)
    sample = samples.get((collector, name), {})
    collectives: list[Mapping[str, Any]] = [
        _collective(part, ranks)
        for _, part in sorted(rows.group_by("collective"), key=lambda one: one[0])
    ]
    everybody = sorted({rank for one in collectives for rank in one["ranks"]})
    entry = _entry(sample.get("ranks") or everybody, sample)
    held = rows.filter(pl.col("straggler") != "").height
    job = Job(number, entry, collectives)
    return LiveJob(f"{collector}/{name}", name, collector, job, rows, sample, held)


def _collective(
    rows: pl.DataFrame, ranks_of: Mapping[tuple[Any, ...], list[str]]
) -> dict[str, Any]:
    """Return a collective as the document of `analyze` has it."""
    last = rows.row(-1, named=True)
    ranks = ranks_of.get(tuple(last[name] for name in _PLACE)) or []
    named = [row["straggler"] for row in rows.tail(20).iter_rows(named=True) if row["straggler"]]
    return {
        "operation": last["operation"],
        "algorithm": last["algorithm"],
        "ranks": ranks,
        "rank_count": len(ranks),
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


def _entry(ranks: list[str], sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job as the document of `analyze` has it; what is not known is left out."""
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
    columns = ["time_ns", "behaviour", "bytes"]
    rows, step_ns = read_intervals(store, view, "application_samples", columns, where=chosen)
    if rows.is_empty():
        return None
    table = rows.pivot(on="behaviour", index="time_ns", values="bytes", aggregate_function="sum")
    table = table.fill_null(0).sort("time_ns")
    return Storage(
        table["time_ns"].to_list(),
        max(step_ns, _LOOKED_NS),
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
