"""Live jobs: iterations made into the collectives of the reports, storage, taps."""

import json
from pathlib import Path

import polars as pl
from live_jobs import RANKS, SLOW, START_NS, VIEW, iteration, store_of

from fabricscope.dashboard.data.training import read_jobs, read_storage, read_taps
from fabricscope.dashboard.view import View
from fabricscope.schemas import SECOND_NS, schema_of
from fabricscope.store import DeltaStore


def test_iterations_of_nearly_one_size_are_one_collective(tmp_path: Path) -> None:
    held = json.dumps(SLOW)
    store = store_of(
        tmp_path, iteration(0), iteration(1, size=(1 << 20) + 500, straggler=held),
        iteration(2, size=1 << 24),
    )  # fmt: skip
    (job,) = read_jobs(store, VIEW)
    assert (job.key, job.held) == ("one/10.0.0.1+2", 1)
    small, large = sorted(job.job.collectives, key=lambda one: one["message_bytes"])
    assert small["iterations"] == 2
    assert small["straggler"] == SLOW
    assert large["iterations"] == 1
    assert large["straggler"] is None
    assert job.job.ranks == RANKS
    assert sorted(job.iterations["collective"].unique()) == [0, 1]
    for place, one in enumerate(job.job.collectives):
        rows = job.iterations.filter(pl.col("collective") == place)
        assert one["iteration_spans"] == list(zip(rows["time_ns"], rows["end_ns"], strict=True))


def test_the_job_that_is_held_back_comes_first(tmp_path: Path) -> None:
    store = store_of(
        tmp_path, iteration(0, job="a+2", straggler=json.dumps(SLOW)), iteration(30, job="b+2")
    )
    assert [job.name for job in read_jobs(store, VIEW)] == ["a+2", "b+2"]
    assert [job.job.number for job in read_jobs(store, VIEW)] == [1, 2]


def test_the_last_sample_tells_of_steps_and_diagnosis(tmp_path: Path) -> None:
    store = store_of(tmp_path, iteration(0))
    row = dict.fromkeys(schema_of("job_samples"))
    rows = [
        {**row, "time_ns": START_NS + second, "collector": "one", "job": "10.0.0.1+2",
         "ranks": RANKS, "steps": second, "diagnosis": json.dumps("Rank 2 is slow.")}
        for second in (1, 2)
    ]  # fmt: skip
    store.append("job_samples", pl.DataFrame(rows, schema=schema_of("job_samples")))
    (job,) = read_jobs(store, VIEW)
    assert job.job.entry["steps"] == 2
    assert job.job.entry["diagnosis"] == "Rank 2 is slow."


class Asked(DeltaStore):
    """A directory that remembers which columns of which rows it was asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[tuple[str, int, pl.DataFrame]] = []

    def query(self, table, start_ns, end_ns, **more):  # type: ignore[no-untyped-def]
        rows = super().query(table, start_ns, end_ns, **more)
        self.asked.append((table, end_ns - start_ns, rows))
        return rows


def job_sample(second: int, **values: object) -> dict[str, object]:
    row = dict.fromkeys(schema_of("job_samples"))
    return {
        **row, "time_ns": START_NS + second * SECOND_NS, "collector": "one", "steps": second,
        "job": "10.0.0.1+2", "ranks": RANKS, "diagnosis": "", **values,
    }  # fmt: skip


def test_ranks_are_read_of_the_last_iterations_alone(tmp_path: Path) -> None:
    """A job of many ranks has a long list of them in each row."""
    others = ["10.0.1.1", "10.0.1.2"]
    day = 86_400
    store_of(
        tmp_path, *(iteration(second) for second in range(0, 2_000, 10)),
        iteration(1_505, size=1 << 24, ranks=RANKS[:2]),
        *(iteration(day + second, job="10.0.1.1+1", ranks=others) for second in range(5)),
    )  # fmt: skip
    store = Asked(tmp_path)
    rows = [job_sample(second) for second in range(0, 2_000, 2)]
    rows += [job_sample(day + second, job="10.0.1.1+1", ranks=others) for second in range(30)]
    store.append("job_samples", pl.DataFrame(rows, schema=schema_of("job_samples")))
    found = read_jobs(store, View(START_NS, START_NS + 2 * day * SECOND_NS, ""))
    assert [(job.name, job.sample["steps"]) for job in found] == [
        ("10.0.1.1+1", day + 29), ("10.0.0.1+2", 1_998),
    ]  # fmt: skip
    assert [job.job.ranks for job in found] == [others, RANKS]
    assert [one["ranks"] for one in found[1].job.collectives] == [RANKS, RANKS[:2]]
    assert sum(rows.height for _, _, rows in store.asked if "ranks" in rows.columns) == 5
    assert all(
        length <= 150 * SECOND_NS for table, length, _ in store.asked if table == "job_samples"
    )


def test_storage_is_what_the_ranks_did_alone(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    row = {"time_ns": START_NS, "collector": "one", "application": "http", "packets": 1, "flows": 1}
    rows = [
        {**row, "src": src, "behaviour": behaviour, "bytes": size}
        for src, behaviour, size in (
            (RANKS[0], "dataset_read", 100), (RANKS[1], "dataset_read", 20),
            (RANKS[1], "checkpoint_write", 7), ("10.9.9.9", "dataset_read", 5),
            (RANKS[2], "bulk", 3),
        )
    ]  # fmt: skip
    frame = pl.DataFrame(rows).select(list(schema_of("application_samples")))
    store.append("application_samples", frame)
    found = read_storage(store, VIEW, tuple(RANKS))
    assert found is not None
    assert found.bytes == {"dataset_read": [120], "checkpoint_write": [7]}
    assert read_storage(store, VIEW, ("10.1.1.1",)) is None


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert read_jobs(DeltaStore(tmp_path), VIEW) == []
    assert read_taps(DeltaStore(tmp_path), VIEW) == []
