"""The writing side of a store among others that write, and when something fails."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake.exceptions import DeltaError
from test_store import SECOND_NS, samples

from fabricscope import recorder as module
from fabricscope import store as store_module
from fabricscope.errors import StoreError
from fabricscope.recorder import ALERTS_NS, Recorder, Retention
from fabricscope.schemas import schema_of
from fabricscope.store import DeltaStore, StoreFullError

ALWAYS = (0, 10**18)


def links(start_s: int, seconds: int, collector: str = "one") -> pl.DataFrame:
    row = {"collector": collector, "link": "a", "direction": "up", "source": "mirror", "packets": 1}
    rows = [row | {"time_ns": (start_s + k) * SECOND_NS} for k in range(seconds)]
    return pl.DataFrame(rows, schema=schema_of("link_samples"))


def refusing(monkeypatch: pytest.MonkeyPatch, store: DeltaStore, name: str, place: str) -> None:
    """Let a method of a store fail for one Delta table, with what nobody expects."""
    real = getattr(store, name)

    def sometimes(where: str, *args: Any, **more: Any) -> Any:
        if where == place:
            raise RuntimeError("a bug")
        return real(where, *args, **more)

    monkeypatch.setattr(store, name, sometimes)


def test_a_table_that_is_refused_keeps_no_other_from_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DeltaStore(tmp_path)
    recorder = Recorder(store, "one")
    with monkeypatch.context() as patch:
        refusing(patch, store, "append", "link_samples")
        recorder.append("link_samples", links(0, 5))
        recorder.append("tap_samples", samples(0, 5))
        assert recorder.flush() == 15
        assert recorder.problem == "RuntimeError: a bug"
        recorder.append("link_samples", links(5, 5))
        assert recorder.flush() == 0
    assert recorder.flush() == 10
    assert recorder.problem == ""
    assert store.query("link_samples", *ALWAYS)["packets"].sum() == 10
    assert store.query("tap_samples", *ALWAYS).height == 15


def test_the_threads_outlive_what_nobody_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DeltaStore(tmp_path)
    recorder = Recorder(store, "one", flush_s=0.01, upkeep_s=0.01)
    failed = threading.Semaphore(0)

    def fail(*_: object, **__: object) -> None:
        failed.release()
        raise ValueError("nobody thought of it")

    with monkeypatch.context() as patch:
        for name in ("append", "places"):
            patch.setattr(store, name, fail)
        recorder.append("tap_samples", samples(0, 50))
        recorder.start()
        for _ in range(8):
            assert failed.acquire(timeout=20)
        assert "nobody thought of it" in recorder.problem
    deadline = time.monotonic() + 30
    while recorder.problem or not recorder.flushed_rows:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert all(thread.is_alive() for thread in recorder._threads)
    recorder.stop()
    assert store.query("tap_samples", *ALWAYS).height == 150


def test_an_upkeep_goes_on_after_a_step_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DeltaStore(tmp_path)
    now_ns = 100 * SECOND_NS
    recorder = Recorder(store, "one", Retention(keep_ns=50 * SECOND_NS), clock=lambda: now_ns)
    for start in range(0, 100, 20):
        recorder.append("tap_samples", samples(start, 20))
        recorder.append("link_samples", links(start, 20))
        recorder.flush()
    refusing(monkeypatch, store, "folded", "tap_samples")
    with pytest.raises(StoreError, match="a bug"):
        recorder.upkeep()
    assert store.span("link_samples.10s") == (0, 80 * SECOND_NS)
    for table in ("tap_samples", "link_samples"):
        assert store.span(table) == (50 * SECOND_NS, 99 * SECOND_NS)
        assert store.files(table).height == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), DeltaError("os error 28")]
)
def test_a_full_disk_while_rows_are_forgotten_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    store = DeltaStore(tmp_path)
    store.append("tap_samples", samples(0, 10))

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(store_module.DeltaTable, "delete", fail)
    with pytest.raises(StoreFullError, match="is full"):
        store.forget("tap_samples", 5 * SECOND_NS)


def test_files_that_vanish_or_break_are_no_surprise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DeltaStore(tmp_path)
    store.append("tap_samples", samples(0, 10))
    size = store.size_bytes()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert store.size_bytes() == size
    (path,) = store.files("tap_samples")["path"]  # type: ignore[index]
    (tmp_path / "tap_samples" / path).unlink()
    with pytest.raises(StoreError, match=str(tmp_path)):
        store.query("tap_samples", *ALWAYS)
    with pytest.raises(StoreError, match=str(tmp_path)):
        store.last("tap_samples", pl.lit(True))


def pieces_of(monkeypatch: pytest.MonkeyPatch, store: DeltaStore) -> list[str]:
    """Return where the names of the tables go that are folded from now on."""
    folded: list[str] = []
    real = store.folded

    def note(table: str, *args: Any) -> pl.DataFrame:
        folded.append(table)
        return real(table, *args)

    monkeypatch.setattr(store, "folded", note)
    return folded


def test_nobody_folds_what_others_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One collector has taps; the other, counters only, must not read its days again and again."""
    store = DeltaStore(tmp_path)
    one, two = (Recorder(store, name) for name in ("one", "two"))
    one.append("tap_samples", samples(0, 10_000))
    one.flush()
    two.append("link_samples", links(9_000, 100, "two"))
    two.flush()
    folded = pieces_of(monkeypatch, store)
    two.upkeep()
    assert set(folded) == {"link_samples"}
    folded.clear()
    two.upkeep()
    assert folded == []


