"""The built-in rules: each fires on what it is for, and can be replaced or switched off."""

from typing import Any

import pytest
from live_rows import SECOND_NS, T0, frame

from fabricscope.analyzers.policy.builtin import built_in_rules, with_built_in
from fabricscope.analyzers.policy.rules import RuleSet, parse_rules
from fabricscope.analyzers.policy.states import PLACEHOLDER
from fabricscope.analyzers.policy.watching import RuleWatch
from fabricscope.errors import ConfigError

LINK = (
    '{"kind": "link", "ip": "10.0.0.7", "direction": "up", "late_ms": null, "rate_gbps": 0.5,'
    ' "evidence": {"others_gbps": 20.0}}'
)
HOST = '{"kind": "compute", "ip": "10.0.0.8", "direction": null, "late_ms": 79.5}'
CASES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "link-health": ("link_samples", [{"score": 30.0, "reasons": "lost 0.1 of its packets"}]),
    "link-flaps": ("link_samples", [{"flaps": 2}]),
    "mirror-drops": ("tap_samples", [{"dropped": 5}]),
    "overload": ("tap_samples", [{"level": 2}]),
    "stalled-queue-pairs": ("rdma_samples", [{"state": "stalled"}]),
    "rdma-loss": ("rdma_samples", [{"network_lost": 2}]),
    "slow-link": ("iterations", [{"straggler": LINK}]),
    "straggler": ("iterations", [{"straggler": HOST}]),
    "iteration-drift": ("iterations", [{}]),
}


def fired(name: str, rows: list[dict[str, Any]], table: str) -> list[tuple[str, str]]:
    watch = RuleWatch(with_built_in(RuleSet(())))
    found = []
    for second in range(60):
        start = T0 + second * SECOND_NS
        slow = name == "iteration-drift" and second > 40
        ends = {"end_ns": start + 10**8 * (1 + slow)} if table == "iterations" else {}
        tables = {table: frame(table, second, *[row | ends for row in rows])}
        found += watch.update(start, start + SECOND_NS, tables)
    return [(change.rule, change.text) for change in found]


@pytest.mark.parametrize("name", [rule.name for rule in built_in_rules()])
def test_each_fires_on_what_it_is_for(name: str) -> None:
    table, rows = CASES[name]
    ((rule, text),) = [one for one in fired(name, rows, table) if one[0] == name]
    assert rule == name
    assert not PLACEHOLDER.search(text)
    assert "unknown" not in text
    assert text.endswith(".")


@pytest.mark.parametrize("table", [table for table, _ in CASES.values()])
def test_none_fires_on_a_healthy_second(table: str) -> None:
    assert fired("", [{}], table) == []


def test_each_says_what_to_do() -> None:
    for rule in built_in_rules():
        assert rule.action.endswith(".")
        assert PLACEHOLDER.search(rule.description)


def test_a_rule_of_the_same_name_replaces_one() -> None:
    text = '[[rule]]\nname = "link-health"\ntable = "link_samples"\n[rule.match]\nscore.max = 1\n'
    rules = with_built_in(parse_rules(text, "r.toml")).rules
    assert [rule.name for rule in rules].count("link-health") == 1
    assert rules[0].metrics["score"].high == 1


def test_some_or_all_are_switched_off_and_sent_elsewhere() -> None:
    text = '[destination.log]\ntype = "json"\nfile = "-"\n[defaults]\n'
    rules = with_built_in(parse_rules(f'{text}off = ["link-*"]\nalert = ["log"]', "r.toml")).rules
    assert "link-flaps" not in {rule.name for rule in rules}
    assert {rule.alert for rule in rules} == {("log",)}
    assert with_built_in(parse_rules(f'{text}off = "*"', "r.toml")).rules == ()
    with pytest.raises(ConfigError, match="line 5: off: there is no built-in rule slowlink; did"):
        parse_rules(f'{text}off = "slowlink"', "r.toml")
