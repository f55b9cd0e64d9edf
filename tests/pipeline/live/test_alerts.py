"""Alerts of a running collector: a recorded slow link, restarts, silences, many links."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from live_rows import SECOND_NS, T0, frame
from receivers import web_server

from fabricscope.analyzers.policy.rules import RuleSet, parse_rules
from fabricscope.analyzers.policy.states import Change
from fabricscope.pipeline.alerts import acknowledge, alert_changes, current_alerts, silence
from fabricscope.pipeline.live.alerts import AlertWatch
from fabricscope.pipeline.live.feeds import FileFeed
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.session import LiveSession, Second
from fabricscope.recorder import Recorder
from fabricscope.store import DeltaStore

LOW = {"score": 30.0, "reasons": "lost 0.1 of its packets"}
RULES = """
[[rule]]
name = "sick"
table = "link_samples"
alert = ["hook"]
REPEAT
[rule.match]
score = { max = 60 }
[destination.hook]
type = "webhook"
url = "URL"
"""


def second_of(number: int, *rows: dict[str, Any]) -> Second:
    tables = {"link_samples": frame("link_samples", number, *rows)} if rows else {}
    start = T0 + number * SECOND_NS
    return Second(start, start + SECOND_NS, tables, None)  # type: ignore[arg-type]


def watch_of(
    folder: Path, url: str = "http://127.0.0.1:9", *, repeat: str = "", **more: Any
) -> AlertWatch:
    recorder = Recorder(DeltaStore(folder), "one")
    rules = parse_rules(RULES.replace("URL", url).replace("REPEAT", repeat), "r.toml")
    return AlertWatch(rules, "one", recorder, clock=lambda: T0, built_in=False, look_s=0.05, **more)


def changes_in(folder: Path) -> list[tuple[str, str, str]]:
    found = alert_changes(DeltaStore(folder), 0, 2**62)
    return list(found.select("subject", "state", "by").iter_rows())


def alerts_of(path: Path, loops: int = 1) -> list[Change]:
    """Return what the built-in rules say of a capture."""
    told: list[Change] = []
    feed = FileFeed(str(path), speed=0, loops=loops)
    session = LiveSession(feed, Monitor(MonitorOptions(collector="here")))
    alerts = AlertWatch(RuleSet(()), "here", clock=feed.now_ns)
    alerts.listeners.append(told.extend)
    session.listeners.append(alerts.listen)
    alerts.start()
    session.run()
    alerts.stop()
    feed.close()
    return told


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("ring-allreduce.pcap", set()),
        ("tree-allreduce.pcap.gz", set()),
        ("two-jobs.pcap", set()),
        ("background.pcap.gz", set()),
        ("loss-after-tap.pcap", {"rdma-loss"}),
        ("slow-link.pcap", {"slow-link"}),
        ("slow-rank.pcap.gz", {"straggler"}),
    ],
)
def test_faults_are_told_and_health_is_not(repository: Path, name: str, rules: set[str]) -> None:
    assert {change.rule for change in alerts_of(repository / "pcaps" / name)} == rules


def test_a_recorded_slow_link_is_told_within_seconds(captures: Path) -> None:
    """The link is shaped from the first operation on: that is when evidence begins.

    The capture is played twice, so that its end does not decide.
    """
    path = captures / "collectives" / "gloo-slowlink-4r-2MiB.pcap"
    truth = map(json.loads, path.with_suffix(".truth.jsonl").read_text().splitlines())
    (slow,) = [change for change in alerts_of(path, 2) if change.rule == "slow-link"]
    assert (slow.state, slow.severity) == ("firing", "critical")
    assert slow.subject == "10.77.0.11 up"
    assert slow.text.startswith("The uplink of 10.77.0.11 carries 0.")
    first_ns = min(span[1] for entry in truth for span in entry["spans"])
    assert 0 < slow.time_ns - first_ns < 5 * SECOND_NS


def test_a_restart_raises_nothing_anew(repository: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; "
        "sys.path[:0] = [sys.argv[3], sys.argv[3] + '/pipeline/live']; "
        "from test_alerts import LOW, second_of, watch_of; "
        "watch = watch_of(Path(sys.argv[1]), sys.argv[2]); watch.start(); "
        "watch.listen(second_of(0, LOW)); time.sleep(600)"
    )
    tests = str(repository / "tests")
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    with web_server() as server:
        command = [sys.executable, "-c", code, str(tmp_path), server.url, tests]
        with subprocess.Popen(command, env=environment) as first:
            try:
                server.wait_for(1, 60)
            finally:
                first.kill()
        again = watch_of(tmp_path, server.url)
        again.start()
        again.listen(second_of(5, LOW))
        again.listen(second_of(6, {"score": 99.0}))
        bodies = [alert for body in server.wait_for(2) for alert in body["alerts"]]
        again.stop()
    assert [body["state"] for body in bodies] == ["firing", "resolved"]
    assert again.recorder is not None
    again.recorder.flush()
    assert [state for _, state, _ in changes_in(tmp_path)] == ["firing", "resolved"]
    assert bodies[1]["since_ns"] == bodies[0]["since_ns"]


def test_what_did_not_arrive_before_a_restart_is_sent_after_it(tmp_path: Path) -> None:
    """The receiver is away, the collector is restarted hours later, the receiver is back."""
    first = watch_of(tmp_path)
    first.start()
    first.listen(second_of(0, LOW))
    first.stop()
    assert first.recorder is not None
    first.recorder.append("tap_samples", frame("tap_samples", 1, {"collector": "one"}))
    first.recorder.flush()
    assert first.counts["hook"].delivered == 0
    with web_server() as server:
        again = watch_of(tmp_path, server.url)
        later_s = 40_000
        again.clock = lambda: T0 + later_s * SECOND_NS
        again.start()
        for number in range(later_s, later_s + 3):
            again.listen(second_of(number, LOW))
        (body,) = server.wait_for(1)
        again.stop()
        assert len(server.bodies) == 1
    assert [alert["state"] for alert in body["alerts"]] == ["firing"]
    assert again.recorder is not None
    again.recorder.flush()
    assert [state for _, state, _ in changes_in(tmp_path)] == ["firing"]


def test_what_fired_is_taken_over_once_the_store_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = watch_of(tmp_path)
    first.start()
    first.listen(second_of(0, LOW))
    first.stop()
    assert first.recorder is not None
    first.recorder.flush()
    again = watch_of(tmp_path)
    assert again.recorder is not None

    def fail(*_: object, **__: object) -> None:
        raise ValueError("nobody thought of it")

    with monkeypatch.context() as patch:
        patch.setattr(again.recorder.store, "query", fail)
        again.start()
        assert again.problem == "ValueError: nobody thought of it"
        again.listen(second_of(5))
        assert again.firing() == ()
    end = time.monotonic() + 20
    while again.problem:
        assert time.monotonic() < end
        time.sleep(0.01)
    again.listen(second_of(6))
    assert [change.since_ns for change in again.firing()] == [T0]
    again.stop()


def test_what_is_sent_is_in_the_store(tmp_path: Path) -> None:
    with web_server() as server:
        watch = watch_of(tmp_path, server.url)
        watch.start()
        watch.listen(second_of(0, LOW))
        server.wait_for(1)
        assert changes_in(tmp_path) == [("leaf1-spine1 up", "firing", "")]
        watch.stop()


def test_acknowledged_alerts_are_not_sent_again(tmp_path: Path) -> None:
    with web_server() as server:
        watch = watch_of(tmp_path, server.url, repeat='repeat = "2s"')
        watch.start()
        for number in range(4):
            watch.listen(second_of(number, LOW))
        server.wait_for(1)
        time.sleep(0.3)
        said = [alert for body in server.wait_for(1) for alert in body["alerts"]]
        assert len(said) == 2
        acknowledge(
            DeltaStore(tmp_path), "one", "sick", "leaf1-spine1 up", by="anna", now_ns=T0 + 10**10
        )
        time.sleep(0.5)
        for number in range(4, 8):
            watch.listen(second_of(number, LOW))
        time.sleep(0.3)
        watch.stop()
        assert sum(len(json.loads(body)["alerts"]) for body in server.bodies) == 2
    (row,) = current_alerts(DeltaStore(tmp_path), T0 + 10**11).iter_rows(named=True)
    assert (row["state"], row["by"]) == ("acknowledged", "anna")


def test_silenced_alerts_are_kept_and_sent_if_they_last(tmp_path: Path) -> None:
    until = T0 + 3 * SECOND_NS
    silence(DeltaStore(tmp_path), by="bob", until_ns=until, subject="leaf1*", now_ns=T0)
    with web_server() as server:
        watch = watch_of(tmp_path, server.url)
        watch.start()
        for number in range(3):
            watch.listen(second_of(number, LOW))
        assert watch.firing()[0].state == "firing"
        server.wait_for(1)
        watch.stop()
        assert len(server.bodies) == 1
    assert [(state, by) for _, state, by in changes_in(tmp_path)] == [
        ("silenced", "bob"),
        ("silenced", ""),
        ("firing", ""),
    ]


def test_the_end_of_a_capture_is_the_end_of_its_alerts(tmp_path: Path) -> None:
    watch = watch_of(tmp_path)
    watch.start()
    watch.listen(second_of(0, LOW))
    watch.stop(ended=True)
    assert watch.recorder is not None
    watch.recorder.flush()
    assert [state for _, state, _ in changes_in(tmp_path)] == ["firing", "resolved"]
    assert current_alerts(DeltaStore(tmp_path), T0 + 10**11).is_empty()


def test_a_store_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "alerts").mkdir()
    (tmp_path / "alerts" / "_delta_log").mkdir()
    (tmp_path / "alerts" / "_delta_log" / "00000000000000000000.json").write_text("no log")
    watch = watch_of(tmp_path)
    watch.start()
    watch.listen(second_of(0, LOW))
    assert "store" in watch.problem
    assert watch.firing()
    watch.stop()


@pytest.mark.slow
def test_thousands_of_links_are_judged_in_a_fraction_of_a_second() -> None:
    rows = [{"link": f"leaf{k // 16}-spine{k % 16}", "score": 99.0} for k in range(4_000)]
    queue_pairs = [{"dest_qp": k, "src": f"10.0.{k % 200}.1"} for k in range(4_000)]
    watch = AlertWatch(RuleSet(()), "here")
    tables = {
        "link_samples": frame("link_samples", 0, *rows),
        "rdma_samples": frame("rdma_samples", 0, *queue_pairs),
    }
    took = []
    for number in range(30):
        start = T0 + number * SECOND_NS
        shifted = {
            name: table.with_columns(time_ns=pl.lit(start)) for name, table in tables.items()
        }
        began = time.process_time()
        watch.listen(Second(start, start + SECOND_NS, shifted, None))  # type: ignore[arg-type]
        took.append(time.process_time() - began)
    assert watch.firing() == ()
    assert sorted(took)[15] < 0.25, took
