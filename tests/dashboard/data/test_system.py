"""The collectors and the store."""

import pytest
from fabric_samples import SECOND_NS
from polars.testing import assert_frame_equal

from fabricscope.dashboard.data.system import describe_store, tap_history, tap_states
from fabricscope.dashboard.site import NoStore
from fabricscope.dashboard.view import RANGES, View
from fabricscope.store import DeltaStore

END_NS = 1_700_000_000 * SECOND_NS
VIEW = View(END_NS - 60 * SECOND_NS, END_NS, range="1m")


def test_taps_have_rates_and_were_heard(store: DeltaStore) -> None:
    (tap,) = tap_states(store, VIEW).to_dicts()
    assert (tap["collector"], tap["tap"], tap["sampling"]) == ("switches", "eth2", 1)
    assert tap["packets"] == pytest.approx(1e6, rel=0.2)
    assert tap["bits"] == pytest.approx(tap["packets"] * 8_000, rel=0.01)
    assert tap["last_ns"] == END_NS - SECOND_NS


def test_a_tap_that_fell_silent_is_still_listed(store: DeltaStore) -> None:
    later = View(VIEW.start_ns, END_NS + 600 * SECOND_NS)
    assert tap_states(store, later)["last_ns"].to_list()[0] <= END_NS


def test_a_silent_tap_has_the_rates_of_its_last_minute(store: DeltaStore) -> None:
    expected = tap_states(store, VIEW).drop("last_ns")
    for hours in (1, 24, 700):
        later = END_NS + hours * 3_600 * SECOND_NS
        view = View(later - 720 * 3_600 * SECOND_NS, later, range="30d")
        assert_frame_equal(tap_states(store, view).drop("last_ns"), expected)


@pytest.mark.parametrize("name", ["15m", "6h", "24h", "7d", "30d"])
def test_rates_of_a_young_store_are_those_of_its_seconds(store: DeltaStore, name: str) -> None:
    view = View(END_NS - RANGES[name][1] * SECOND_NS, END_NS, range=name)
    history = tap_history(store, view, 1_000)
    assert history["packets"].mean() == pytest.approx(1e6, rel=0.2)
    assert history["bits"].max() == pytest.approx(8e9, rel=0.3)
    assert tap_states(store, view)["packets"].to_list() == pytest.approx([1e6], rel=0.2)


def test_history_is_a_second(store: DeltaStore) -> None:
    history = tap_history(store, VIEW, 100)
    assert history.height == 60
    assert set(history["step_s"]) == {1.0}
    assert history["packets"].mean() == pytest.approx(1e6, rel=0.2)


def test_a_store_tells_what_it_takes(store: DeltaStore) -> None:
    kept = describe_store(store)
    assert kept.kind == "directory"
    assert [table.name for table in kept.tables] == ["link_samples", "tap_samples"]
    assert kept.tables[1].rows == 60
    assert kept.size_bytes == sum(table.size_bytes for table in kept.tables)
    assert kept.free_bytes
    assert describe_store(NoStore()).kind == "none"


def test_a_directory_that_is_not_there_holds_nothing(tmp_path: object) -> None:
    kept = describe_store(DeltaStore(f"{tmp_path}/none"))
    assert kept == ("directory", [], 0, None)
