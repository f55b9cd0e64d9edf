import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

from fabricscope import schemas as schemas_module
from fabricscope import store as store_module
from fabricscope.errors import StoreError, TooManyRowsError
from fabricscope.recorder import Recorder, Retention
from fabricscope.schemas import declared, interval_of
from fabricscope.store import DeltaStore, fold, schema_of

SECOND_NS = 1_000_000_000


def samples(start_s: int, seconds: int, taps: int = 3, collector: str = "one") -> pl.DataFrame:
    """Return a sample a second and tap; packets count up, so that each can be told apart."""
    rows = seconds * taps
    values = np.arange(rows)
    frame = pl.DataFrame(
        {
            "time_ns": (start_s + values // taps) * SECOND_NS,
            "collector": [collector] * rows,
            "tap": [f"tap{k % taps}" for k in range(rows)],
            "packets": start_s * taps + values,
            "bytes": values * 100,
            "sampling": values % 7,
        }
    )
    schema = schema_of("tap_samples")
    missing = [pl.lit(0).alias(name) for name in schema if name not in frame.columns]
    return frame.with_columns(missing)


def test_what_is_appended_is_read_back_in_order_of_time(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path / "store")
    later, earlier = samples(100, 5), samples(50, 5)
    store.append("tap_samples", later)
    store.append("tap_samples", earlier)
    found = store.query("tap_samples", 0, 1_000 * SECOND_NS)
    assert found.height == 30
    assert found["time_ns"].is_sorted()
    assert set(found["packets"]) == {*later["packets"], *earlier["packets"]}
    part = store.query(
        "tap_samples",
        52 * SECOND_NS,
        101 * SECOND_NS,
        columns=["packets"],
        where=pl.col("tap") == "tap1",
    )
    assert part.columns == ["packets"]
    assert part.height == 4


def test_numbers_without_a_sign_are_read_back(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    for table in declared():
        schema = schema_of(table)
        largest = {pl.UInt8(): 2**8 - 1, pl.UInt16(): 2**16 - 1, pl.UInt32(): 2**32 - 1}
        row = {name: largest.get(dtype) for name, dtype in schema.items()} | {"time_ns": 5}
        frame = pl.DataFrame([row], schema=schema)
        store.append(table, frame)
        assert store.query(table, 0, 10).equals(frame)
        assert store.scan(table).collect().equals(frame)


def test_tables_without_rows_are_empty_and_unknown_ones_refused(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    assert store.query("alerts", 0, 10).is_empty()
    assert store.query("link_samples", 0, 10, max_points=1).is_empty()
    assert store.places() == []
    with pytest.raises(StoreError, match="no table nonsense; the tables are"):
        store.query("nonsense", 0, 1)


def test_folding_does_what_each_column_says() -> None:
    rows = samples(20, 20, taps=1)
    folded = fold("tap_samples", rows, 10 * SECOND_NS)
    assert folded["time_ns"].to_list() == [20 * SECOND_NS, 30 * SECOND_NS]
    assert folded["packets"].to_list() == [sum(range(20, 30)), sum(range(30, 40))]
    assert folded["sampling"].to_list() == [6, 6]


@pytest.mark.parametrize(("points", "rows"), [(4_000, 12_000), (400, 1_200), (70, 201), (3, 6)])
def test_longer_intervals_answer_long_ranges(tmp_path: Path, points: int, rows: int) -> None:
    """The sum over all intervals is that of the rows, folded on disk or on the way."""
    store = DeltaStore(tmp_path)
    recorder = Recorder(store, "one", clock=lambda: 0)
    for start in range(0, 4_000, 500):
        recorder.append("tap_samples", samples(start, 500))
        recorder.flush()
        recorder.upkeep()
    found = store.query("tap_samples", 0, 4_000 * SECOND_NS, max_points=points)
    assert found.height == rows
    assert found["packets"].sum() == sum(range(12_000))
    assert [store.files(place).height for place in store.places()] == [1, 1, 1, 1]  # type: ignore[union-attr]


HOUR_NS = 3_600 * SECOND_NS


@pytest.mark.parametrize(
    ("seconds", "points", "interval_s"),
    [(60, None, 1), (60, 60, 1), (61, 60, 10), (600, 10, 60), (601, 10, 3_600), (36_000, 10, 3_600),
     (36_001, 10, 7_200), (30 * 86_400, 400, 7_200), (30 * 86_400, 12, 60 * 3_600),
     (7_201, 0, 10_800)],
)  # fmt: skip
def test_intervals_are_as_short_as_the_points_allow(
    seconds: int, points: int | None, interval_s: int
) -> None:
    found = interval_of("link_samples", 5, 5 + seconds * SECOND_NS, points)
    assert found == interval_s * SECOND_NS
    assert interval_of("iterations", 5, 5 + seconds * SECOND_NS, points) == SECOND_NS


@pytest.mark.parametrize("points", [400, 48, 10, 1])
def test_the_longest_ranges_have_intervals_of_several_hours(tmp_path: Path, points: int) -> None:
    """Two days of hours, an hour of minutes and a minute of seconds: none counts twice."""
    store = DeltaStore(tmp_path)
    schema = schema_of("tap_samples")
    parts = hours, minutes, seconds = [
        samples(0, count, 2)
        .with_columns(time_ns=(pl.col("time_ns") * step) + start)
        .select(list(schema))
        .cast(dict(schema))
        for count, step, start in ((48, 3_600, 0), (60, 60, 48 * HOUR_NS), (60, 1, 49 * HOUR_NS))
    ]
    store.write("tap_samples.1h", hours)
    store.write("tap_samples.1m", minutes)
    store.append("tap_samples", seconds)
    end_ns = 49 * HOUR_NS + 60 * SECOND_NS
    found = store.query("tap_samples", 0, end_ns, max_points=points)
    step_ns = interval_of("tap_samples", 0, end_ns, points)
    assert found["time_ns"].n_unique() <= max(points, 1) + 1
    assert set(found["time_ns"] % step_ns) == {0}
    assert found["packets"].sum() == sum(part["packets"].sum() for part in parts)
    assert found["time_ns"].is_sorted()


def test_what_stands_for_longer_counts_for_more_in_a_mean(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)

    def links(start_ns: int, count: int, step_ns: int, load: float | None) -> pl.DataFrame:
        schema = schema_of("link_samples")
        rows = [
            dict.fromkeys(schema)
            | {"time_ns": start_ns + number * step_ns, "collector": "one", "link": "a", "lost": 1,
               "direction": "up", "source": "gnmi", "utilization": load, "reasons": str(number)}
            for number in range(count)
        ]  # fmt: skip
        return pl.DataFrame(rows, schema=schema)

    store.write("link_samples.1h", links(0, 3, HOUR_NS, 0.8))
    store.write("link_samples.1m", links(3 * HOUR_NS, 30, 60 * SECOND_NS, 0.1))
    store.append("link_samples", links(3 * HOUR_NS + 1_800 * SECOND_NS, 9, SECOND_NS, None))
    (row,) = store.query("link_samples", 0, 4 * HOUR_NS, max_points=1).to_dicts()
    assert row["utilization"] == pytest.approx((3 * 0.8 + 0.5 * 0.1) / 3.5)
    assert row["lost"] == 42
    assert row["reasons"] == "8"
    assert row["score"] is None
    unknown = store.query("link_samples", 3 * HOUR_NS + 1_800 * SECOND_NS, 4 * HOUR_NS)
    assert unknown["utilization"].null_count() == 9


def test_too_many_rows_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (store_module, schemas_module):
        monkeypatch.setattr(module, "MAX_ROWS", 100)
    store = DeltaStore(tmp_path)
    store.append("tap_samples", samples(0, 51, 2))
    for points in (None, 60):
        with pytest.raises(TooManyRowsError, match="more than 100 rows in this range"):
            store.query("tap_samples", 0, 60 * SECOND_NS, max_points=points)
    assert store.query("tap_samples", 0, 60 * SECOND_NS, max_points=10).height == 12


def test_each_collector_folds_its_own(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    one, two = (Recorder(store, name) for name in ("one", "two"))
    for start in (0, 100, 200):
        for recorder in (one, two):
            recorder.append("tap_samples", samples(start, 100, 1, recorder.collector))
            recorder.flush()
            recorder.upkeep()
    folded = store.query("tap_samples", 0, 240 * SECOND_NS, max_points=10)
    sums = dict(folded.group_by("collector").agg(pl.col("packets").sum()).iter_rows())
    assert sums == {"one": sum(range(240)), "two": sum(range(240))}


def test_more_rows_than_an_answer_may_have_are_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of 2,000 links in steps of 10 s is more than a query returns."""
    for module in (store_module, schemas_module):
        monkeypatch.setattr(module, "MAX_ROWS", 1_000)
    store = DeltaStore(tmp_path)
    recorder = Recorder(store, "one")
    for start in range(0, 1_000, 100):
        recorder.append("tap_samples", samples(start, 100, 20))
        recorder.flush()
        recorder.upkeep()
    span = store.span("tap_samples.10s")
    assert span is not None
    assert span[1] >= 980 * SECOND_NS
    assert store.last("tap_samples.10s", pl.col("collector") == "one") == span[1]
    assert store.last("tap_samples.10s", pl.col("collector") == "two") is None


def test_files_that_have_their_rows_are_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_FILE_ROWS", 3_000)
    store = DeltaStore(tmp_path)
    for start in range(0, 4_000, 1_000):
        store.append("tap_samples", samples(start, 1_000))
    store.compact("tap_samples")
    before = store.files("tap_samples")
    assert before is not None
    for start in range(4_000, 4_100, 10):
        store.append("tap_samples", samples(start, 10))
    store.compact("tap_samples")
    after = store.files("tap_samples")
    assert after is not None
    kept = set(before["path"]) & set(after["path"])
    assert len(kept) >= before.height - 1 >= 2
    assert after.height <= before.height + 1


def test_an_upkeep_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(DeltaStore(tmp_path), "one", upkeep_s=0.01, flush_s=0.01)
    recorder.append("tap_samples", samples(0, 10))
    failed = threading.Event()

    def refuse(place: str) -> None:
        failed.set()
        raise StoreError(f"{place} cannot be joined")

    monkeypatch.setattr(recorder.store, "compact", refuse)
    recorder.start()
    for start in range(10, 10_000, 10):
        recorder.append("tap_samples", samples(start, 10))
        if failed.wait(0.05):
            break
    while not recorder.problem:
        assert failed.wait(30)
    recorder.stop()
    assert recorder.problem == "the store's upkeep stopped: tap_samples cannot be joined"


def test_old_rows_go_and_folded_ones_stay_longer(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    now = 4_000
    keep = Retention(keep_ns=1_000 * SECOND_NS)
    recorder = Recorder(store, "one", keep, clock=lambda: now * SECOND_NS)
    for start in range(0, now, 1_000):
        recorder.append("tap_samples", samples(start, 1_000))
        recorder.flush()
    recorder.upkeep()
    recorder.upkeep()
    assert store.span("tap_samples") == (3_000 * SECOND_NS, 3_999 * SECOND_NS)
    folded = store.query("tap_samples", 0, 3_600 * SECOND_NS, max_points=60)
    assert folded["packets"].sum() == sum(range(3 * 3_600))


def test_a_limit_in_bytes_gives_up_the_oldest_rows(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    limit = 1_500_000
    recorder = Recorder(store, "one", Retention(max_bytes=limit))
    for start in range(0, 200_000, 50_000):
        recorder.append("tap_samples", samples(start, 50_000))
        recorder.flush()
    assert store.size_bytes() > limit
    recorder.upkeep()
    assert limit / 4 < store.size_bytes() <= limit
    span = store.span("tap_samples")
    assert span is not None
    assert 0 < span[0] < span[1] == 199_999 * SECOND_NS


def test_a_disk_that_refuses_keeps_rows_for_later(tmp_path: Path) -> None:
    root = tmp_path / "store"
    root.write_text("a file where the directory should be")
    recorder = Recorder(DeltaStore(root), "one")
    recorder.append("tap_samples", samples(0, 10))
    assert recorder.flush() == 0
    assert str(root) in recorder.problem
    root.unlink()
    assert recorder.flush() == 30
    assert recorder.problem == ""
    assert DeltaStore(root).query("tap_samples", 0, 10 * SECOND_NS).height == 30


WRITER = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from test_store import samples
from fabricscope.recorder import Recorder
from fabricscope.store import DeltaStore
store = DeltaStore(sys.argv[1])
recorder = Recorder(store, "one")
start = int(sys.argv[3])
print("ready", flush=True)
def keep_up():
    while True:
        recorder.upkeep()
threading.Thread(target=keep_up, daemon=True).start()
while True:
    recorder.append("tap_samples", samples(start, 20))
    recorder.flush()
    start += 20
    print(start, flush=True)
"""


@pytest.mark.slow
def test_kills_lose_nothing_that_was_flushed(tmp_path: Path, repository: Path) -> None:
    """A writer that also folds and compacts is killed again and again while another reads."""
    kills = int(os.environ.get("FABRICSCOPE_KILLS", "12"))
    store = DeltaStore(tmp_path / "store")
    dice = random.Random(7)
    reading, problems = threading.Event(), []

    def read() -> None:
        seen = 0
        while not reading.is_set():
            try:
                found = store.query("tap_samples", 0, 10**18, columns=["packets"])
            except Exception as error:  # whatever it is, the test must see it
                problems.append(repr(error))
                return
            if found["packets"].n_unique() != found.height or found.height < seen:
                problems.append(f"{found.height} rows after {seen}, or some twice")
            seen = found.height

    reader = threading.Thread(target=read)
    reader.start()
    flushed = 0
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    for _ in range(kills):
        command = [sys.executable, "-c", WRITER, str(store.root), str(Path(__file__).parent)]
        writer = subprocess.Popen(
            [*command, str(flushed)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        timer = threading.Timer(dice.uniform(0.05, 0.8), writer.send_signal, [signal.SIGKILL])
        timer.start()
        reported = [int(line) for line in writer.stdout if line.strip().isdigit()]
        writer.wait()
        writer.stdout.close()
        found = store.query("tap_samples", 0, 10**18, columns=["packets"])["packets"]
        assert found.n_unique() == found.len(), "a row is there twice"
        kept = found.len() // 3
        assert sorted(found) == list(range(3 * kept))
        assert kept >= max(reported, default=flushed), "reported as flushed, and gone"
        flushed = kept
    reading.set()
    reader.join()
    assert not problems
    # What was folded before the kills is whole too.
    Recorder(store, "one").upkeep()
    folded = store.query("tap_samples", 0, flushed * SECOND_NS, max_points=10)
    assert folded["packets"].sum() == sum(range(3 * flushed))


def test_a_table_from_before_a_column_was_declared_is_read_and_written(tmp_path: Path) -> None:
    schema = {name: dtype for name, dtype in schema_of("tap_samples").items() if name != "missed"}
    old = samples(0, 5, 1).select(list(schema)).cast(schema)  # type: ignore[arg-type]
    write_deltalake(str(tmp_path / "tap_samples"), old)
    store = DeltaStore(tmp_path)
    rows = store.query("tap_samples", 0, 10 * SECOND_NS)
    assert rows["missed"].to_list() == [None] * 5
    store.append("tap_samples", samples(5, 5, 1))
    rows = store.query("tap_samples", 0, 10 * SECOND_NS)
    assert rows["missed"].null_count() == 5
    assert rows["packets"].to_list() == [*old["packets"], *samples(5, 5, 1)["packets"]]
    folded = store.query("tap_samples", 0, 10 * SECOND_NS, max_points=1)
    assert folded["packets"].sum() == rows["packets"].sum()
    assert folded["missed"].to_list() == [samples(5, 5, 1)["missed"].sum()]
