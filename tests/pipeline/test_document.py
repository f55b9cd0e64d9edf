"""The document has the keys and types of the stable schema, whatever the capture holds."""

from pathlib import Path
from typing import Any

import pytest
from examples.analyses import Analyze

NUMBER = (int, float)
MAYBE_NUMBER = (int, float, type(None))
MAYBE_TEXT = (str, type(None))

CAPTURE = {
    "files": list,
    "packets": int,
    "duplicate_packets": int,
    "bytes": int,
    "captured_bytes": int,
    "truncated_packets": int,
    "malformed_packets": int,
    "start": MAYBE_TEXT,
    "duration_s": NUMBER,
    "link_types": dict,
    "taps": list,
}
TAP = {
    "name": str,
    "packets": int,
    "clock_offset_us": MAYBE_NUMBER,
    "offset_error_us": MAYBE_NUMBER,
    "lost_packets": int,
}
FLOW = {
    "src": str,
    "dst": str,
    "src_port": int,
    "dst_port": int,
    "protocol": str,
    "tunnel": list,
    "packets": int,
    "bytes": int,
    "start_s": NUMBER,
    "duration_s": NUMBER,
    "a_to_b": dict,
    "b_to_a": dict,
    "application": str,
    "application_source": MAYBE_TEXT,
    "behaviour": MAYBE_TEXT,
    "confidence": MAYBE_NUMBER,
    "detail": (dict, type(None)),
}
QUEUE_PAIR = {
    "src": str,
    "dst": str,
    "dest_qp": int,
    "transport": str,
    "packets": int,
    "payload_bytes": int,
    "messages": int,
    "operations": dict,
    "acks": int,
    "naks": int,
    "rnr_naks": int,
    "retransmissions": int,
    "sequence_gaps": int,
    "out_of_order": int,
    "ecn_capable": int,
    "ecn_marked": int,
    "cnps": int,
    "ack_rtt_us": dict,
    "message_us": dict,
    "nak_response_us": dict,
    "goodput_gbps": MAYBE_NUMBER,
    "state": str,
}
FINDING = {
    "severity": str,
    "kind": str,
    "subject": str,
    "evidence": dict,
    "action": str,
    "packets": list,
}
DOCUMENT = {
    "schema": str,
    "capture": dict,
    "protocols": dict,
    "flows": list,
    "queue_pairs": list,
    "jobs": list,
    "collectives": list,
    "links": list,
    "findings": list,
    "capture_loss": dict,
}
QUANTILES = {"p50", "p99", "max", "count"}

SHIPPED = ("ring-allreduce.pcap", "pause.pcap.gz", "background.pcap.gz", "cm-refused.pcap.gz")


def _check(entry: dict[str, Any], shape: dict[str, Any]) -> None:
    for key, kind in shape.items():
        assert key in entry
        assert isinstance(entry[key], kind), (key, entry[key])
        assert kind is not int or not isinstance(entry[key], bool)


def _check_document(document: dict[str, Any]) -> None:
    _check(document, DOCUMENT)
    assert document["schema"] == "fabricscope/1"
    _check(document["capture"], CAPTURE)
    for shape, entries in (
        (TAP, document["capture"]["taps"]),
        (FLOW, document["flows"]),
        (QUEUE_PAIR, document["queue_pairs"]),
        (FINDING, document["findings"]),
    ):
        for entry in entries:
            _check(entry, shape)
    for pair in document["queue_pairs"]:
        for name in ("ack_rtt_us", "message_us", "nak_response_us"):
            assert set(pair[name]) == QUANTILES
    for flow in document["flows"]:
        assert flow["protocol"] == flow["protocol"].lower()
        assert all(set(tunnel) == {"kind", "id"} for tunnel in flow["tunnel"])
        assert flow["packets"] == flow["a_to_b"]["packets"] + flow["b_to_a"]["packets"]
    assert all(isinstance(count, int) for count in document["protocols"].values())
    assert {"lower_bound_packets", "evidence"} <= set(document["capture_loss"])


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_captures_fit_the_schema(repository: Path, document_of: Analyze, name: str) -> None:
    document = document_of(repository / "pcaps" / name)
    _check_document(document)
    capture = document["capture"]
    assert sum(capture["link_types"].values()) == capture["packets"] > 0
    assert sum(flow["packets"] for flow in document["flows"]) == capture["packets"]
    assert len(capture["taps"]) == 1


def test_several_taps_fit_the_schema(repository: Path, document_of: Analyze) -> None:
    paths = [repository / f"pcaps/three-taps.leaf{number}.pcap" for number in range(3)]
    document = document_of(*paths)
    _check_document(document)
    capture = document["capture"]
    assert sum(tap["packets"] for tap in capture["taps"]) == capture["packets"]
    distinct = capture["packets"] - capture["duplicate_packets"]
    assert sum(flow["packets"] for flow in document["flows"]) == distinct
    assert document["protocols"]["roce_v2"] == distinct


@pytest.mark.parametrize(
    "name",
    ["rdma/infiniband.pcap", "rdma/scapy_roce_uts_hexdumps.pcap", "rdma/linlinw5_rdma_cm.pcap"],
)
def test_real_captures_fit_the_schema(captures: Path, document_of: Analyze, name: str) -> None:
    _check_document(document_of(captures / name))


def test_start_is_the_first_packet_in_utc(repository: Path, document_of: Analyze) -> None:
    capture = document_of(repository / "pcaps/ring-allreduce.pcap")["capture"]
    assert capture["start"] == "2025-06-15T15:06:40.000201011Z"
    assert capture["start_ns"] == 1_750_000_000_000_201_011
    assert capture["duration_s"] == pytest.approx(0.000561, abs=1e-6)
