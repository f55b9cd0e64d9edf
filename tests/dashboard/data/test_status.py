"""What the head of every page says."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from fabric_samples import SECOND_NS, link_rows, tap_rows

from fabricscope import schemas
from fabricscope import store as store_module
from fabricscope.dashboard.data.status import read_status
from fabricscope.dashboard.site import NoStore
from fabricscope.errors import StoreError
from fabricscope.store import DeltaStore, Store, fold
from fabricscope.topology.fabric import Fabric

NOW = 1_700_000_000 * SECOND_NS


def test_who_reports_and_since_when() -> None:
    assert read_status(NoStore(), NOW) == (None, (), "")


class Database:
    """Answers what a directory does and is none: nothing tells how far its rows reach."""

    problem = note = ""

    def __init__(self, root: Path) -> None:
        self._store = DeltaStore(root)
        self.append, self.query = self._store.append, self._store.query


@pytest.mark.parametrize("kind", [DeltaStore, Database])
@pytest.mark.parametrize("ago_s", [-30, 0, 30, 3_000, 80_000, 2_000_000])
def test_the_newest_sample_is_found_however_old(
    tmp_path: Path, ago_s: int, kind: Callable[[Path], Store]
) -> None:
    store = kind(tmp_path)
    at = NOW - ago_s * SECOND_NS
    store.append("tap_samples", pl.concat([tap_rows(at, "b"), tap_rows(at, "a")]))
    status = read_status(store, NOW)
    assert status.collectors == ("a", "b")
    assert status.latest_ns is not None
    assert abs(at - status.latest_ns) <= 10 * SECOND_NS


@pytest.mark.parametrize("kind", [DeltaStore, Database])
def test_links_that_fell_silent_are_found_within_few_rows(
    tmp_path: Path, fabric: Fabric, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory without mirror ports, whose links are many for the rows of an answer."""
    end_ns = NOW - 1_800 * SECOND_NS
    times = [end_ns - number * SECOND_NS for number in range(600)]
    DeltaStore(tmp_path).append("link_samples", pl.concat([link_rows(fabric, at) for at in times]))
    links = 2 * len(fabric.links)
    for module in (schemas, store_module):
        monkeypatch.setattr(module, "MAX_ROWS", 70 * links)
    status = read_status(kind(tmp_path), NOW)
    assert status == (status.latest_ns, ("switches",), "")
    assert status.latest_ns is not None
    assert abs(end_ns - status.latest_ns) <= 10 * SECOND_NS


def test_folded_samples_tell_when_the_others_are_forgotten(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    at = NOW - 900_000 * SECOND_NS
    store.write("tap_samples.1m", fold("tap_samples", tap_rows(at, "a"), 60 * SECOND_NS))
    assert read_status(store, NOW) == (at // (60 * SECOND_NS) * 60 * SECOND_NS, ("a",), "")
    assert read_status(store, NOW + 2_592_000 * SECOND_NS).latest_ns is None


def test_a_clock_far_ahead_hides_nothing(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    ahead, at = NOW + 86_400 * SECOND_NS, NOW - 7_200 * SECOND_NS
    store.append("tap_samples", pl.concat([tap_rows(ahead, "b"), tap_rows(at, "a")]))
    assert read_status(store, NOW) == (at, ("a",), "")


def test_a_store_that_cannot_be_read_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    store = NoStore()

    def fail(*_: object, **__: object) -> pl.DataFrame:
        raise StoreError("the database is away; start it")

    monkeypatch.setattr(store, "query", fail)
    status = read_status(store, NOW)
    assert status.latest_ns is None
    assert status.problem == "the database is away; start it"
