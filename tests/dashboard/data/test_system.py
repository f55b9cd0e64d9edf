"""The collectors and the store."""

import pytest
from fabric_samples import SECOND_NS

from fabricscope.dashboard.data.system import describe_store, tap_history, tap_states
from fabricscope.dashboard.site import NoStore
from fabricscope.dashboard.view import View
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


def test_history_is_a_second(store: DeltaStore) -> None:
    history = tap_history(store, VIEW, 100)
    assert history.height == 60
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
