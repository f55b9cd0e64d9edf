"""One attempt to send, to receivers that are really there; Alertmanager is Debian's."""

from pathlib import Path
from typing import Any

import pytest
from receivers import alertmanager, get_json, web_server

from fabricscope.analyzers.policy.destinations import Destination
from fabricscope.pipeline.sending import Message, send

RECORD: dict[str, Any] = {
    "rule": "link-health", "severity": "critical", "state": "firing", "table": "link_samples",
    "subject": 'leaf1 "up"\n', "text": "it is sick", "action": "mend it", "collector": "one",
    "time_ns": 1_700_000_005_000_000_000, "since_ns": 1_700_000_000_000_000_000, "values": {},
}  # fmt: skip


def message(**changes: Any) -> Message:
    return Message("critical", RECORD | changes)


def test_alertmanager_gets_labels_annotations_and_times() -> None:
    with web_server() as server:
        target = Destination("to", "alertmanager", server.url + "/prefix/")
        assert send(target, [message(), message(state="resolved")]).count == 2
        firing, over = server.wait_for(1)[0]
    assert server.paths == ["/prefix/api/v2/alerts"]
    assert firing["labels"] == over["labels"] == {
        "alertname": "link-health", "severity": "critical", "subject": 'leaf1 "up"\n',
        "table": "link_samples", "collector": "one",
    }  # fmt: skip
    assert firing["annotations"] == {"summary": "it is sick", "action": "mend it"}
    assert firing["startsAt"] == "2023-11-14T22:13:20+00:00"
    assert firing["endsAt"] > over["endsAt"] > firing["startsAt"]


def test_the_future_is_not_sent() -> None:
    with web_server() as server:
        target = Destination("to", "alertmanager", server.url + "/api/v2/alerts")
        send(target, [message(since_ns=4 * 10**18, state="resolved")])
        (alert,) = server.wait_for(1)[0]
    assert server.paths == ["/api/v2/alerts"]
    assert alert["startsAt"] <= alert["endsAt"]


@pytest.mark.parametrize(
    ("status", "final"), [(503, False), (429, False), (408, False), (400, True), (302, True)]
)
def test_what_trying_again_cannot_mend_is_final(status: int, final: bool) -> None:
    with web_server(status) as server:
        sent = send(Destination("to", "webhook", server.url), [message()])
    assert (sent.count, sent.reason, sent.final) == (0, f"HTTP {status}", final)


def test_nobody_listens() -> None:
    sent = send(Destination("to", "webhook", "http://127.0.0.1:9/"), [message()])
    assert (sent.count, sent.final) == (0, False)
    assert "refused" in sent.reason


@pytest.mark.server
def test_a_real_alertmanager_takes_and_ends_alerts(tmp_path: Path) -> None:
    with alertmanager(tmp_path) as url:
        target = Destination("to", "alertmanager", url)
        assert send(target, [message(), message(subject="other", severity="notice")]).count == 2
        known = get_json(f"{url}/api/v2/alerts")
        assert {one["labels"]["subject"] for one in known} == {'leaf1 "up"\n', "other"}
        assert {one["status"]["state"] for one in known} <= {"active", "unprocessed"}
        assert send(target, [message(state="resolved")]).count == 1
        (left,) = get_json(f"{url}/api/v2/alerts")
        assert left["labels"]["subject"] == "other"
        assert left["annotations"]["summary"] == "it is sick"
