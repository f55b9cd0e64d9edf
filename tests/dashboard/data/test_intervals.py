"""How long samples stand for, and where the newest of them are."""

import polars as pl
import pytest
from fabric_samples import SECOND_NS, tap_rows

from fabricscope.dashboard.data.intervals import find_newest, read_finished, read_with_lengths
from fabricscope.schemas import interval_of
from fabricscope.store import DeltaStore

HOUR_NS = 3_600 * SECOND_NS
NOON_NS = 472_222 * HOUR_NS
DAY_POINTS = 100
"""Points that give a day intervals of an hour."""


def store_of(root: object, start_ns: int, seconds: int, collector: str = "one") -> DeltaStore:
    store = DeltaStore(str(root))
    times = range(start_ns, start_ns + seconds * SECOND_NS, SECOND_NS)
    store.append("tap_samples", pl.concat([tap_rows(one, collector) for one in times]))
    return store


def test_samples_of_a_second_stand_for_one(tmp_path: object) -> None:
    store = store_of(tmp_path, NOON_NS, 30)
    rows = read_with_lengths(store, "tap_samples", NOON_NS, NOON_NS + 30 * SECOND_NS, None, 100)
    assert rows.height == 30
    assert set(rows["length_ns"]) == {SECOND_NS}


@pytest.mark.parametrize("seconds", [1, 9, 75, 1_000])
def test_an_unfinished_interval_is_as_long_as_its_samples(tmp_path: object, seconds: int) -> None:
    store = store_of(tmp_path, NOON_NS + 317 * SECOND_NS, seconds)
    end_ns = NOON_NS + (317 + seconds) * SECOND_NS
    start_ns = end_ns - 24 * HOUR_NS
    assert interval_of("tap_samples", start_ns, end_ns, DAY_POINTS) == HOUR_NS
    (row,) = read_with_lengths(store, "tap_samples", start_ns, end_ns, None, DAY_POINTS).to_dicts()
    assert (row["time_ns"], row["length_ns"]) == (NOON_NS, seconds * SECOND_NS)
    assert row["packets"] == store.scan("tap_samples").collect()["packets"].sum()


def test_each_collector_has_its_own_length(tmp_path: object) -> None:
    store = store_of(tmp_path, NOON_NS, 100)
    store.append("tap_samples", tap_rows(NOON_NS + 80 * SECOND_NS, "two"))
    end_ns = NOON_NS + 100 * SECOND_NS
    rows = read_with_lengths(store, "tap_samples", end_ns - 24 * HOUR_NS, end_ns, None, DAY_POINTS)
    lengths = dict(zip(rows["collector"], rows["length_ns"] // SECOND_NS, strict=True))
    assert lengths["one"] == 100
    assert 20 <= lengths["two"] <= 40


def test_what_is_at_rest_was_looked_at_all_the_time(tmp_path: object) -> None:
    store = store_of(tmp_path, NOON_NS - 30 * SECOND_NS, 300)
    row = tap_rows(NOON_NS + 5 * SECOND_NS, "one")
    store.append("tap_samples", row.with_columns(tap=pl.lit("rest")))
    end_ns = NOON_NS + 270 * SECOND_NS
    start_ns = end_ns - 24 * HOUR_NS
    rest = pl.col("tap") == "rest"
    rows = read_with_lengths(store, "tap_samples", start_ns, end_ns, None, DAY_POINTS, rest)
    assert rows["length_ns"].to_list() == [270 * SECOND_NS]


def test_a_finished_interval_of_which_no_finer_rows_are_left_is_whole(tmp_path: object) -> None:
    store = DeltaStore(str(tmp_path))
    store.write("tap_samples.1h", tap_rows(NOON_NS))
    end_ns = NOON_NS + 600 * SECOND_NS
    for read in (read_with_lengths, read_finished):
        rows = read(store, "tap_samples", end_ns - 24 * HOUR_NS, end_ns, None, DAY_POINTS)
        assert rows["length_ns"].to_list() == [HOUR_NS]


def test_unfinished_intervals_are_left_out_where_others_are_there(tmp_path: object) -> None:
    store = store_of(tmp_path, NOON_NS - 30 * SECOND_NS, 60)
    end_ns = NOON_NS + 30 * SECOND_NS
    start_ns = end_ns - 24 * HOUR_NS
    rows = read_finished(store, "tap_samples", start_ns, end_ns, None, DAY_POINTS)
    assert rows["time_ns"].to_list() == [NOON_NS - HOUR_NS]
    assert rows["length_ns"].to_list() == [30 * SECOND_NS]
    store = store_of(f"{tmp_path}/young", NOON_NS, 30)
    rows = read_finished(store, "tap_samples", start_ns, end_ns, None, DAY_POINTS)
    assert rows.height == 30
    assert set(rows["length_ns"]) == {SECOND_NS}


@pytest.mark.parametrize("ago_s", [0, 59, 601, 7_000, 90_000, 600_000])
def test_the_newest_sample_is_found_however_old(tmp_path: object, ago_s: int) -> None:
    newest_ns = NOON_NS - ago_s * SECOND_NS
    store = store_of(tmp_path, newest_ns - 4 * SECOND_NS, 5)
    end_ns = NOON_NS + SECOND_NS
    start_ns = end_ns - 720 * HOUR_NS
    assert find_newest(store, "tap_samples", start_ns, end_ns, None) == newest_ns
    other = pl.col("collector") == "two"
    assert find_newest(store, "tap_samples", start_ns, end_ns, other) is None
    assert find_newest(store, "tap_samples", newest_ns + SECOND_NS, end_ns, None) is None


def test_of_folded_rows_the_start_counts(tmp_path: object) -> None:
    store = DeltaStore(str(tmp_path))
    store.write("tap_samples.1h", tap_rows(NOON_NS - 48 * HOUR_NS))
    found = find_newest(store, "tap_samples", NOON_NS - 720 * HOUR_NS, NOON_NS, None)
    assert found is not None
    assert found <= NOON_NS - 48 * HOUR_NS
