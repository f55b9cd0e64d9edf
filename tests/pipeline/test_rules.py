"""Rule files and delivery: the documented example, receivers that answer, fail and stay silent."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from receivers import web_server

from fabricscope.analyzers.policy.destinations import Destination
from fabricscope.analyzers.policy.matching import Alert
from fabricscope.analyzers.policy.rules import RuleSet
from fabricscope.errors import ConfigError
from fabricscope.pipeline.rules import (
    alert_json,
    check_rules,
    deliver,
    load_rules,
)
from fabricscope.pipeline.sending import MAX_PER_REQUEST
from fabricscope.pipeline.text_files import MAX_FILE_BYTES

NASTY = 'dns"}\n{"rule": "forged"} \x00 \x1b[2J \u2028 é'
VALUES = {"src": "10.0.0.1", "dst": "10.0.0.2", "src_port": 1, "dst_port": 2, "protocol": "udp",
          "application": NASTY, "bytes": 5}  # fmt: skip
ALERT = Alert("r", "warning", "flows", NASTY, "why", 17, ("t",), VALUES, ("to",), "nftables")


def rules_to(kind: str, target: str, **more: float) -> RuleSet:
    return RuleSet((), (Destination("to", kind, target, **more),))  # type: ignore[arg-type]


def test_documented_example(repository: Path) -> None:
    path = repository / "docs" / "examples" / "rules.toml"
    rules = load_rules(path)
    assert {destination.type for destination in rules.destinations} == {"json", "syslog", "webhook"}
    assert {rule.table for rule in rules.rules} == {"flows", "queue_pairs", "findings"}
    lines = check_rules(path)
    assert len(lines) == len(rules.rules) + 1  # the built-in ones
    assert any("a passive tap cannot block" in line for line in lines)


def test_unusable_files(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_rules(path)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_rules(tmp_path)
    path.write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="byte 2 is not UTF-8"):
        load_rules(path)
    path.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        check_rules(path)


def test_json_line_cannot_be_broken_out_of() -> None:
    line = alert_json(ALERT)
    assert line.isascii()
    assert line.isprintable()
    read = json.loads(line)
    assert read["subject"] == NASTY
    assert read["values"]["application"] == NASTY
    assert read["rule"] == "r"


def test_json_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    rules = rules_to("json", str(path))
    for _ in range(2):
        assert deliver([ALERT, ALERT], rules).destinations["to"].delivered == 2
    assert len(path.read_text().splitlines()) == 4


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    deliver([ALERT], rules_to("json", "-"))
    assert json.loads(capsys.readouterr().out)["rule"] == "r"


def test_unwritable_file_is_counted(tmp_path: Path) -> None:
    count = deliver([ALERT], rules_to("json", str(tmp_path))).destinations["to"]
    assert (count.delivered, count.failed) == (0, 1)
    assert "directory" in count.reason


def test_only_alerts_of_the_destination() -> None:
    count = deliver([replace(ALERT, destinations=("other",))], rules_to("json", "-"))
    assert count.destinations["to"].delivered == 0


def test_syslog_over_a_socket_path_and_udp(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as remote,
    ):
        local.bind(str(path))
        remote.bind(("127.0.0.1", 0))
        for receiver, target in (
            (local, str(path)),
            (remote, f"127.0.0.1:{remote.getsockname()[1]}"),
        ):
            receiver.settimeout(5)
            assert deliver([ALERT], rules_to("syslog", target)).destinations["to"].delivered == 1
            message = receiver.recv(65_536).decode("ascii")
            assert message.startswith("<132>fabricscope: {")
            assert "\n" not in message


def test_absent_syslog_is_counted(tmp_path: Path) -> None:
    count = deliver([ALERT] * 3, rules_to("syslog", str(tmp_path / "none"))).destinations["to"]
    assert (count.delivered, count.failed) == (0, 3)


@pytest.mark.parametrize(
    ("statuses", "retries", "requests", "delivered"),
    [
        ([200], 2, 1, 1),
        ([503, 204], 2, 2, 1),
        ([503], 2, 3, 0),
        ([503], 0, 1, 0),
        ([403], 5, 1, 0),
        ([302], 0, 1, 0),
    ],
)
def test_webhook(statuses: list[int], retries: int, requests: int, delivered: int) -> None:
    with web_server(*statuses) as server:
        rules = rules_to("webhook", server.url, retries=retries)
        count = deliver([ALERT], rules).destinations["to"]
    assert len(server.bodies) == requests
    assert (count.delivered, count.failed) == (delivered, 1 - delivered)
    assert bool(count.reason) != bool(delivered)
    assert json.loads(server.bodies[0])["alerts"][0]["subject"] == NASTY


def test_webhook_sends_in_parts() -> None:
    with web_server() as server:
        count = deliver([ALERT] * (MAX_PER_REQUEST + 1), rules_to("webhook", server.url))
    assert [len(json.loads(body)["alerts"]) for body in server.bodies] == [MAX_PER_REQUEST, 1]
    assert count.destinations["to"].delivered == MAX_PER_REQUEST + 1


def test_silent_webhook_times_out() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        started = time.monotonic()
        count = deliver([ALERT], rules_to("webhook", url, timeout_s=0.2, retries=1))
    assert time.monotonic() - started < 5
    assert count.destinations["to"].failed == 1


def test_snippets_are_written_only_where_asked(tmp_path: Path) -> None:
    assert deliver([ALERT], RuleSet(())).snippets == []
    (path,) = deliver([ALERT], RuleSet(()), snippet_dir=tmp_path).snippets
    assert path.name == "fabricscope.nft"
    assert "passive tap cannot block" in path.read_text()


def test_checking_rules_compiles_nothing() -> None:
    code = "import sys, fabricscope.pipeline.rules; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=_path(), check=False).returncode == 0


def _path() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


def test_documented_live_example(repository: Path) -> None:
    path = repository / "docs" / "examples" / "live-rules.toml"
    rules = load_rules(path)
    assert all(rule.timing for rule in rules.rules)
    assert {destination.type for destination in rules.destinations} == {"json", "alertmanager"}
    lines = check_rules(path)
    assert any("fires when none came for 5 s" in line for line in lines)
    assert any("is over when ecn_marked_share recovered for 10 s" in line for line in lines)
    assert any("leaf3-firmware: maintenance" in line for line in lines)
    assert "slow-link" in lines[-1]
    assert "link-flaps" not in lines[-1]
