"""Metrics of a running collector: what adds up, what is bounded, what they are called."""

import re
from pathlib import Path
from typing import Any

import polars as pl
from live_rows import SECOND_NS, T0, frame

from fabricscope.analyzers.policy.rules import RuleSet, parse_rules
from fabricscope.pipeline.live.alerts import AlertWatch
from fabricscope.pipeline.live.judging import SecondJudge
from fabricscope.pipeline.live.metrics import (
    FAMILIES,
    IDLE_NS,
    METRICS,
    MetricValues,
    own_samples,
    prometheus_name,
)
from fabricscope.pipeline.live.naming import Naming
from fabricscope.pipeline.live.session import Second
from fabricscope.schemas import schema_of


def second_of(number: float, **tables: list[dict[str, Any]]) -> Second:
    start = T0 + int(number * SECOND_NS)
    frames = {name: frame(name, number, *rows) for name, rows in tables.items()}
    return Second(start, start + SECOND_NS, frames, None)  # type: ignore[arg-type]


def values_of(values: MetricValues, name: str) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in values.read()[name][1]}


def test_counters_add_up_and_gauges_are_the_last() -> None:
    values = MetricValues("one")
    values.listen(second_of(0, link_samples=[{"bytes": 10, "score": 50.0, "pause_ns": 5 * 10**8}]))
    values.listen(second_of(1, link_samples=[{"bytes": 5, "score": 80.0, "rate_gbps": 400.0}]))
    key = ("leaf1-spine1", "up", "mirror")
    assert values_of(values, "fabricscope.link.data") == {key: 15}
    assert values_of(values, "fabricscope.link.health_score") == {key: 80}
    assert values_of(values, "fabricscope.link.pause") == {key: 0.5}
    assert values_of(values, "fabricscope.link.speed") == {key: 50e9}
    assert values_of(values, "fabricscope.link.rx_power") == {}


def test_queue_pairs_of_two_hosts_are_one() -> None:
    values = MetricValues("one")
    rows = [
        {"dest_qp": 1, "packets": 3, "ack_rtt_p99": 7.0, "state": "stalled"},
        {"dest_qp": 2, "packets": 4, "ack_rtt_p99": 9.0, "ack_rtt_p50": 2.0},
    ]
    values.listen(second_of(0, rdma_samples=rows))
    hosts = ("10.0.0.1", "10.0.0.2")
    assert values_of(values, "rdma.packets") == {hosts: 7}
    assert values_of(values, "rdma.stalled_queue_pairs") == {hosts: 1}
    assert values_of(values, "rdma.ack_rtt") == {(*hosts, "p50"): 2e-6, (*hosts, "p99"): 9e-6}


def test_labels_are_bounded_and_idle_ones_make_room() -> None:
    values = MetricValues("one")
    most = next(family.most for family in FAMILIES if family.table == "tap_samples")
    rows = [{"tap": f"eth{number}"} for number in range(most + 5)]
    values.listen(second_of(0, tap_samples=rows))
    values.listen(second_of(1, tap_samples=rows[:10]))
    packets = values_of(values, "fabricscope.tap.packets")
    assert len(packets) == most
    assert packets["eth0",] == 2_000
    assert values.left_out()["tap_samples"] == 5
    later = 2 + IDLE_NS // SECOND_NS
    values.listen(second_of(later, tap_samples=[{"tap": "new"}]))
    packets = values_of(values, "fabricscope.tap.packets")
    assert packets["new",] == 1_000
    assert values.left_out()["tap_samples"] == 5


def test_every_metric_reads_columns_that_are_there() -> None:
    for family in FAMILIES:
        assert set(family.labels.values()) <= set(schema_of(family.table))
        for metric in family.metrics:
            assert set(metric.value.meta.root_names()) <= set(schema_of(family.table)), metric.name


