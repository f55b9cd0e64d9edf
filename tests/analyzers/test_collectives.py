"""Collectives from packets to jobs: shipped captures, real ones, and captures without any job."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.collectives.results import CollectiveResult
from fabricscope.analyzers.flows.table import FlowTable
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.collectors.capture.reader import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.errors import CaptureError
from fabricscope.records import Packets, allocate_packets, slice_packets

MS = 1_000_000
Keep = Callable[[int], np.ndarray]
RANKS = ["10.77.0.10", "10.77.0.11", "10.77.0.12", "10.77.0.13"]


def recognise(
    path: Path,
    keep: Keep | None = None,
    max_transfers: int = 1 << 18,
    packets: Packets | None = None,
) -> CollectiveResult:
    flows = FlowTable(capacity=16_384, idle_ns=1 << 62)
    queue_pairs = QueuePairTable(capacity=4_096, flow_capacity=16_384)
    collectives = CollectiveAnalyzer(
        flow_capacity=16_384, max_channels=8_192, max_transfers=max_transfers
    )
    packets = packets or allocate_packets()
    with CaptureFile(str(path)) as capture:
        while True:
            view, count = capture.read(packets)
            if count == 0:
                break
            batch = slice_packets(packets, 0, count)
            decode(view, batch)
            if keep is not None:
                kept = keep(count)
                batch = Packets(*(column[kept] for column in batch))
            rows = batch.time_ns.size
            flow, side = np.zeros(rows, np.int64), np.zeros(rows, np.uint8)
            queue_pair = np.zeros(rows, np.int64)
            closed = flows.update(batch, flow, side)
            messages = queue_pairs.update(batch, flow, side, queue_pair)
            collectives.update(batch, flow, side, queue_pair, messages)
            collectives.flow_closed(closed)
            flows.release(closed)
    queue_pairs.finish()
    return collectives.finish(flows, queue_pairs)


def only(result: CollectiveResult) -> dict[str, Any]:
    (found,) = result.collectives
    return found


def rotated(ranks: list[str], first: str) -> list[str]:
    place = ranks.index(first)
    return ranks[place:] + ranks[:place]


def truth_of(folder: Path, name: str) -> list[dict[str, Any]]:
    text = (folder / f"{name}.truth.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def true_spans(truth: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Return name, earliest start and latest end over the ranks of each operation."""
    spans = zip(*(rank["spans"] for rank in truth), strict=True)
    return [(own[0][0], min(s[1] for s in own), max(s[2] for s in own)) for own in spans]


def unpacked(pcaps: Path, name: str, folder: Path) -> Path:
    path = pcaps / name
    if path.exists():
        return path
    out = folder / name
    with gzip.open(f"{path}.gz") as source, out.open("wb") as target:
        shutil.copyfileobj(source, target)
    return out


SHIPPED = [
    "adaptive-routing", "allgather", "alltoall", "broadcast", "erspan", "halving-doubling", "ipv6",
    "mirror-loss", "ring-allreduce", "roce-v1", "slow-link", "slow-rank", "tree-allreduce",
    "two-jobs", "vxlan",
]  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_captures(repository: Path, tmp_path: Path, name: str) -> None:
    pcaps = repository / "pcaps"
    truth = json.loads((pcaps / f"{name}.truth.json").read_text(encoding="utf-8"))
    result = recognise(unpacked(pcaps, f"{name}.pcap", tmp_path))
    assert len(result.jobs) == len(truth["collectives"])
    by_ranks = {frozenset(found["ranks"]): found for found in result.collectives}
    for expected in truth["collectives"]:
        found = by_ranks[frozenset(expected["ranks"])]
        assert found["operation"] == expected["operation"]
        assert found["algorithm"] == expected["algorithm"]
        assert found["message_bytes"] == pytest.approx(expected["message_bytes"], rel=0.01)
        assert found["iterations"] == expected["iterations"]
        if expected["algorithm"] == "ring":
            assert rotated(found["ranks"], expected["ranks"][0]) == expected["ranks"]
        spans = expected["iteration_spans"]["tap"]
        for span, own in zip(spans, found["iteration_spans"], strict=True):
            assert own[1] - own[0] == pytest.approx(span[1] - span[0], rel=0.01)
        known, named = expected["straggler"], found["straggler"]
        assert (named is None) == (known is None)
        if known is not None:
            assert (named["kind"], named["ip"]) == (known["kind"], known["ip"])
            assert named["direction"] == known.get("direction")
            if known["kind"] == "compute":
                assert named["late_ms"] == pytest.approx(known["late_ms"], rel=0.05)


