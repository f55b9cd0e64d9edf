"""Rules over live data: when they fire, when they are over, and what they say."""

from typing import Any

import polars as pl
import pytest
from live_rows import SECOND_NS, T0, frame

from fabricscope.analyzers.policy.rules import parse_rules
from fabricscope.analyzers.policy.states import Change
from fabricscope.analyzers.policy.watching import RuleWatch


def watch_of(text: str, **more: Any) -> RuleWatch:
    return RuleWatch(parse_rules(text, "rules.toml"), **more)


def rule_of(match: str, extra: str = "", table: str = "link_samples", name: str = "one") -> str:
    return f'[[rule]]\nname = "{name}"\ntable = "{table}"\n{extra}\n[rule.match]\n{match}\n'


def play(
    watch: RuleWatch,
    seconds: list[list[dict[str, Any]]],
    table: str = "link_samples",
    begin: int = 0,
) -> list[tuple[int, str, str]]:
    """Return when what changed: the end of the second, the subject and the state."""
    found = []
    for second, rows in enumerate(seconds, begin):
        tables = {table: frame(table, second, *rows)} if rows else {}
        for change in step(watch, second, tables):
            found.append(((change.time_ns - T0) // SECOND_NS, change.subject, change.state))
    return found


def step(watch: RuleWatch, second: int, tables: dict[str, pl.DataFrame]) -> list[Change]:
    start = T0 + second * SECOND_NS
    return watch.update(start, start + SECOND_NS, tables)


LOW = [{"score": 40.0}]
MIDDLE = [{"score": 65.0}]
HIGH = [{"score": 90.0}]
UP = "leaf1-spine1 up"


def test_conditions_must_hold_for_a_while() -> None:
    watch = watch_of(rule_of("score = { max = 60 }", 'for = "3s"'))
    assert play(watch, [LOW, LOW, HIGH, LOW, LOW, LOW, LOW, HIGH]) == [
        (6, UP, "firing"),
        (8, UP, "resolved"),
    ]


def test_hysteresis() -> None:
    text = rule_of("score = { max = 60 }", 'clear_for = "2s"\nclear = { score = { min = 75 } }')
    seconds = [LOW, MIDDLE, LOW, HIGH, MIDDLE, HIGH, HIGH, MIDDLE]
    assert play(watch_of(text), seconds) == [(1, UP, "firing"), (7, UP, "resolved")]


def test_a_subject_that_goes_silent_is_over_after_a_time() -> None:
    watch = watch_of(rule_of("score = { max = 60 }", 'expire = "3s"'))
    assert play(watch, [LOW, [], [], [], [], []]) == [(1, UP, "firing"), (5, UP, "resolved")]


def test_silence_between_two_seconds_counts() -> None:
    watch = watch_of(rule_of("score = { max = 60 }", 'for = "5s"\nexpire = "10s"'))
    assert play(watch, [LOW, LOW]) == []
    assert play(watch, [LOW, LOW], begin=60) == []


def test_subjects_are_told_apart_and_named() -> None:
    rows = [
        {"score": 1.0, "direction": "down"},
        {"score": 2.0, "source": "sflow"},
        {"score": 3.0, "link": "leaf2-spine1"},
        {"score": 99.0, "link": "leaf3-spine1"},
    ]
    found = play(watch_of(rule_of("score = { max = 60 }")), [rows])
    assert [subject for _, subject, _ in found] == [
        "leaf1-spine1 down",
        "leaf1-spine1 up (sflow)",
        "leaf2-spine1 up",
    ]


def test_grouping_adds_rows_up() -> None:
    text = rule_of("lost_packets = { min = 10 }", 'group_by = ["link"]')
    rows = [{"lost": 6, "direction": "up"}, {"lost": 6, "direction": "down"}]
    assert play(watch_of(text), [rows]) == [(1, "leaf1-spine1", "firing")]
    assert play(watch_of(text), [rows[:1]]) == []


def test_rates_and_shares_over_a_window() -> None:
    text = rule_of("lost_share = { min = 0.001 }\nbytes_per_s = { min = 500_000 }", 'over = "4s"')
    quiet: list[dict[str, Any]] = [{}]
    lossy = [{"lost": 10}]
    watch = watch_of(text)
    # 10 of 4,000 packets in the window, until the second with the loss leaves it.
    assert play(watch, [quiet, lossy, quiet, quiet, quiet, quiet, quiet]) == [
        (2, UP, "firing"),
        (6, UP, "resolved"),
    ]
    watch = watch_of(rule_of("bytes_per_s = { min = 500_000 }", 'over = "4s"'))
    assert play(watch, [quiet, quiet]) == [(2, UP, "firing")]


def test_texts_select_and_a_row_of_another_kind_ends_it() -> None:
    text = rule_of('state = ["stalled", "failed"]', 'group_by = ["src", "dst"]', "rdma_samples")
    both = [{"state": "stalled", "dest_qp": 1}, {"state": "active", "dest_qp": 2}]
    fine = [{"state": "active", "dest_qp": 1}]
    subject = "10.0.0.1 -> 10.0.0.2"
    assert play(watch_of(text), [both, both, fine], "rdma_samples") == [
        (1, subject, "firing"),
        (3, subject, "resolved"),
    ]


def test_hosts_and_subjects() -> None:
    for match in ("host = '10.0.0.0/24'\npackets = { min = 1 }", "src = '10.0.0.1'"):
        text = rule_of(match, table="rdma_samples")
        assert play(watch_of(text), [[{}]], "rdma_samples") == [
            (1, "10.0.0.1 -> 10.0.0.2 qp 0", "firing")
        ]
    text = rule_of("subject = '*spine2 up'\nscore = { max = 60 }")
    rows = [{"score": 1.0}, {"score": 1.0, "link": "leaf1-spine2"}]
    assert play(watch_of(text), [rows]) == [(1, "leaf1-spine2 up", "firing")]
    text = rule_of("host = '10.0.0.1'", table="application_samples")
    assert [state for _, _, state in play(watch_of(text), [[{}]], "application_samples")] == [
        "firing"
    ]


def test_nothing_comes() -> None:
    text = rule_of(
        "link = '*rail3*'\npackets = { min = 1 }", 'absent = "5s"\ndescription = "no traffic"'
    )
    on = [{"link": "h1-rail3"}]
    other = [{"link": "h1-rail2"}]
    none = [{"link": "h1-rail3", "packets": 0}]
    watch = watch_of(text)
    seconds = [on, on, other, none, [], other, other, other, on, on]
    assert play(watch, seconds) == [(7, "*rail3*", "firing"), (9, "*rail3*", "resolved")]


def test_what_never_came_is_absent_too() -> None:
    watch = watch_of(rule_of("link = 'x'", 'absent = "3s"'))
    changes = [c for second in range(4) for c in step(watch, second, {})]
    assert [(c.state, c.text) for c in changes] == [
        ("firing", "x: there are no such rows in link_samples for 3 s.")
    ]


def test_each_that_was_there_is_missed() -> None:
    text = rule_of("packets = { min = 1 }", 'absent = "3s"\ngroup_by = ["link"]')
    both = [{"link": "a"}, {"link": "b"}]
    one = [{"link": "a"}]
    assert play(watch_of(text), [both, one, one, one, one, both]) == [
        (4, "b", "firing"),
        (6, "b", "resolved"),
    ]


def test_a_long_silence_of_everything_is_noticed_when_it_ends() -> None:
    watch = watch_of(rule_of("link = '*'", 'absent = "5s"'))
    assert play(watch, [[{}], [{}]]) == []
    assert play(watch, [[{}]], begin=30) == [(7, "*", "firing"), (31, "*", "resolved")]


def test_what_overload_hides_is_not_missed() -> None:
    text = rule_of("packets = { min = 1 }", 'absent = "3s"', "rdma_samples")
    watch = watch_of(text)
    for second in range(10):
        taps = frame("tap_samples", second, {"level": 1})
        assert step(watch, second, {"tap_samples": taps}) == []
    found = [c.state for second in range(10, 14) for c in step(watch, second, {})]
    assert found == ["firing"]


def iteration(ms: float, **more: Any) -> dict[str, Any]:
    return {"end_ns": T0 + int(ms * 1e6), "time_ns": T0, **more}


def test_iterations_against_what_is_usual() -> None:
    text = rule_of("slowdown = { min = 1.2 }", table="iterations")
    watch = watch_of(text)
    fast, slow = [iteration(100.0)] * 16, [iteration(150.0)]
    assert play(watch, [fast, slow, fast], "iterations") == []  # nothing is usual yet
    found = play(watch, [slow, fast], "iterations", begin=3)
    subject = "10.0.0.1+3 allreduce"
    assert found == [(4, subject, "firing"), (5, subject, "resolved")]


def test_who_holds_a_job_back() -> None:
    text = rule_of(
        'straggler_kind = "link"',
        'group_by = ["straggler_ip", "straggler_direction"]\nexpire = "5s"\n'
        'description = "{subject} holds {job} back"',
        "iterations",
    )
    held = [iteration(1, straggler='{"kind": "link", "ip": "10.0.0.7", "direction": "up"}')]
    busy = [iteration(1, straggler='{"kind": "compute", "ip": "10.0.0.8", "direction": null}')]
    watch = watch_of(text)
    (change,) = step(watch, 0, {"iterations": frame("iterations", 0, *held)})
    assert change.subject == "10.0.0.7 up"
    assert change.text == "10.0.0.7 up holds 10.0.0.1+3 back"
    found = play(watch, [busy] * 7, "iterations", begin=1)
    assert found == [(7, "10.0.0.7 up", "resolved")]


def test_a_rule_has_a_bound() -> None:
    watch = watch_of(rule_of("score = { max = 60 }", "max_alerts = 2"))
    rows = [{"score": 1.0, "link": f"l{k}"} for k in range(5)]
    assert len(play(watch, [rows, rows])) == 2
    assert watch.suppressed == 6


def test_reminders_end_with_an_acknowledgement() -> None:
    watch = watch_of(rule_of("score = { max = 60 }", 'repeat = "2s"'))
    assert [at for at, _, _ in play(watch, [LOW] * 6)] == [1, 3, 5]
    assert not watch.firing()[0].again
    watch.acknowledge("one", UP, T0)
    assert play(watch, [LOW] * 6, begin=6) == []


def test_under_silence_it_is_kept_but_not_sent() -> None:
    until = T0 + 5 * SECOND_NS
    watch = watch_of(
        rule_of("score = { max = 60 }"), quiet=lambda rule, subject, t: until if t < until else None
    )
    low = [{"link_samples": frame("link_samples", k, *LOW)} for k in range(6)]
    changes = [c for k in range(6) for c in step(watch, k, low[k])]
    assert [(c.state, c.send, c.until_ns) for c in changes] == [
        ("silenced", False, until),
        ("firing", True, None),
    ]
    (over,) = step(watch, 6, {"link_samples": frame("link_samples", 6, *HIGH)})
    assert over.send


def test_a_silence_of_what_was_sent_sends_nothing_but_its_end() -> None:
    silent: list[int] = []
    watch = watch_of(
        rule_of("score = { max = 60 }"), quiet=lambda *_: silent[0] if silent else None
    )
    low = [{"link_samples": frame("link_samples", k, *LOW)} for k in range(4)]
    assert [c.send for c in step(watch, 0, low[0])] == [True]
    silent.append(T0 + 10**12)
    assert [(c.state, c.send) for c in step(watch, 1, low[1])] == [("silenced", False)]
    silent.clear()
    assert [(c.state, c.send) for c in step(watch, 2, low[2])] == [("firing", False)]
    (over,) = step(watch, 3, {"link_samples": frame("link_samples", 3, *HIGH)})
    assert (over.state, over.send) == ("resolved", True)


def test_what_fired_before_is_not_raised_again() -> None:
    first = watch_of(rule_of("score = { max = 60 }"))
    (change,) = step(first, 0, {"link_samples": frame("link_samples", 0, *LOW)})
    row = {
        "rule": "one", "subject": change.subject, "table": "link_samples", "state": "firing",
        "severity": "warning", "text": change.text, "value": 40.0, "time_ns": change.time_ns,
        "since_ns": change.since_ns, "until_ns": None,
    }  # fmt: skip
    watch = watch_of(rule_of("score = { max = 60 }"))
    watch.restore([row, row | {"rule": "gone"}], T0 + 50 * SECOND_NS)
    changes = step(watch, 50, {"link_samples": frame("link_samples", 50, *LOW)})
    assert [(c.rule, c.state) for c in changes] == [("gone", "resolved")]
    (over,) = step(watch, 51, {"link_samples": frame("link_samples", 51, *HIGH)})
    assert (over.rule, over.since_ns, over.send) == ("one", change.since_ns, True)


def known(state: str, at: int = 1, **more: Any) -> dict[str, Any]:
    """Return the last row of an alert; at: seconds after T0."""
    return {
        "rule": "one", "subject": UP, "table": "link_samples", "state": state, "text": "sick",
        "severity": "warning", "value": 40.0, "time_ns": T0 + at * SECOND_NS, "since_ns": T0,
        "until_ns": None, "told": True,
    } | more  # fmt: skip


RECENT = (T0, T0 + 50 * SECOND_NS)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (known("firing"), ["firing"]),
        (known("resolved"), ["resolved"]),
        (known("resolved", told=False), []),
        (known("firing", -1), []),
        (known("resolved", -1), []),
        (known("firing", 50), []),
        (known("acknowledged"), []),
        (known("silenced", until_ns=T0 + 10**13), []),
        (known("resolved", rule="gone"), []),
    ],
)
def test_what_may_not_have_arrived_is_said_once_more(row: dict[str, Any], said: list[str]) -> None:
    quiet = row["until_ns"]
    watch = watch_of(rule_of("score = { max = 60 }"), quiet=lambda *_: quiet)
    watch.restore([row], T0 + 50 * SECOND_NS, RECENT)
    changes = step(watch, 50, {"link_samples": frame("link_samples", 50, *LOW)})
    if row["state"] == "resolved":
        changes = [change for change in changes if change.since_ns == T0]
    assert [(c.state, c.again, c.send) for c in changes] == [(state, True, True) for state in said]
    assert all(change.text for change in changes)


