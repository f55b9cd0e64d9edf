"""What people say about alerts, kept beside them in a real store."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from servers import InfluxServer

from fabricscope.errors import ConfigError
from fabricscope.pipeline.alerts import (
    acknowledge,
    alert_changes,
    current_alerts,
    end_silence,
    last_of_collectors,
    read_silences,
    silence,
)
from fabricscope.store import DeltaStore, open_store, schema_of

SECOND_NS = 1_000_000_000
T0 = 1_800_000_000 * SECOND_NS


def change(state: str, at_s: int = 0, since_s: int = 0, **other: Any) -> dict[str, Any]:
    return {
        "time_ns": T0 + at_s * SECOND_NS,
        "collector": "one",
        "rule": "link-health",
        "subject": "leaf1-spine1 up",
        "severity": "warning",
        "state": state,
        "text": "score 40",
        "action": "look",
        "value": 40.0,
        "table": "link_samples",
        "since_ns": T0 + since_s * SECOND_NS,
        "until_ns": None,
        "by": "",
    } | other


def store_of(tmp_path: Path, *rows: dict[str, Any]) -> DeltaStore:
    store = DeltaStore(tmp_path / "store")
    store.append("alerts", pl.DataFrame(list(rows), schema=schema_of("alerts")))
    return store


def states(store: DeltaStore, at_s: int = 100) -> list[tuple[str, str, str]]:
    found = current_alerts(store, T0 + at_s * SECOND_NS)
    return list(found.select("subject", "state", "by").iter_rows())


def test_an_empty_store_has_no_alerts(tmp_path: Path) -> None:
    assert current_alerts(DeltaStore(tmp_path / "none")).is_empty()
    assert read_silences(DeltaStore(tmp_path / "none")) == []


def test_what_fires_is_the_last_word_of_each_collector(tmp_path: Path) -> None:
    store = store_of(
        tmp_path,
        change("firing"),
        change("resolved", 5),
        change("firing", 7, 7),
        change("firing", 3, 3, subject="a", severity="critical"),
        change("resolved", 4, 3, subject="a", severity="critical"),
        change("firing", 4, 4, collector="two", severity="critical"),
    )
    found = current_alerts(store, T0 + 100 * SECOND_NS)
    assert found["collector"].to_list() == ["two", "one"]
    assert found["since_ns"].to_list() == [T0 + 4 * SECOND_NS, T0 + 7 * SECOND_NS]
    assert current_alerts(store, T0 + 5 * SECOND_NS)["collector"].to_list() == ["two"]


def test_more_rows_than_an_answer_may_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that flaps for a month neither hides other alerts nor what people said."""
    rows = [
        change(state, at, at // 2 * 2, subject=f"link {at // 2 % 7}")
        for at in range(0, 3_000, 2)
        for state, at in (("firing", at), ("resolved", at + 1))
    ]
    store = store_of(tmp_path, change("firing", 1, 1), *rows, change("silenced", 2_999, 1))
    silence(store, by="bob", until_ns=T0 + 10**14, subject="nothing", now_ns=T0)
    monkeypatch.setattr("fabricscope.store.MAX_ROWS", 100)
    monkeypatch.setattr("fabricscope.schemas.MAX_ROWS", 100)
    assert states(store, 4_000) == [("leaf1-spine1 up", "silenced", "")]
    last = last_of_collectors(store, 0, T0 + 10**14)
    assert last.height == 8
    assert last.filter(pl.col("state") == "silenced")["told"].to_list() == [True]
    assert [held.by for held in read_silences(store, T0 + 10**13)] == ["bob"]


def test_acknowledged_until_it_fires_anew(tmp_path: Path) -> None:
    store = store_of(tmp_path, change("firing"))
    acknowledge(
        store, "one", "link-health", "leaf1-spine1 up", by="anna", now_ns=T0 + 9 * SECOND_NS
    )
    assert states(store) == [("leaf1-spine1 up", "acknowledged", "anna")]
    rows = [change("resolved", 20), change("firing", 30, 30)]
    store.append("alerts", pl.DataFrame(rows[:1], schema=schema_of("alerts")))
    assert states(store) == []
    store.append("alerts", pl.DataFrame(rows[1:], schema=schema_of("alerts")))
    assert states(store) == [("leaf1-spine1 up", "firing", "")]
    assert alert_changes(store, T0, T0 + 100 * SECOND_NS)["state"].to_list() == [
        "firing",
        "acknowledged",
        "resolved",
        "firing",
    ]


def test_nothing_to_acknowledge(tmp_path: Path) -> None:
    store = store_of(tmp_path, change("firing"), change("resolved", 1))
    with pytest.raises(ConfigError, match="is firing; it may be over"):
        acknowledge(store, "one", "link-health", "leaf1-spine1 up", by="anna", now_ns=T0 * 2)
    with pytest.raises(ConfigError, match="give a name"):
        acknowledge(store, "one", "link-health", "leaf1-spine1 up", by=" ")


def test_silences_match_patterns_for_a_time(tmp_path: Path) -> None:
    store = store_of(tmp_path, change("firing"), change("firing", subject="leaf2-spine1 up"))
    until_ns = T0 + 60 * SECOND_NS
    held = silence(store, by="bob", until_ns=until_ns, subject="leaf1-*", note="cable", now_ns=T0)
    assert read_silences(store, T0 + 1) == [held]
    assert states(store, 59) == [
        ("leaf1-spine1 up", "silenced", "bob"),
        ("leaf2-spine1 up", "firing", ""),
    ]
    assert {state for _, state, _ in states(store, 60)} == {"firing"}
    end_silence(store, held, by="anna", now_ns=T0 + 10 * SECOND_NS)
    assert read_silences(store, T0 + 11 * SECOND_NS) == []
    assert {state for _, state, _ in states(store, 11)} == {"firing"}


def test_impossible_silences(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path / "store")
    with pytest.raises(ConfigError, match="later than now"):
        silence(store, by="bob", until_ns=1)
    with pytest.raises(ConfigError, match="is all"):
        silence(store, by="bob", until_ns=T0 * 2, rule="")


def test_a_collector_may_say_that_maintenance_silences(tmp_path: Path) -> None:
    store = store_of(tmp_path, change("silenced", until_ns=T0 + 50 * SECOND_NS))
    assert states(store) == [("leaf1-spine1 up", "silenced", "")]
    assert read_silences(store, T0 + 1) == []


@pytest.mark.server
def test_the_same_through_influxdb(tmp_path: Path) -> None:
    """Empty texts are no tags there, and a change of state is another series."""
    server = InfluxServer(tmp_path / "influx")
    server.start()
    try:
        server.prepare()
        rows = pl.DataFrame(
            [change("firing"), change("firing", subject="other"), change("resolved", 2)],
            schema=schema_of("alerts"),
        )
        with open_store(server.store(tmp_path / "spool"), "one") as store:
            store.append("alerts", rows)
            at = {"now_ns": T0 + 9 * SECOND_NS}
            acknowledge(store, "one", "link-health", "other", by="anna", **at)
            (row,) = current_alerts(store, T0 + 20 * SECOND_NS).iter_rows(named=True)
            assert (row["subject"], row["state"], row["by"]) == ("other", "acknowledged", "anna")
            held = silence(store, by="bob", until_ns=T0 + 60 * SECOND_NS, subject="oth*", **at)
            assert read_silences(store, T0 + 20 * SECOND_NS) == [held]
            (row,) = current_alerts(store, T0 + 20 * SECOND_NS).iter_rows(named=True)
            assert (row["state"], row["until_ns"]) == ("silenced", held.until_ns)
    finally:
        server.stop()
