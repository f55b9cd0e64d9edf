"""The document in words."""

import pytest
from examples.analysis import empty_document, ring_document

from fabricscope.dashboard import summary


def test_the_verdict_names_the_worst_finding_first() -> None:
    verdict = summary.describe_verdict(ring_document())
    assert verdict.severity == "critical"
    assert verdict.headline.startswith("1 critical finding and 1 warning in ")
    assert verdict.reasons[0].startswith("Queue pair 0x000164")
    assert len(verdict.reasons) == 2


def test_notices_alone_are_no_fault() -> None:
    document = ring_document()
    document["findings"] = [f for f in document["findings"] if f["severity"] == "notice"]
    verdict = summary.describe_verdict(document)
    assert verdict.severity == "ok"
    assert verdict.headline.endswith("; 1 remark.")


def test_an_empty_capture_is_not_called_healthy() -> None:
    verdict = summary.describe_verdict(empty_document())
    assert verdict.severity == "empty"
    assert "No packet" in verdict.headline


def test_capture_loss_comes_first_and_marks_what_it_distorts() -> None:
    document = ring_document()
    assert "missed at least 12 packets" in summary.list_caveats(document)[0]
    marked = {total.label for total in summary.list_totals(document) if total.distorted}
    assert {"Packets", "On the wire", "RDMA messages", "Retransmissions"} <= marked
    assert "Duration" not in marked
    document["capture_loss"]["lower_bound_packets"] = 0
    assert not any(total.distorted for total in summary.list_totals(document))
    assert not any("missed" in caveat for caveat in summary.list_caveats(document))


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("header_cut_packets", "inside a header"),
        ("malformed_packets", "contradict"),
        ("unreadable_bytes", "could not be read"),
    ],
)
def test_each_damage_has_its_caveat(key: str, words: str) -> None:
    document = empty_document()
    assert not any(words in caveat for caveat in summary.list_caveats(document))
    document["capture"][key] = 5
    assert any(words in caveat for caveat in summary.list_caveats(document))


def test_totals_count_distinct_packets() -> None:
    document = ring_document()
    totals = {total.label: total for total in summary.list_totals(document)}
    capture = document["capture"]
    distinct = capture["packets"] - capture["duplicate_packets"]
    assert totals["Packets"].value == f"{distinct:,}"
    assert totals["ECN-marked"].value.endswith("%")


def test_totals_without_rdma_say_nothing_of_it() -> None:
    labels = {total.label for total in summary.list_totals(empty_document())}
    assert labels == {"Packets", "On the wire", "Duration", "Mean throughput", "Flows"}


def test_failed_queue_pairs_lead_then_the_troubled_then_the_large() -> None:
    pairs = summary.rank_queue_pairs(ring_document())
    assert pairs[0]["state"] == "failed"
    assert [summary.trouble(pair) > 0 for pair in pairs] == [True] * 3 + [False] * 29
    volumes = [pair["payload_bytes"] for pair in pairs[3:]]
    assert volumes == sorted(volumes, reverse=True)


def test_peak_is_that_of_the_fullest_bin() -> None:
    document = empty_document()
    assert summary.peak_bit_rate(document) is None
    document["timeline"].update(bin_ns=1_000_000, wire_bytes=[0, 1250, 10])
    assert summary.peak_bit_rate(document) == 10_000_000


def test_endpoints_bracket_ipv6() -> None:
    assert summary.endpoint("fd00::1", 443) == "[fd00::1]:443"
    assert summary.endpoint("10.0.0.1", 4791) == "10.0.0.1:4791"
    assert summary.endpoint("fe:ed:00:00:00:01", 0) == "fe:ed:00:00:00:01"


def test_traffic_that_was_not_judged_is_a_caveat() -> None:
    document = ring_document()
    document["collectives_refused"] = ["The mirror lost 7 % of a job's packets: not judged."]
    assert "not judged" in summary.list_caveats(document)[-1]