def test_names_follow_the_conventions() -> None:
    names = [prometheus_name(metric) for metric in METRICS.values()]
    assert len(set(names)) == len(names)
    for name, metric in zip(names, METRICS.values(), strict=True):
        assert re.fullmatch(r"(fabricscope|rdma)_[a-z_]+", name)
        assert name.endswith("_total") == metric.counter
    assert "fabricscope_link_data_bytes_total" in names
    assert "fabricscope_link_speed_bytes_per_second" in names
    assert "rdma_ack_rtt_seconds" in names


def test_alerts_and_deliveries_are_told() -> None:
    text = (
        '[[rule]]\nname = "sick"\ntable = "link_samples"\n[rule.match]\nscore.max = 60\n'
        '[destination.log]\ntype = "json"\nfile = "-"\n'
    )
    alerts = AlertWatch(parse_rules(text, "r.toml"), "one")
    values = MetricValues("one")
    values.others.append(own_samples(alerts, None))
    second = second_of(0, link_samples=[{"score": 1.0}])
    alerts.listen(second)
    assert values_of(values, "fabricscope.alerts.firing") == {("sick", "warning", "firing"): 1}
    assert values_of(values, "fabricscope.notifications") == {
        ("log", "delivered"): 0,
        ("log", "dropped"): 0,
    }
    assert AlertWatch(RuleSet(()), "one").counts == {}


def test_null_labels_are_empty_texts() -> None:
    values = MetricValues("one")
    second = second_of(0, application_samples=[{"application": None, "packets": 4}])
    assert second.tables["application_samples"]["application"].dtype == pl.String
    values.listen(second)
    assert values_of(values, "fabricscope.application.packets") == {("", ""): 4}


def test_what_was_silent_for_a_minute_has_no_gauges() -> None:
    values = MetricValues("one")
    values.listen(second_of(0, link_samples=[{"link": "a"}, {"link": "b"}]))
    values.listen(second_of(60, link_samples=[{"link": "b"}]))
    assert {key[0] for key in values_of(values, "fabricscope.link.health_score")} == {"a", "b"}
    values.listen(second_of(61, link_samples=[{"link": "b"}]))
    assert {key[0] for key in values_of(values, "fabricscope.link.health_score")} == {"b"}
    assert {key[0] for key in values_of(values, "fabricscope.link.packets")} == {"a", "b"}


def test_every_metric_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "metrics.md").read_text()
    missing = [
        name for name in map(prometheus_name, METRICS.values()) if f"| `{name}` |" not in page
    ]
    assert missing == []


def test_room_is_looked_for_once_a_second_however_many_come() -> None:
    values = MetricValues("one")
    family = next(one for one in values._values if one.family.table == "tap_samples")
    looks = []
    forget = family._forget
    family._forget = lambda now_ns: (looks.append(now_ns), forget(now_ns))[1]  # type: ignore[func-returns-value,method-assign]
    rows = [{"tap": f"eth{number}"} for number in range(4 * family.family.most)]
    values.listen(second_of(0, tap_samples=rows))
    values.listen(second_of(1, tap_samples=rows))
    assert len(looks) == 2
    assert values.left_out()["tap_samples"] == 6 * family.family.most


def test_what_comes_back_after_long_silence_keeps_its_count() -> None:
    values = MetricValues("one")
    most = next(family.most for family in FAMILIES if family.table == "tap_samples")
    rows = [{"tap": f"eth{number}"} for number in range(most)]
    values.listen(second_of(0, tap_samples=rows))
    later = 2 + IDLE_NS // SECOND_NS
    values.listen(second_of(later, tap_samples=[{"tap": "new"}, {"tap": "eth0"}]))
    packets = values_of(values, "fabricscope.tap.packets")
    assert packets == {("eth0",): 2_000, ("new",): 1_000}


def test_what_the_analysis_left_out_is_told() -> None:
    values = MetricValues("one")
    judge = SecondJudge("one", Naming())
    judge.left_out = {"packets_without_link": 3, "transfers": 0}
    values.listen(Second(T0, T0 + SECOND_NS, {}, judge))
    assert values_of(values, "fabricscope.left_out") == {
        ("packets_without_link",): 3,
        ("transfers",): 0,
    }
