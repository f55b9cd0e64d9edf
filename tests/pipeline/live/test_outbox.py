"""Sending without waiting: receivers that are away, slow, or refuse."""

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from receivers import web_server
from servers import free_port

from fabricscope.analyzers.policy.destinations import Destination
from fabricscope.analyzers.policy.states import Change
from fabricscope.pipeline.live import outbox as module
from fabricscope.pipeline.live.outbox import Counts, Outbox

CHANGE = Change(
    "link-health", "warning", "link_samples", "leaf1 up", "firing", "it is sick", "mend it",
    5, 1, 40.0, {"score": 40.0}, ("to", "other"),
)  # fmt: skip


def until(outbox: Outbox, condition: str, seconds: float = 20) -> Counts:
    end = time.monotonic() + seconds
    counts = outbox.counts["to"]
    while time.monotonic() < end:
        if getattr(counts, condition):
            return counts
        time.sleep(0.01)
    raise AssertionError(f"nothing {condition}: {counts}")


def opened(kind: str, target: str, **more: float) -> Outbox:
    outbox = Outbox([Destination("to", kind, target)], "here", **more)
    outbox.start()
    return outbox


def test_every_kind_of_receiver_gets_the_same_record(tmp_path: Path) -> None:
    with web_server() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(20)
        targets = {
            "json": str(tmp_path / "a.jsonl"),
            "webhook": server.url,
            "syslog": f"127.0.0.1:{log.getsockname()[1]}",
        }
        for kind, target in targets.items():
            outbox = opened(kind, target)
            outbox.put([CHANGE])
            assert until(outbox, "delivered").delivered == 1
            outbox.stop()
        line = json.loads((tmp_path / "a.jsonl").read_text())
        assert json.loads(log.recv(65_536).split(b": ", 1)[1]) == line
        assert server.wait_for(1)[0] == {"alerts": [line]}
    assert line["state"] == "firing"
    assert line["values"] == {"score": 40.0}
    assert (line["collector"], line["since_ns"], line["action"]) == ("here", 1, "mend it")


def test_only_what_is_to_be_sent_and_only_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    outbox = opened("json", str(path))
    quiet = Change(*CHANGE.__dict__.values()).__dict__ | {"send": False}
    outbox.put([Change(**quiet), Change(**(CHANGE.__dict__ | {"destinations": ("x",)}))])
    outbox.put([CHANGE])
    until(outbox, "delivered")
    outbox.stop()
    assert len(path.read_text().splitlines()) == 1


def test_a_receiver_that_comes_back_gets_what_waited() -> None:
    port = free_port()
    outbox = opened("webhook", f"http://127.0.0.1:{port}/")
    outbox.put([CHANGE])
    assert "refused" in until(outbox, "problem").problem
    assert outbox.counts["to"].waiting == 1
    with web_server(503, 200, port=port) as server:
        assert until(outbox, "delivered").delivered == 1
        assert len(server.bodies) == 2
    assert outbox.counts["to"].problem == ""
    outbox.stop()


def test_putting_never_waits_and_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 50)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        outbox = opened("webhook", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        began = time.monotonic()
        for _ in range(100):
            outbox.put([CHANGE] * 2)
        assert time.monotonic() - began < 1
        assert outbox.counts["to"].waiting == 50
        assert outbox.counts["to"].dropped == 150
        outbox.stop(0.1)
        assert time.monotonic() - began < 3
    assert outbox.counts["to"].dropped == 200


def test_what_is_refused_or_too_old_is_dropped_and_counted() -> None:
    with web_server(400) as server:
        outbox = opened("webhook", server.url)
        outbox.put([CHANGE] * 3)
        counts = until(outbox, "dropped")
        assert (counts.dropped, counts.waiting, counts.problem) == (3, 0, "HTTP 400")
        outbox.stop()
    outbox = opened("webhook", "http://127.0.0.1:9/", give_up_s=0.0)
    outbox.put([CHANGE])
    assert until(outbox, "dropped").waiting == 0
    outbox.stop()


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_values_that_json_does_not_have_are_left_out(tmp_path: Path, value: float) -> None:
    path = tmp_path / "a.jsonl"
    outbox = opened("json", str(path))
    values = {"score": value, "lost": 3}
    outbox.put([Change(**(CHANGE.__dict__ | {"values": values}))])
    until(outbox, "delivered")
    outbox.stop()
    assert json.loads(path.read_text())["values"] == {"lost": 3}


def test_a_thread_outlives_what_nobody_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    real, told = module.send, []

    def fail_once(*args: Any) -> Any:
        told.append(args)
        if len(told) == 1:
            raise ValueError("a bug")
        return real(*args)

    def fail() -> None:
        raise OSError("the store is gone")

    monkeypatch.setattr(module, "send", fail_once)
    outbox = Outbox([Destination("to", "json", str(path))], "here", before=fail)
    outbox.start()
    outbox.put([CHANGE])
    assert until(outbox, "problem").problem == "ValueError: a bug"
    assert until(outbox, "delivered").problem == ""
    outbox.stop()
    assert len(path.read_text().splitlines()) == 1


def test_the_store_is_flushed_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    order = []
    outbox = Outbox(
        [Destination("to", "json", str(path))], "here", before=lambda: order.append(path.exists())
    )
    outbox.start()
    outbox.put([CHANGE])
    until(outbox, "delivered")
    outbox.stop()
    assert order == [False]


def test_alertmanager_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESEND_S", 0.05)
    with web_server() as server:
        outbox = Outbox(
            [Destination("to", "alertmanager", server.url)], "here", firing=lambda: [CHANGE]
        )
        outbox.start()
        outbox.put([CHANGE])
        bodies = server.wait_for(3)
        outbox.stop()
    assert [body[0]["labels"]["alertname"] for body in bodies[:3]] == ["link-health"] * 3
    assert outbox.counts["to"].delivered == 1
