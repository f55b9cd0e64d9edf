"""Findings: ranking, bounds and display filters."""

import subprocess

import pytest

from fabricscope.analyzers.findings import Finding, ranked
from fabricscope.analyzers.findings.capture import damage, pause, taps
from fabricscope.analyzers.findings.finding import (
    MAX_OF_A_KIND,
    frames_filter,
    host_filter,
    queue_pair_filter,
)


def finding(severity: str, kind: str, weight: float = 0.0, subject: str = "x") -> Finding:
    return Finding(severity, kind, subject, "text", "action", weight=weight)


def test_ranked_by_severity_then_weight() -> None:
    given = [finding("notice", "a", 9), finding("critical", "b", 1), finding("critical", "c", 2)]
    assert [f.kind for f in ranked(given)] == ["c", "b", "a"]


def test_many_of_a_kind_are_summed() -> None:
    given = [finding("warning", "a", weight=n, subject=f"s{n}") for n in range(MAX_OF_A_KIND + 5)]
    found = ranked(given)
    assert len(found) == MAX_OF_A_KIND + 1
    assert found[-1].evidence == {"subjects": 5}
    assert found[-1].subject == "5 more"
    assert ranked([]) == []


FILTERS = {
    queue_pair_filter("10.0.0.1", "10.0.0.2", 25, 25): "infiniband.bth.destqp == 0x000019 && "
    "ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2",
    queue_pair_filter("10.0.0.1", "10.0.0.2", 25, None): "infiniband.bth.destqp == 0x000019 && "
    "ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2",
    queue_pair_filter("fd00::1", "fd00::2", 1, 2): "infiniband.bth.destqp in {0x000001, 0x000002}"
    " && ipv6.addr == fd00::1 && ipv6.addr == fd00::2",
    queue_pair_filter("lid:4", "lid:4", 1, None): "infiniband.bth.destqp == 0x000001 && "
    "(infiniband.lrh.slid == 4 || infiniband.lrh.dlid == 4)",
    host_filter("02:00:00:00:00:01"): "eth.addr == 02:00:00:00:00:01",
    frames_filter([3, 9]): "frame.number in {3, 9}",
}


@pytest.mark.parametrize(("found", "wanted"), FILTERS.items())
def test_filters(found: str, wanted: str) -> None:
    assert found == wanted


def test_wireshark_takes_the_filters(tshark: str, captures: object) -> None:
    path = f"{captures}/rdma/linlinw5_rping.pcap"
    for text in FILTERS:
        run = subprocess.run([tshark, "-r", path, "-Y", text], capture_output=True, check=False)
        assert run.returncode == 0, text


def test_pause_severity_follows_the_share() -> None:
    row = {
        "source_mac": "02:00:00:00:00:01", "priority": 3, "frames": 4, "xoff": 3, "xon": 1,
        "pause_s": 0.0, "assumed_rate_gbps": 100.0, "first_frame": 7,
    }  # fmt: skip
    severities = [
        pause([row | {"pause_s": seconds}], 1.0, "x.pcap")[0].severity
        for seconds in (0.001, 0.02, 0.2)
    ]
    assert severities == ["notice", "warning", "critical"]
    [without_time] = pause([row], 0.0, "x.pcap")
    assert without_time.evidence["share"] == 0.0
    assert without_time.packets == [7]


def test_clean_files_and_taps_give_nothing() -> None:
    file = {"path": "x", "ended": "", "unreadable_bytes": 0, "unreadable_records": 0}
    counters = {"header_cut": 0, "evicted": 0, "unassigned": 0}
    assert damage([file], counters) == []
    assert taps([{"name": "x", "lost_packets": None}, {"name": "y", "lost_packets": 0}]) == []


def test_damage_says_how_much() -> None:
    file = {"path": "x", "ended": "cut", "unreadable_bytes": 12, "unreadable_records": 1}
    counters = {"header_cut": 3, "evicted": 2, "unassigned": 1}
    found = {f.kind: f for f in damage([file], counters)}
    assert set(found) == {"damaged_capture", "headers_cut", "table_full"}
    assert found["damaged_capture"].evidence["unreadable_bytes"] == 12
    assert found["headers_cut"].evidence == {"header_cut_packets": 3}