@pytest.mark.parametrize("name", ["background", "congestion", "burst-loss", "verbs", "duplicates"])
def test_other_traffic_is_no_job(repository: Path, tmp_path: Path, name: str) -> None:
    result = recognise(unpacked(repository / "pcaps", f"{name}.pcap", tmp_path))
    assert result.jobs == []
    assert result.collectives == []
    assert {finding.kind for finding in result.findings} == (
        {"incast"} if name == "congestion" else set()
    )


@pytest.mark.parametrize("leaf", [0, 1, 2])
def test_one_leaf_sees_part_of_a_ring(repository: Path, leaf: int) -> None:
    found = only(recognise(repository / "pcaps" / f"three-taps.leaf{leaf}.pcap"))
    assert (found["operation"], found["algorithm"]) == ("allreduce", "ring")
    assert found["message_bytes"] == pytest.approx(196_608, rel=0.01)
    assert found["iterations"] == 3


@pytest.mark.parametrize(("loss", "seed"), [(0.001, 1), (0.01, 2), (0.05, 3)])
def test_a_lossy_mirror_changes_nothing(repository: Path, loss: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = repository / "pcaps" / "ring-allreduce.pcap"
    found = only(recognise(path, lambda rows: rng.random(rows) >= loss))
    assert (found["operation"], found["algorithm"], found["iterations"]) == ("allreduce", "ring", 3)
    assert found["message_bytes"] == pytest.approx(262_144, rel=0.02)


def test_a_sampled_mirror_is_refused(repository: Path) -> None:
    rng = np.random.default_rng(1)
    path = repository / "pcaps" / "ring-allreduce.pcap"
    result = recognise(path, lambda rows: rng.random(rows) < 0.25)
    assert result.collectives == []
    assert len(result.refused) == 1
    assert "lost" in result.refused[0]


def test_a_full_list_of_transfers_is_joined(repository: Path) -> None:
    path = repository / "pcaps" / "slow-link.pcap"
    result = recognise(path, max_transfers=300, packets=allocate_packets(64))
    assert result.counters["compactions"] > 0
    assert result.counters["transfers_dropped"] == 0
    assert only(result)["operation"] == "allreduce"


@pytest.mark.parametrize(
    ("name", "size"),
    [("allreduce-4r-4MiB", 4 << 20), ("slowlink-4r-2MiB", 2 << 20), ("straggler-4r-2MiB", 2 << 20)],
)
def test_gloo_allreduce(captures: Path, name: str, size: int) -> None:
    folder = captures / "collectives"
    found = only(recognise(folder / f"gloo-{name}.pcap"))
    assert (found["operation"], found["algorithm"]) == ("allreduce", "ring")
    assert found["message_bytes"] == pytest.approx(size, rel=0.02)
    expected = true_spans(truth_of(folder, f"gloo-{name}"))
    assert len(found["iteration_spans"]) == len(expected)
    for (start, end), (_, true_start, true_end) in zip(
        found["iteration_spans"], expected, strict=True
    ):
        allowed = 0.05 * (true_end - true_start)
        assert abs(start - true_start) <= allowed
        assert abs(end - true_end) <= allowed


def test_gloo_stragglers(captures: Path) -> None:
    folder = captures / "collectives"
    late = only(recognise(folder / "gloo-straggler-4r-2MiB.pcap"))["straggler"]
    assert (late["kind"], late["ip"]) == ("compute", "10.77.0.12")
    assert late["late_ms"] == pytest.approx(80, rel=0.05)
    slow = only(recognise(folder / "gloo-slowlink-4r-2MiB.pcap"))["straggler"]
    assert (slow["kind"], slow["ip"], slow["direction"]) == ("link", "10.77.0.11", "up")
    assert only(recognise(folder / "gloo-allreduce-4r-4MiB.pcap"))["straggler"] is None


def test_spans_of_ranks_show_the_straggler(captures: Path) -> None:
    found = only(recognise(captures / "collectives" / "gloo-straggler-4r-2MiB.pcap"))
    assert found["rank_spans_left_out"] == 0
    late = found["rank_spans"].pop("10.77.0.12")
    assert sorted(found["rank_spans"]) == [rank for rank in RANKS if rank != "10.77.0.12"]
    for iteration, (start, end) in enumerate(found["iteration_spans"]):
        own = [spans[iteration] for spans in found["rank_spans"].values()]
        assert start == min(span[0] for span in own)
        assert end == max(span[1] for span in [*own, late[iteration]])
        assert late[iteration][0] - max(span[0] for span in own) > 60 * MS


def test_gloo_mixed(captures: Path) -> None:
    folder = captures / "collectives"
    result = recognise(folder / "gloo-mixed-4r-1MiB.pcap")
    expected = true_spans(truth_of(folder, "gloo-mixed-4r-1MiB"))
    sequence = sorted(
        (start, end, found["operation"])
        for found in result.collectives
        for start, end in found["iteration_spans"]
    )
    assert [item[2] for item in sequence] == [item[0] for item in expected]
    sizes = {found["operation"]: found["message_bytes"] for found in result.collectives}
    for operation, size in sizes.items():
        true_size = (4 << 20) if operation == "allgather" else 1 << 20
        assert size == pytest.approx(true_size, rel=0.02), operation
    for (start, end, _), (_, true_start, true_end) in zip(sequence, expected, strict=True):
        assert true_start - MS <= start
        assert end <= true_end + MS
    assert result.jobs[0]["steps"] == 4


def test_ddp_training(captures: Path) -> None:
    folder = captures / "collectives"
    result = recognise(folder / "ddp-training-4r.pcap")
    truth = truth_of(folder, "ddp-training-4r")
    (job,) = result.jobs
    steps = [event for event in truth[0]["events"] if event[0] == "step"]
    assert sorted(job["ranks"]) == RANKS
    assert job["steps"] == len(steps) == 20
    assert job["step_bytes"] == pytest.approx(steps[0][3], rel=0.02)
    saved = [event for event in truth[0]["events"] if event[0] == "checkpoint"]
    assert len(job["checkpoints"]) == len(saved) == 2
    for found, (_, start, end, size) in zip(job["checkpoints"], saved, strict=True):
        assert found["rank"] == "10.77.0.10"
        assert found["bytes"] == pytest.approx(size, rel=0.02)
        assert start - MS <= found["start_ns"] <= found["end_ns"] <= end + MS
        assert 0 < found["cost_ms"] <= (end - start) / MS
    reads = sum(event[0] == "dataset" for rank in truth for event in rank["events"])
    assert job["dataset_reads"]["reads"] == reads
    assert job["dataset_reads"]["bytes_p50"] == pytest.approx(262_144, rel=0.02)


@pytest.mark.parametrize(("node", "order"), [(0, "25 11 12"), (1, "25 11 12"), (2, "25 11 12")])
def test_nccl_ring_from_one_node(captures: Path, node: int, order: str) -> None:
    found = only(recognise(captures / "nccl" / f"ring2_node{node}.pcap"))
    ranks = [f"172.30.0.{last}" for last in order.split()]
    assert (found["operation"], found["algorithm"]) == ("allreduce", "ring")
    assert rotated(found["ranks"], ranks[0]) == ranks
    assert found["message_bytes"] == pytest.approx(24_576, rel=0.01)
    assert found["partial_view"]


def test_nccl_tree_from_one_node(captures: Path) -> None:
    found = only(recognise(captures / "nccl" / "tree2_node0.pcap"))
    assert (found["operation"], found["algorithm"]) == ("allreduce", "tree")
    assert found["message_bytes"] == pytest.approx(24_576, rel=0.01)
    assert found["hub"] == "172.30.0.12"


@pytest.mark.parametrize("folder", ["rdma", "encap"])
def test_captures_without_a_job_have_none(captures: Path, folder: str) -> None:
    read = 0
    for path in sorted((captures / folder).rglob("*")):
        if not path.is_file() or path.stat().st_size > 2_000_000:
            continue
        try:
            result = recognise(path)
        except CaptureError:
            continue
        read += 1
        assert result.collectives == [], path
        assert result.jobs == [], path
    assert read > 5


PROXIES = ("http_connect.pcap", "nfsv3.pcap", "smb_frags.pcap", "bittorrent.pcap", "rsync.pcap")


@pytest.mark.parametrize("name", PROXIES)
def test_ordinary_traffic_has_no_job(captures: Path, name: str) -> None:
    path = captures / "ndpi" / "pcap" / name
    if not path.exists():
        pytest.skip(f"{name} is not among the captures here")
    assert recognise(path).jobs == []
