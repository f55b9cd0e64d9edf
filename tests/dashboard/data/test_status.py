"""What the head of every page says."""

from pathlib import Path

import polars as pl
import pytest
from fabric_samples import SECOND_NS, tap_rows

from fabricscope.dashboard.data.status import read_status
from fabricscope.dashboard.site import NoStore
from fabricscope.errors import StoreError
from fabricscope.store import DeltaStore

NOW = 1_700_000_000 * SECOND_NS


def test_who_reports_and_since_when() -> None:
    assert read_status(NoStore(), NOW) == (None, (), "")


@pytest.mark.parametrize("ago_s", [0, 30, 3_000, 80_000, 2_000_000])
def test_the_newest_sample_is_found_however_old(tmp_path: Path, ago_s: int) -> None:
    store = DeltaStore(tmp_path)
    at = NOW - ago_s * SECOND_NS
    store.append("tap_samples", pl.concat([tap_rows(at, "b"), tap_rows(at, "a")]))
    status = read_status(store, NOW)
    assert status.collectors == ("a", "b")
    assert status.latest_ns is not None
    assert abs(at - status.latest_ns) <= 10 * SECOND_NS


def test_a_store_that_cannot_be_read_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    store = NoStore()

    def fail(*_: object, **__: object) -> pl.DataFrame:
        raise StoreError("the database is away; start it")

    monkeypatch.setattr(store, "query", fail)
    status = read_status(store, NOW)
    assert status.latest_ns is None
    assert status.problem == "the database is away; start it"