def test_what_ended_is_not_looked_through_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The samples of one collector stop while those of another go on."""
    store = DeltaStore(tmp_path)
    one, two = (Recorder(store, name) for name in ("one", "two"))
    one.append("tap_samples", samples(0, 100, 1, "one"))
    one.flush()
    one.upkeep()
    two.append("tap_samples", samples(0, 10_000, 1, "two"))
    two.flush()
    folded = pieces_of(monkeypatch, store)
    one.upkeep()
    assert folded == []
    assert store.last("tap_samples.10s", pl.col("collector") == "one") == 80 * SECOND_NS


def test_intervals_that_still_fill_wait_whoever_is_ahead(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    one, ahead = (Recorder(store, name) for name in ("one", "ahead"))
    ahead.append("tap_samples", samples(0, 7_200, 1, "ahead"))
    ahead.flush()
    for start in range(0, 4_000, 125):
        one.append("tap_samples", samples(start, 125, 1, "one"))
        one.flush()
        if start % 500 == 0:
            one.upkeep()
    one.upkeep()
    for resolution, seconds in (("10s", 3_990), ("1m", 3_960), ("1h", 3_600)):
        rows = store.read(f"tap_samples.{resolution}", *ALWAYS, pl.col("collector") == "one")
        assert rows["packets"].sum() == sum(range(seconds))
    # The next run goes on where this one ended.
    again = Recorder(store, "one")
    again.append("tap_samples", samples(4_000, 4_000, 1, "one"))
    again.flush()
    again.upkeep()
    rows = store.read("tap_samples.1h", *ALWAYS, pl.col("collector") == "one")
    assert rows.sort("time_ns")["packets"].to_list() == [
        sum(range(3_600)),
        sum(range(3_600, 7_200)),
    ]


def test_a_run_folds_what_the_one_before_left(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    store.append("tap_samples", samples(0, 500, 1, "other"))
    store.append("tap_samples", samples(100, 100, 1))
    recorder = Recorder(store, "one")
    recorder.append("tap_samples", samples(200, 100, 1))
    recorder.flush()
    recorder.upkeep()
    rows = store.read("tap_samples.10s", *ALWAYS, None)
    assert rows["packets"].sum() == sum(range(100, 290))


def test_a_write_that_failed_late_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are there, though the disk was full for what comes after them."""
    store = DeltaStore(tmp_path)
    recorder = Recorder(store, "one")
    recorder.append("tap_samples", samples(0, 100, 1))
    recorder.flush()
    real = store.write

    def write_and_fail(place: str, frame: pl.DataFrame) -> None:
        real(place, frame)
        raise StoreFullError("no room for the checkpoint")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", write_and_fail)
        with pytest.raises(StoreError, match="no room"):
            recorder.upkeep()
    recorder.append("tap_samples", samples(100, 50, 1))
    recorder.flush()
    recorder.upkeep()
    rows = store.read("tap_samples.10s", *ALWAYS, None)
    assert rows["packets"].sum() == sum(range(140))


def test_a_collector_writes_once_at_a_time(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    first, second = Recorder(store, "rack 7/a"), Recorder(DeltaStore(tmp_path), "rack 7/a")
    other = Recorder(store, "rack 7/b")
    first.start()
    other.start()
    with pytest.raises(StoreError, match="as collector rack 7/a; give this one another --coll"):
        second.start()
    first.stop()
    second.start()
    second.stop()
    other.stop()
    assert store.places() == []


def test_alerts_stay_longer_than_samples(tmp_path: Path) -> None:
    """A silence of a week outlives samples of half a day."""
    store = DeltaStore(tmp_path)
    now_ns = 40 * 86_400 * SECOND_NS
    for days in (5, 11, 39):
        rows = [{"time_ns": days * 86_400 * SECOND_NS, "state": "silenced"}]
        store.append("alerts", pl.DataFrame(rows, schema=schema_of("alerts")))
    keep = Retention(keep_ns=43_200 * SECOND_NS, max_bytes=1)
    Recorder(store, "one", keep, clock=lambda: now_ns).upkeep()
    kept = store.query("alerts", *ALWAYS)["time_ns"].to_list()
    assert kept == [11 * 86_400 * SECOND_NS, 39 * 86_400 * SECOND_NS]
    assert Retention(keep_ns=2 * ALERTS_NS).keep_of("alerts") == 2 * ALERTS_NS
    assert Retention(keep_ns=5).keep_of("tap_samples.1m") == 500


def test_files_that_no_table_knows_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a process that was killed; not those that another is writing now."""
    store = DeltaStore(tmp_path)
    recorder = Recorder(store, "one")
    recorder.append("tap_samples", samples(0, 10))
    recorder.flush()
    old, fresh = (tmp_path / "tap_samples" / f"part-{name}.parquet" for name in ("old", "fresh"))

    def leave_behind() -> None:
        for path in (old, fresh):
            path.write_bytes(b"half a file")
        os.utime(old, (time.time() - 7_200, time.time() - 7_200))

    leave_behind()
    recorder.upkeep()
    assert (old.exists(), fresh.exists()) == (False, True)
    leave_behind()
    recorder.upkeep()
    assert old.exists()
    monkeypatch.setattr(module, "SWEEP_S", 0.0)
    recorder.upkeep()
    assert (old.exists(), fresh.exists()) == (False, True)
    assert store.query("tap_samples", *ALWAYS).height == 30
