"""Real captures against the truth that stands beside them (../shared/captures/README.md)."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from fabricscope.errors import CaptureError
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document

Document = dict[str, Any]

RDMA_PROTOCOLS: Final = ("roce_v1", "roce_v2", "infiniband", "iwarp", "cnp")
LOSS_NUMBERS: Final = (
    "network_lost",
    "collector_lost",
    "unresolved_lost",
    "retransmissions",
    "duplicates",
    "out_of_order",
    "timeouts",
    "naks",
    "rnr_naks",
    "ecn_marked",
)
LOSS_KINDS: Final = {
    "network_loss",
    "ack_timeout",
    "collector_loss",
    "unexplained_gap",
    "mirror_duplicates",
    "reordering",
    "receiver_not_ready",
    "transport_error",
    "loss_between_taps",
}

VERBS: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "pingpong_rc": (20, {"send_only": 10, "acknowledge": 10}),
    "pingpong_uc": (10, {"send_only": 10}),
    "pingpong_ud": (10, {"send_only": 10}),
    "rdma_send_bw": (20, {"send_first": 5, "send_middle": 5, "send_last": 5, "acknowledge": 5}),
    "rdma_write_bw": (20, {"write_first": 5, "write_middle": 5, "write_last": 5, "acknowledge": 5}),
    "rdma_write_lat": (20, {"write_only": 10, "acknowledge": 10}),
    "rdma_read_bw": (
        20,
        {
            "read_request": 5,
            "read_response_first": 5,
            "read_response_middle": 5,
            "read_response_last": 5,
        },
    ),
    "rdma_read_lat": (10, {"read_request": 5, "read_response_only": 5}),
    "rdma_atomic_bw": (10, {"fetch_add": 5, "atomic_acknowledge": 5}),
    "rdma_cm": (
        96,
        # 12 of the SEND Only are management datagrams on queue pair 1.
        {
            "send_only": 44,
            "write_first": 5,
            "write_middle": 5,
            "write_last": 5,
            "acknowledge": 37,
        },
    ),
    "rping": (
        65,
        {
            "send_only": 25,
            "read_request": 5,
            "read_response_only": 5,
            "write_only": 5,
            "acknowledge": 25,
        },
    ),
}
SOFT_ROCE: Final = {
    "FirstSuccesfullRping": (17, 429),
    "RoCE_capture_10_packets": (125, 176),
    "Roce_PacketSize_1400": (19, 54),
    "Roce_PacketSize_2400_stall": (11, 935),
    "capture_S10000_C1": (18, 18),
}


def document_of(*paths: Path) -> Document:
    texts = [str(path) for path in paths]
    return build_document(analyze(texts, Options(), lambda done, total: None))


def one(folder: Path, pattern: str) -> Path:
    [path] = folder.glob(pattern)
    return path


def operations(document: Document, only: tuple[str, str] | None = None) -> dict[str, int]:
    total: Counter[str] = Counter()
    for pair in document["queue_pairs"]:
        if only is None or only == (pair["src"], pair["dst"]):
            total.update(pair["operations"])
    return dict(total)


def kinds(document: Document) -> set[str]:
    return {finding["kind"] for finding in document["findings"]}


def assert_lossless(document: Document) -> None:
    for pair in document["queue_pairs"]:
        assert {name: pair[name] for name in LOSS_NUMBERS if pair[name]} == {}
    assert not kinds(document) & LOSS_KINDS
    assert document["capture_loss"]["lower_bound_packets"] == 0


@pytest.mark.parametrize("name", VERBS)
def test_verbs(captures: Path, name: str) -> None:
    packets, wanted = VERBS[name]
    document = document_of(captures / "rdma" / f"linlinw5_{name}.pcap")
    assert document["protocols"]["roce_v2"] == packets
    assert operations(document) == wanted
    assert_lossless(document)
    assert document["findings"] == []


def test_connection_manager_capture(captures: Path) -> None:
    document = document_of(captures / "rdma/linlinw5_rdma_cm.pcap")
    pairs = document["queue_pairs"]
    # Management datagrams travel to queue pair 1 both ways.
    assert len({pair["dest_qp"] for pair in pairs if pair["dest_qp"] != 1}) + 2 == len(pairs)
    assert sum(p["operations"]["send_only"] for p in pairs if p["dest_qp"] == 1) == 12
    assert all(p["service"] == ("UD" if p["dest_qp"] == 1 else "RC") for p in pairs)
    assert all(p["paired_qp"] for p in pairs if p["dest_qp"] != 1)


@pytest.mark.parametrize(("name", "service"), [("rc", "RC"), ("uc", "UC"), ("ud", "UD")])
def test_services(captures: Path, name: str, service: str) -> None:
    pairs = document_of(captures / f"rdma/linlinw5_pingpong_{name}.pcap")["queue_pairs"]
    assert {pair["service"] for pair in pairs} == {service}
    due = 5 if service == "RC" else 0
    assert [pair["message_us"]["count"] for pair in pairs] == [due, due]
    assert all(pair["state"] == "active" for pair in pairs)


@pytest.mark.parametrize("name", SOFT_ROCE)
def test_soft_roce(captures: Path, name: str) -> None:
    roce, frames = SOFT_ROCE[name]
    document = document_of(one(captures / "rdma/softroce", f"{name}.*"))
    assert document["protocols"]["roce_v2"] == roce
    assert document["capture"]["packets"] == frames
    assert_lossless(document)
    stalled = [f for f in document["findings"] if f["kind"] == "stalled_transfer"]
    assert len(stalled) == name.endswith("_stall")
    assert all("0x000019, 0x000019" not in finding["filter"] for finding in stalled)


def test_one_read_of_10000_bytes(captures: Path) -> None:
    document = document_of(one(captures / "rdma/softroce", "capture_S10000_C1.*"))
    [pair] = [p for p in document["queue_pairs"] if "read_request" in p["operations"]]
    assert pair["message_bytes"]["max"] == 10_000
    assert pair["message_us"]["count"] == pair["messages"] == 1


def test_congestion_notification(captures: Path) -> None:
    document = document_of(captures / "rdma/scapy_roce_uts_hexdumps.pcap")
    assert document["protocols"]["cnp"] == 1
    assert document["protocols"]["roce_v1"] == 2
    assert operations(document) == {"cnp": 1, "write_only": 1, "acknowledge": 1}


def test_native_infiniband(captures: Path) -> None:
    document = document_of(captures / "rdma/infiniband.pcap")
    assert document["protocols"] == {"infiniband": 43}
    services: Counter[tuple[str, str]] = Counter()
    for pair in document["queue_pairs"]:
        for operation, count in pair["operations"].items():
            services[pair["service"], operation] += count
    assert services == {("UD", "send_only"): 24, ("RC", "send_only"): 10, ("RC", "acknowledge"): 9}
    assert_lossless(document)


IWARP: Final = ("iwarp_connect", "iwarp_rdma", "iwarp_send_recv")


def test_iwarp(captures: Path) -> None:
    for folder in IWARP:
        for path in sorted((captures / "rdma" / folder).iterdir()):
            document = document_of(path)
            assert document["protocols"]["iwarp"] > 0, path.name
            refused = path.name.endswith("reject")
            assert kinds(document) == ({"iwarp_refused"} if refused else set()), path.name


def test_pause_frames(captures: Path) -> None:
    documents, refused = [], 0
    for path in (captures / "rdma/pause").iterdir():
        try:
            documents.append(document_of(path))
        except CaptureError:
            refused += 1
    assert refused == 1
    [document] = documents
    [row] = document["pause"]
    assert (row["frames"], row["xoff"], row["xon"]) == (60, 38, 22)
    assert document["protocols"]["pause"] == 60
    assert document["capture"]["packets"] == 10_000
    assert kinds(document) == {"pause"}


def test_negative_captures_hold_no_rdma(captures: Path) -> None:
    folders = (captures / "rdma/negative", captures / "ndpi")
    paths = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".pcap", ".pcapng", ".cap")
    ]
    assert len(paths) > 100
    for path in paths:
        document = document_of(path)
        found = {name for name in RDMA_PROTOCOLS if name in document["protocols"]}
        assert not found, path.name
        assert document["queue_pairs"] == [], path.name
        assert not kinds(document) & LOSS_KINDS, path.name


def payload_of(document: Document, src: int, dst: int) -> tuple[int, int]:
    """Return (multi-packet payload, 64 B credits) in bytes on a link."""
    ends = (f"172.30.0.{src}", f"172.30.0.{dst}")
    bulk = credits = 0
    for pair in document["queue_pairs"]:
        if (pair["src"], pair["dst"]) == ends:
            if "write_first" in pair["operations"]:
                # All messages of several packets are of one size; the rest is the barrier's.
                bulk += pair["operations"]["write_first"] * pair["message_bytes"]["max"]
                assert bulk < pair["payload_bytes"] <= bulk + 2
            else:
                credits += pair["payload_bytes"]
                assert pair["message_bytes"]["max"] == 64
    return bulk, credits


def test_ring_of_three(captures: Path) -> None:
    document = document_of(*(captures / f"nccl/ring2_node{n}.pcap" for n in range(3)))
    assert document["protocols"]["roce_v2"] == 276
    roce_seen = 0
    for n in range(3):
        roce_seen += document_of(captures / f"nccl/ring2_node{n}.pcap")["protocols"]["roce_v2"]
    assert roce_seen == 552
    assert_lossless(document)
    assert document["findings"] == []
    for src, dst in ((25, 11), (11, 12), (12, 25)):
        assert payload_of(document, src, dst)[0] == 32_768
        assert payload_of(document, dst, src)[0] == 0
        assert payload_of(document, dst, src)[1] == 1_024
    taps = document["capture"]["taps"]
    assert [tap["lost_packets"] for tap in taps] == [0, 0, 0]
    assert all(tap["offset_error_us"] is not None for tap in taps)
    assert len({tap["clock_offset_us"] for tap in taps}) == 3
    services = {pair["state"] for pair in document["queue_pairs"]}
    assert services == {"idle"}


def test_tree_seen_from_a_leaf(captures: Path) -> None:
    document = document_of(captures / "nccl/tree2_node0.pcap")
    assert payload_of(document, 25, 12)[0] == 24_576
    assert payload_of(document, 12, 25)[0] == 24_576
    assert_lossless(document)


def test_encapsulated_captures_lose_nothing_they_do_not(captures: Path) -> None:
    for path in sorted((captures / "encap").rglob("*.pcap*")):
        document = document_of(path)
        found = {name for name in RDMA_PROTOCOLS if name in document["protocols"]}
        assert not found, path.name
        assert not kinds(document) & LOSS_KINDS, path.name