@pytest.mark.parametrize("told", [True, False])
def test_the_end_of_what_was_sent_before_a_silence_is_sent(told: bool) -> None:
    """Also after a restart while it was silenced."""
    watch = watch_of(rule_of("score = { max = 60 }"), quiet=lambda *_: T0 + 10**13)
    row = known("silenced", until_ns=T0 + 10**13, told=told)
    watch.restore([row], T0 + 50 * SECOND_NS, RECENT)
    (over,) = step(watch, 50, {"link_samples": frame("link_samples", 50, *HIGH)})
    assert (over.state, over.send) == ("resolved", told)


def test_what_was_said_before_the_store_could_be_read_stays() -> None:
    watch = watch_of(rule_of("score = { max = 60 }"))
    (change,) = step(watch, 5, {"link_samples": frame("link_samples", 5, *LOW)})
    watch.restore([known("firing")], T0 + 6 * SECOND_NS, RECENT)
    assert step(watch, 6, {"link_samples": frame("link_samples", 6, *LOW)}) == []
    assert [alert.since_ns for alert in watch.firing()] == [change.since_ns]


def test_flows_match_too() -> None:
    text = (
        '[[rule]]\nname = "dns"\ntags = ["named"]\n[rule.match]\napplication = "dns"\n'
        '[[rule]]\nname = "big"\nalert = ["log"]\n[rule.match]\ntag = "named"\nbytes.min = 10\n'
        '[destination.log]\ntype = "json"\nfile = "-"\n'
    )
    watch = watch_of(text)
    flows = frame("flows", 0, {"application": "dns", "a_to_b_bytes": 10, "src": "a", "dst": "b"})
    (change,) = step(watch, 0, {"flows": flows})
    assert (change.rule, change.state, change.destinations) == ("big", "firing", ("log",))
    assert "bytes 10" in change.text
    assert step(watch, 1, {"flows": flows}) == []
    found = [c.state for second in range(2, 70) for c in step(watch, second, {})]
    assert found == ["resolved"]


@pytest.mark.parametrize(
    ("extra", "text"),
    [
        ("", "leaf1-spine1 up: score 40."),
        ('description = "sick"', "leaf1-spine1 up: sick (score 40)."),
        ('description = "{link}: {lost_share} lost"', "leaf1-spine1: 0 % lost"),
        ('description = "{link} is at {score}, {throughput_gbps}"', "leaf1-spine1 is at 40, 0.008"),
    ],
)
def test_sentences(extra: str, text: str) -> None:
    watch = watch_of(rule_of("score = { max = 60 }", extra))
    (change,) = step(watch, 0, {"link_samples": frame("link_samples", 0, *LOW)})
    assert (change.text, change.value, change.severity) == (text, 40.0, "warning")


def test_the_end_of_a_capture_ends_alerts() -> None:
    watch = watch_of(rule_of("score = { max = 60 }"))
    play(watch, [LOW])
    assert [(c.state, c.text) for c in watch.finish(T0 + 3 * SECOND_NS)] == [
        ("resolved", "leaf1-spine1 up: over after 3 s, the capture ended.")
    ]
    assert watch.firing() == []
