"""What `live` shows of alerts: what fires, what was sent, and lines where there is no screen."""

import io
import time
from pathlib import Path
from typing import Any

import pytest
from live_rows import SECOND_NS, T0, frame
from rich.console import Console, Group

from fabricscope.analyzers.policy.rules import parse_rules
from fabricscope.cli.live_alerts import AlertBoard, open_alerts
from fabricscope.cli.screen import Screen
from fabricscope.config import LiveSettings
from fabricscope.errors import ConfigError
from fabricscope.pipeline.live.alerts import AlertWatch
from fabricscope.pipeline.live.session import Second

RULES = """
[[rule]]
name = "sick"
table = "link_samples"
severity = "critical"
description = "{link} is at {score}"
action = "Mend it."
alert = ["log"]
max_alerts = 9
[rule.match]
score = { max = 60 }
[destination.log]
type = "json"
file = "FILE"
[[maintenance]]
subject = "leaf9*"
start = 2020-01-01T00:00:00Z
end = 2100-01-01T00:00:00Z
"""


def board_of(tmp_path: Path, width: int = 100) -> tuple[AlertWatch, AlertBoard, Console]:
    rules = parse_rules(RULES.replace("FILE", str(tmp_path / "alerts.jsonl")), "r.toml")
    alerts = AlertWatch(rules, "here", built_in=False)
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    return alerts, AlertBoard(Screen(console), alerts), console


def feed(alerts: AlertWatch, second: int, *rows: dict[str, Any]) -> None:
    start = T0 + second * SECOND_NS
    tables = {"link_samples": frame("link_samples", second, *rows)}
    alerts.listen(Second(start, start + SECOND_NS, tables, None))  # type: ignore[arg-type]


def drawn(board: AlertBoard, console: Console) -> str:
    with console.capture() as capture:
        console.print(Group(*board.draw()))
    return capture.get()


def test_nothing_is_the_matter(tmp_path: Path) -> None:
    _, board, console = board_of(tmp_path)
    assert board.draw() == []
    assert drawn(board, console).strip() == ""


def test_what_fires_stands_first_and_silenced_last(tmp_path: Path) -> None:
    alerts, board, console = board_of(tmp_path)
    for second in range(4):
        feed(
            alerts, second, {"link": "leaf9-spine1", "score": 1.0}, {"link": "[red]", "score": 2.0}
        )
    lines = drawn(board, console).splitlines()
    assert lines[0].startswith("Alerts")
    assert lines[2].split() == [
        "critical",
        "4",
        "s",
        "sick",
        "[red]",
        "is",
        "at",
        "2",
        "Mend",
        "it.",
    ]
    assert lines[3].split()[0] == "silenced"


def test_no_more_than_a_few_and_what_was_not_raised(tmp_path: Path) -> None:
    alerts, board, console = board_of(tmp_path)
    feed(alerts, 0, *({"link": f"l{k}", "score": 1.0} for k in range(12)))
    text = drawn(board, console)
    assert "Alerts, 3 more not shown" in text
    assert "3 not raised: a rule had too many" in text


def test_what_was_sent_is_summed_up(tmp_path: Path) -> None:
    alerts, board, _ = board_of(tmp_path)
    assert board.summary() == ""
    alerts.start()
    feed(alerts, 0, {"score": 1.0})
    end = time.monotonic() + 20
    while not alerts.counts["log"].delivered and time.monotonic() < end:
        time.sleep(0.01)
    assert board.summary() == "log: 1 sent"
    alerts.stop()


def test_changes_are_lines_without_a_screen(tmp_path: Path) -> None:
    alerts, board, console = board_of(tmp_path)
    alerts.listeners.append(board.say)
    with console.capture() as capture:
        feed(alerts, 0, {"score": 1.0})
        feed(alerts, 1, {"score": 1.0})
        feed(alerts, 2, {"score": 99.0})
    assert capture.get().splitlines() == [
        "critical firing  sick: leaf1-spine1 is at 1 Mend it.",
        "critical resolved  sick: leaf1-spine1 up: over after 3 s.",
    ]


def test_rules_come_from_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(RULES.replace("FILE", "-"))
    alerts = open_alerts(LiveSettings(rules=str(path)), "here", None, time.time_ns)
    assert set(alerts.counts) == {"log"}
    path.write_text("[[rul]]\n")
    with pytest.raises(ConfigError, match="line 1: rul: unknown key; did you mean rule"):
        open_alerts(LiveSettings(rules=str(path)), "here", None, time.time_ns)
