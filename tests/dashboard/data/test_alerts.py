"""Alerts of a view."""

from pathlib import Path

import polars as pl
import pytest

from fabricscope.dashboard.data.alerts import alert_history, open_alerts, open_silences
from fabricscope.dashboard.view import View
from fabricscope.pipeline.alerts import acknowledge, silence
from fabricscope.store import DeltaStore, schema_of

SECOND = 1_000_000_000
END = 1_700_000_000 * SECOND
VIEW = View(END - 900 * SECOND, END)


def _change(ago_s: int, subject: str, state: str, severity: str = "warning") -> dict[str, object]:
    return {
        "time_ns": END - ago_s * SECOND, "collector": "c", "rule": "health", "subject": subject,
        "severity": severity, "state": state, "text": f"{subject} is ill", "action": "look",
        "value": 1.0, "table": "link_samples", "since_ns": END - 100 * SECOND, "until_ns": None,
        "by": "",
    }  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> DeltaStore:
    store = DeltaStore(tmp_path)
    rows = [
        _change(100, "a", "firing"),
        _change(90, "b", "firing", "critical"),
        _change(50, "a", "resolved"),
        _change(40, "c", "firing", "notice"),
    ]
    store.append("alerts", pl.DataFrame(rows, schema=schema_of("alerts")))
    return store


def test_what_fires_still_is_open_the_worst_first(store: DeltaStore) -> None:
    assert open_alerts(store, VIEW)["subject"].to_list() == ["b", "c"]
    assert open_alerts(store, View(VIEW.start_ns, END, collector="other")).is_empty()


def test_people_change_what_is_open(store: DeltaStore) -> None:
    acknowledge(store, "c", "health", "b", by="ada", now_ns=END - 10 * SECOND)
    silence(store, by="ada", until_ns=END + SECOND, subject="c", now_ns=END - 10 * SECOND)
    found = {row["subject"]: row["state"] for row in open_alerts(store, VIEW).to_dicts()}
    assert found == {"b": "acknowledged", "c": "silenced"}
    assert [one.subject for one in open_silences(store, VIEW)] == ["c"]


def test_history_is_of_the_view_the_newest_first(store: DeltaStore) -> None:
    assert alert_history(store, VIEW)["subject"].to_list() == ["c", "a", "b", "a"]
    late = View(END - 45 * SECOND, END)
    assert alert_history(store, late)["subject"].to_list() == ["c"]
