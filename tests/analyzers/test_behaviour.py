"""Behaviour verdicts: what decides, what must not, and the accuracy on stripped captures."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from fabricscope.analyzers.behaviour.analyzer import BehaviourAnalyzer
from fabricscope.analyzers.behaviour.classes import PATTERNS
from fabricscope.analyzers.behaviour.contradictions import PLAUSIBLE, contradictions
from fabricscope.analyzers.behaviour.judging import BehaviourVerdicts, judge
from fabricscope.analyzers.behaviour.layout import FEATURE_DTYPE
from fabricscope.analyzers.behaviours import BEHAVIOURS
from fabricscope.analyzers.flows import FlowTable
from fabricscope.pipeline.signatures import list_signatures
from fabricscope.records import IPV4_PREFIX_LO, Packets, allocate_packets

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS
Sent = tuple[float, int, int, int]  # seconds, source host, destination host, payload bytes


@pytest.fixture(scope="session")
def accuracy(repository: Path) -> ModuleType:
    path = repository / "benchmarks" / "accuracy" / "behaviour.py"
    spec = importlib.util.spec_from_file_location("behaviour_accuracy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def packets_of(connections: list[list[Sent]]) -> Packets:
    """Return the packets of connections in the order of time; each has ports of its own."""
    rows = sorted(
        (when, number, a, b, size)
        for number, sent in enumerate(connections)
        for when, a, b, size in sent
    )
    packets = allocate_packets(len(rows))
    for i, (when, number, src, dst, size) in enumerate(rows):
        packets.time_ns[i] = START_NS + int(when * SECOND_NS)
        packets.frame[i] = i + 1
        packets.wire_length[i] = size + 66
        packets.payload_length[i] = size
        packets.src_lo[i] = IPV4_PREFIX_LO + 0x0A000000 + src
        packets.dst_lo[i] = IPV4_PREFIX_LO + 0x0A000000 + dst
        opener = src == connections[number][0][1]
        packets.src_port[i], packets.dst_port[i] = (
            (10_000 + number, 7) if opener else (7, 10_000 + number)
        )
        packets.ip_protocol[i] = 17
    return packets


def verdicts_of(packets: Packets) -> BehaviourVerdicts:
    rows = len(packets.time_ns)
    flow, side = np.zeros(rows, np.int64), np.zeros(rows, np.uint8)
    table = FlowTable(capacity=4_096, sketches=16)
    analyzer = BehaviourAnalyzer(4_096)
    table.update(packets, flow, side)
    analyzer.update(packets, flow, side)
    return analyzer.verdicts(table.collect(table.open_slots()))


def behaviours(*connections: list[Sent]) -> list[str]:
    return verdicts_of(packets_of(list(connections))).behaviour


def transfer(
    start: float, src: int, dst: int, size: int, *, rate: float = 1e9, asked: bool = False
) -> list[Sent]:
    """Return `size` bytes in full packets; `asked`: the receiver opened with a short request."""
    count = -(-size // 1_448)
    step = 1_448 * 8 / rate
    request = [(start - 0.001, dst, src, 120)] if asked else []
    answers = [(start + k * step + 1e-6, dst, src, 0) for k in range(0, count, 8)]
    return [*request, *((start + k * step, src, dst, 1_448) for k in range(count)), *answers]


def ring(hosts: list[int], steps: int, size: int, start: float = 0.0) -> list[list[Sent]]:
    return [
        [
            packet
            for step in range(steps)
            for packet in transfer(start + 0.1 * step, host, following, size)
        ]
        for host, following in zip(hosts, [*hosts[1:], hosts[0]], strict=True)
    ]


def exchange(start: float, a: int, b: int, sizes: tuple[int, int]) -> list[Sent]:
    return [
        (start, a, b, 0), (start + 0.001, b, a, 0), (start + 0.002, a, b, 0),
        (start + 0.003, a, b, sizes[0]), (start + 0.004, b, a, 0),
        (start + 0.006, b, a, sizes[1]), (start + 0.007, a, b, 0), (start + 0.008, b, a, 0),
    ]  # fmt: skip


def test_ring_is_a_collective() -> None:
    assert behaviours(*ring([1, 2, 3, 4], 6, 200_000)) == ["collective_burst"] * 4


def test_one_link_of_a_ring_is_a_collective() -> None:
    assert behaviours(ring([1, 2, 3, 4], 20, 400_000)[0]) == ["collective_burst"]


def test_two_hosts_that_exchange_equal_parts() -> None:
    there = [p for k in range(8) for p in transfer(0.1 * k, 1, 2, 100_000)]
    back = [p for k in range(8) for p in transfer(0.1 * k, 2, 1, 100_000)]
    assert behaviours(sorted(there + back)) == ["collective_burst"]


def test_reads_of_one_server() -> None:
    reads = [
        transfer(0.1 * step + 0.01 * host, 9, host, 200_000, asked=True)
        for step in range(4)
        for host in (1, 2)
    ]
    assert set(behaviours(*reads)) == {"dataset_read"}


def test_writes_of_a_rank_are_checkpoints_and_others_are_bulk() -> None:
    job = ring([1, 2, 3], 6, 300_000)
    found = behaviours(*job, transfer(0.2, 1, 9, 3_000_000), transfer(0.2, 7, 8, 3_000_000))
    assert sorted(found) == sorted(["collective_burst"] * 3 + ["checkpoint_write", "bulk_transfer"])


def test_single_download_is_bulk() -> None:
    assert behaviours(transfer(0.1, 9, 1, 5_000_000, asked=True)) == ["bulk_transfer"]


def test_beat_in_one_flow() -> None:
    beat = [(1.0 * k, 1, 2, 48) for k in range(20)]
    assert behaviours(beat) == ["periodic_control"]


def test_scrapes_over_connections_of_their_own() -> None:
    scrapes = [exchange(0.5 * k, 1, 2, (126, 1_000 + k % 3)) for k in range(12)]
    assert set(behaviours(*scrapes)) == {"periodic_control"}


def test_single_exchange() -> None:
    assert behaviours([(0.0, 1, 2, 40), (0.01, 2, 1, 120)]) == ["request_response"]


def test_typing_is_interactive() -> None:
    rng = np.random.default_rng(3)
    keys = np.cumsum(rng.lognormal(-1.5, 1.0, 120))
    typed = [(float(t), 1, 2, 36) for t in keys]
    echoed = [(float(t) + 0.004, 2, 1, int(rng.integers(36, 200))) for t in keys]
    assert behaviours(sorted(typed + echoed)) == ["interactive"]


def test_probes_of_many_hosts_are_a_scan() -> None:
    probes = [[(0.01 * k, 1, 100 + k, 0), (0.01 * k + 0.001, 100 + k, 1, 0)] for k in range(60)]
    assert set(behaviours(*probes)) == {"scan"}


def test_unanswered_requests_to_one_server_are_no_scan() -> None:
    assert "scan" not in behaviours(*[[(0.3 * k, 1, 2, 40)] for k in range(60)])


def test_paced_packets_are_a_stream() -> None:
    voice = [(0.02 * k + side * 0.007, 1 + side, 2 - side, 172)
             for k in range(1_500) for side in (0, 1)]  # fmt: skip
    assert behaviours(voice) == ["streaming"]


def test_nothing_sent_is_idle() -> None:
    assert behaviours([(0.0, 1, 2, 0), (0.001, 2, 1, 0), (0.002, 1, 2, 0)]) == ["idle"]


def test_marked_transfer_is_a_victim() -> None:
    packets = packets_of([transfer(0.0, 1, 2, 3_000_000)])
    packets.ecn[::4] = 3
    verdicts = verdicts_of(packets)
    assert verdicts.behaviour == ["congestion_victim"]
    assert "otherwise bulk_transfer" in verdicts.behaviour_features[0]
    assert "ce_share=" in verdicts.behaviour_features[0]


def test_segments_sent_again_make_a_victim() -> None:
    packets = packets_of([transfer(0.0, 1, 2, 3_000_000)])
    data = np.flatnonzero(packets.payload_length)
    packets.ip_protocol[:] = 6
    packets.tcp_seq[data] = np.arange(len(data)) * 1_448
    packets.tcp_seq[data[8::3]] -= np.uint32(8 * 1_448)
    assert verdicts_of(packets).behaviour == ["congestion_victim"]


def test_acknowledgements_of_their_own_flow_follow_the_data() -> None:
    """As in RoCE, where each direction has a UDP source port of its own."""
    data = ring([1, 2, 3], 5, 200_000)
    forward = [[packet for packet in flow if packet[3]] for flow in data]
    backward = [[packet for packet in flow if not packet[3]] for flow in data]
    assert behaviours(*forward, *backward) == ["collective_burst"] * 6


def test_every_behaviour_has_a_pattern_and_features_that_exist() -> None:
    assert {pattern.behaviour for pattern in PATTERNS} == set(BEHAVIOURS)
    one = np.zeros(1, FEATURE_DTYPE)
    assert judge(one).behaviour == ["idle"]


def test_no_flows() -> None:
    assert judge(np.zeros(0, FEATURE_DTYPE)).behaviour == []


def test_garbage_features_give_bounded_confidence() -> None:
    rng = np.random.default_rng(5)
    features = np.frombuffer(
        rng.bytes(200 * FEATURE_DTYPE.itemsize), FEATURE_DTYPE
    ).copy()  # any bits: negative counts, NaN and infinity
    for name in ("a_payload_bytes", "b_payload_bytes", "a_packets", "b_packets"):
        features[name] &= 2**60 - 1
    with np.errstate(all="ignore"):
        verdicts = judge(features)
    assert set(verdicts.behaviour) <= {*BEHAVIOURS, ""}
    assert ((verdicts.behaviour_confidence >= 0) & (verdicts.behaviour_confidence <= 1)).all()


def test_ports_in_the_packets_change_nothing() -> None:
    connections = [*ring([1, 2, 3], 6, 200_000), transfer(0.2, 1, 9, 3_000_000)]
    connections += [exchange(0.5 * k, 5, 6, (90, 700)) for k in range(8)]
    packets = packets_of(connections)
    before = verdicts_of(packets)
    rng = np.random.default_rng(9)
    new = rng.permutation(65_536).astype(np.uint16)
    packets.src_port[:], packets.dst_port[:] = new[packets.src_port], new[packets.dst_port]
    packets.payload_offset[:] = rng.integers(0, 2**40, len(packets.payload_offset))
    after = verdicts_of(packets)
    assert after.behaviour == before.behaviour
    assert after.behaviour_features == before.behaviour_features
    assert after.behaviour_confidence.tolist() == before.behaviour_confidence.tolist()


@pytest.mark.parametrize("name", ["gloo-allreduce-4r-4MiB", "ddp-training-4r"])
def test_stripped_captures_keep_their_verdicts(
    captures: Path, accuracy: ModuleType, tmp_path: Path, name: str
) -> None:
    path = captures / "collectives" / f"{name}.pcap"
    assert accuracy.strip_capture(path, tmp_path / "stripped.pcap", 7) > 10_000
    whole = accuracy.judge_capture(path)
    stripped = accuracy.judge_capture(tmp_path / "stripped.pcap")
    assert stripped.flows["first_frame"].tolist() == whole.flows["first_frame"].tolist()
    with_ports = whole.flows["b_port"] != 0
    changed = stripped.flows["b_port"] != whole.flows["b_port"]
    assert changed[with_ports].all()
    assert stripped.verdicts.behaviour == whole.verdicts.behaviour
    assert stripped.verdicts.behaviour_features == whole.verdicts.behaviour_features


def test_training_job_without_ports_and_payload(
    captures: Path, accuracy: ModuleType, tmp_path: Path
) -> None:
    path = captures / "collectives" / "ddp-training-4r.pcap"
    score = accuracy.score_capture(path, tmp_path, 11)
    assert score.flows > 100
    assert score.right_flows >= 0.9 * score.flows
    assert score.right_bytes >= 0.95 * score.bytes


def flow_row(**changes: object) -> dict[str, object]:
    return {
        "src": "10.0.0.1", "dst": "10.0.0.2", "first_frame": 17,
        "a_to_b_bytes": 5_000_000, "b_to_a_bytes": 90_000,
        "application": "dns", "application_confidence": 0.95,
        "behaviour": "bulk_transfer", "behaviour_confidence": 0.8,
        "behaviour_features": "one_way_share=1", **changes,
    }  # fmt: skip


def test_dns_that_moves_bulk_is_a_contradiction() -> None:
    (finding,) = contradictions(pl.DataFrame([flow_row()]))
    assert finding.kind == "behaviour_contradicts_application"
    assert "dns" in finding.text
    assert "5,090,000 bytes" in finding.text
    assert finding.packets == [17]


@pytest.mark.parametrize(
    "changes",
    [
        {"application": "http"},
        {"application": None},
        {"behaviour": "request_response"},
        {"behaviour": "congestion_victim"},
        {"behaviour": None},
        {"behaviour_confidence": 0.2},
        {"application_confidence": 0.3},
        {"a_to_b_bytes": 100, "b_to_a_bytes": 100},
    ],
)
def test_no_contradiction(changes: dict[str, object]) -> None:
    rows = [flow_row(), flow_row(**changes)]
    assert len(contradictions(pl.DataFrame(rows))) == 1


def test_plausible_names_exist() -> None:
    assert set(PLAUSIBLE) <= {signature.name for signature in list_signatures()}
    assert set().union(*PLAUSIBLE.values()) <= set(BEHAVIOURS)
