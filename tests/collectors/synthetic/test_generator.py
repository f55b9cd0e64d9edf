"""Generated captures, judged by Wireshark and by a slow reader that knows no truth."""

import ipaddress
import itertools
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fabricscope.collectors.synthetic import generate
from fabricscope.errors import RecipeError
from reference import synthetic as slow

WHOLE: dict[str, object] = {"capture.snaplen": 0, "network.mtu": 1024}
FAULTS = [
    "ring-allreduce", "tree-allreduce", "halving-doubling", "alltoall", "loss-before-tap",
    "loss-after-tap", "burst-loss", "tail-timeout", "rnr", "congestion", "pfc-storm", "duplicates",
    "reordering", "mirror-loss", "stalled", "access-error", "cm-closed", "verbs", "two-jobs",
    "three-taps", "adaptive-routing",
]  # fmt: skip
TUNNELS = [
    ("vlan", 4, 4, 2), ("vxlan", 4, 4, 2), ("vxlan", 6, 6, 2), ("erspan1", 4, 4, 2),
    ("erspan2", 6, 4, 2), ("erspan3", 4, 6, 2), ("gre", 4, 4, 2), ("gre", 6, 4, 2),
    ("gretap", 4, 4, 1), ("none", 6, 4, 1), ("none", 6, 4, 2), ("erspan2+vxlan+vlan", 4, 4, 2),
    ("vlan+gre+vxlan", 4, 6, 2), ("erspan2", 4, 4, 1),
]  # fmt: skip


def gid(truth: dict[str, Any], address: str) -> bytes:
    packed = ipaddress.ip_address(address).packed
    if truth["network"]["roce"] == 1 and len(packed) == 4:
        return bytes(10) + b"\xff\xff" + packed
    return packed


def check_tap(truth: dict[str, Any], tap: dict[str, Any], folder: Path) -> None:
    """Compare one capture with its truth, packet by packet."""
    frames = slow.read_frames(folder / tap["file"])
    assert len(frames) == tap["packets"]
    assert all(a.time_ns <= b.time_ns for a, b in itertools.pairwise(frames))
    assert (frames[0].time_ns, frames[-1].time_ns) == (tap["first_ns"], tap["last_ns"])
    copies = set(tap["frames"].get("duplicate", []))
    found = {n: slow.find_roce(frame) for n, frame in enumerate(frames, 1)}
    packets = [roce for n, roce in found.items() if roce and n not in copies]
    assert all(packet.icrc_fits for packet in packets)
    flows = slow.count_flows(packets)
    answers: Counter[str] = Counter()
    truths: Counter[str] = Counter()
    for pair in tap["queue_pairs"]:
        truths.update({name: pair[name] for name in ("acks", "naks", "rnr_naks", "cnps")})
        if not pair["packets"]:
            continue
        flow = flows[gid(truth, pair["src"]), gid(truth, pair["dst"]), pair["dest_qp"]]
        for name in ("data_packets", "payload_bytes", "retransmissions", "ce", "ecn_capable",
                     "reordered"):  # fmt: skip
            assert pair[name] == flow[name], (name, pair)
        assert pair["packets"] - pair["duplicates"] == flow["packets"]
        answers.update(
            {name: flow[f"{name}_sent"] for name in ("acks", "naks", "rnr_naks", "cnps")}
        )
    assert answers == truths
    for name, syndromes in (("nak", {0x60, 0x62}), ("rnr_nak", set(range(0x20, 0x40)))):
        for number in tap["frames"].get(name, []):
            packet = found[number]
            assert packet is not None
            assert packet.syndrome in syndromes
    for number in tap["frames"].get("ce", []):
        packet = found[number]
        assert packet is not None
        assert packet.ecn == 3


def check_network(truth: dict[str, Any]) -> None:
    """What was sent has arrived or was lost."""
    for flow in truth["network_flows"]:
        lost = flow["lost_uplink"] + flow["lost_fabric"] + flow["lost_downlink"]
        assert flow["sent"] == flow["arrived"] + lost, flow


@pytest.mark.parametrize("recipe", FAULTS)
def test_truth_equals_what_a_slow_reader_counts(recipe: str, tmp_path: Path) -> None:
    truth = generate(recipe, str(tmp_path / "out.pcap"), overrides=WHOLE).content
    assert truth["taps"]
    for tap in truth["taps"]:
        check_tap(truth, tap, tmp_path)
    check_network(truth)


@pytest.mark.parametrize(("kind", "inner", "outer", "roce"), TUNNELS)
@pytest.mark.parametrize("recipe", ["congestion", "loss-before-tap"])
def test_faults_in_tunnels(
    recipe: str, kind: str, inner: int, outer: int, roce: int, tmp_path: Path
) -> None:
    changes = WHOLE | {
        "encapsulation.kind": kind,
        "encapsulation.ip_version": outer,
        "network.ip_version": inner,
        "network.roce": roce,
    }
    truth = generate(recipe, str(tmp_path / "out.pcap"), overrides=changes).content
    check_tap(truth, truth["taps"][0], tmp_path)


@pytest.mark.parametrize("recipe", ["verbs", "erspan", "vxlan", "roce-v1", "ipv6", "cm-refused"])
def test_wireshark_agrees(recipe: str, tmp_path: Path, tshark: str) -> None:
    truth = generate(recipe, str(tmp_path / "out.pcap"), overrides=WHOLE).content
    fields = ["-e", "infiniband.bth.opcode", "-e", "_ws.malformed", "-e", "ip.checksum.status"]
    command = [tshark, "-r", str(tmp_path / "out.pcap"), "-o", "ip.check_checksum:TRUE"]
    run = subprocess.run(
        [*command, "-T", "fields", *fields], capture_output=True, text=True, check=True
    )
    lines = [line.split("\t") for line in run.stdout.splitlines()]
    assert not any(line[1] for line in lines)
    assert not any("0" in line[2].split(",") for line in lines)
    opcodes = Counter(line[0].split(",")[-1] for line in lines if line[0])
    assert opcodes == truth["taps"][0]["opcodes"]


def test_same_seed_same_bytes_and_other_seed_others(tmp_path: Path) -> None:
    outs = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        generate("verbs", str(tmp_path / f"{name}.pcap"), seed=seed)
        outs.append((tmp_path / f"{name}.pcap").read_bytes())
    assert outs[0] == outs[1]
    assert outs[0] != outs[2]


def test_interpreted_and_compiled_kernels_write_the_same(tmp_path: Path) -> None:
    compiled, interpreted = tmp_path / "compiled.pcap", tmp_path / "interpreted.pcap"
    script = (
        "import sys; from fabricscope.collectors.synthetic import generate as g; g(*sys.argv[1:])"
    )
    root = Path(__file__).resolve().parents[3]
    for path, disable in ((compiled, "0"), (interpreted, "1")):
        subprocess.run(
            [sys.executable, "-W", "error", "-c", script, "verbs", str(path)],
            check=True,
            env={**os.environ, "NUMBA_DISABLE_JIT": disable, "PYTHONPATH": str(root / "src")},
        )
    assert compiled.read_bytes() == interpreted.read_bytes()


def test_loss_events_name_their_frames(tmp_path: Path) -> None:
    truth = generate("loss-after-tap", str(tmp_path / "out.pcap"), overrides=WHOLE).content
    frames = slow.read_frames(tmp_path / "out.pcap")
    events = truth["faults"][0]["events"]
    assert len(events) == truth["faults"][0]["count"] == 3
    for event in events:
        seen = event["taps"]["tap"]
        lost, nak, resent = (
            slow.find_roce(frames[seen[name] - 1])
            for name in ("frame", "answer_frame", "resent_frame")
        )
        assert lost is not None
        assert nak is not None
        assert resent is not None
        assert lost.psn == nak.psn == resent.psn == event["psn"]
        assert nak.syndrome == 0x60
        assert lost.ip_id != resent.ip_id
        assert event["recovery"] == "nak"


def test_loss_before_the_tap_leaves_no_frame(tmp_path: Path) -> None:
    truth = generate("loss-before-tap", str(tmp_path / "out.pcap")).content
    assert all("frame" not in event["taps"]["tap"] for event in truth["faults"][0]["events"])
    pairs = truth["taps"][0]["queue_pairs"]
    assert sum(pair["lost_before_tap"] for pair in pairs) == 3
    assert sum(pair["lost_after_tap"] for pair in pairs) == 0


def test_tail_loss_waits_for_the_timer(tmp_path: Path) -> None:
    truth = generate("tail-timeout", str(tmp_path / "out.pcap")).content
    assert sum(flow["timeouts"] for flow in truth["network_flows"]) == 2
    for fault in truth["faults"]:
        first = fault["events"][0]
        recovered = [event for event in fault["events"] if event["recovery"] == "timeout"]
        assert len(recovered) == 1
        assert recovered[0]["resent_ns"] - first["time_ns"] >= 67_000_000
    assert not truth["taps"][0]["frames"].get("nak")


def test_slow_rank_and_slow_link_stretch_the_spans(tmp_path: Path) -> None:
    truth = generate("slow-rank", str(tmp_path / "a.pcap")).content
    job = truth["collectives"][0]
    starts = [span[0] for span in job["true_spans"]]
    assert job["straggler"]["rank"] == 2
    assert starts[2] - starts[1] < 1_000_000
    ends = [span[1] for span in job["true_spans"]]
    assert ends[4] - ends[3] > 1_500_000
    fast = generate("ring-allreduce", str(tmp_path / "b.pcap")).content["collectives"][0]
    change: dict[str, object] = {
        "faults": [{"kind": "slow_link", "host": 1, "direction": "up", "rate_gbps": 5.0}]
    }
    slow_link = generate("ring-allreduce", str(tmp_path / "c.pcap"), overrides=change).content
    spans = slow_link["collectives"][0]["true_spans"]
    assert spans[0][1] - spans[0][0] > 3 * (fast["true_spans"][0][1] - fast["true_spans"][0][0])


def test_ring_carries_its_share(tmp_path: Path) -> None:
    """A ring AllReduce sends 2 (n - 1) / n times S over every edge, credits aside."""
    truth = generate("ring-allreduce", str(tmp_path / "out.pcap")).content
    job = truth["collectives"][0]
    expected = 2 * 3 * job["message_bytes"] // 4 * job["iterations"]
    for source, destination in job["edges"]:
        there = sum(
            pair["payload_bytes"]
            for pair in truth["taps"][0]["queue_pairs"]
            if (pair["src"], pair["dst"]) == (source, destination)
        )
        assert there == expected
    for visible, true in zip(job["iteration_spans"]["tap"], job["true_spans"], strict=True):
        assert true[0] <= visible[0] < visible[1] <= true[1] + 10_000


def test_several_taps_write_a_file_each_with_their_own_clock(tmp_path: Path) -> None:
    truth = generate("three-taps", str(tmp_path / "out.pcap"))
    assert [path.name for path in truth.captures] == [
        f"out.leaf{number}.pcap" for number in range(3)
    ]
    spans = truth.content["collectives"][0]["iteration_spans"]
    assert 300_000 < spans["leaf1"][0][0] - spans["leaf0"][0][0] < 500_000
    assert -1_300_000 < spans["leaf2"][0][0] - spans["leaf0"][0][0] < -1_000_000


def test_snaplen_cuts_and_keeps_the_wire_length(tmp_path: Path) -> None:
    generate("verbs", str(tmp_path / "cut.pcap"), overrides={"capture.snaplen": 96})
    generate("verbs", str(tmp_path / "whole.pcap"))
    cut, whole = (slow.read_frames(tmp_path / f"{name}.pcap") for name in ("cut", "whole"))
    assert [frame.wire_length for frame in cut] == [frame.wire_length for frame in whole]
    assert all(a.data == b.data[:96] for a, b in zip(cut, whole, strict=True))


def test_load_makes_the_packets_it_was_asked_for(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    truth = generate(
        "load-faults",
        str(tmp_path / "out.pcap"),
        overrides={"workloads.0.packets": 50_000},
        progress=lambda done, expected: calls.append((done, expected)),
    )
    assert abs(truth.packets - 50_000) < 1000
    assert calls[-1][0] == truth.packets
    assert all(done <= expected for done, expected in calls)
    check_network(truth.content)
    assert truth.content["unfinished_transfers"] == 0


def test_unwritable_output_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be written"):
        generate("rnr", str(tmp_path / "no" / "out.pcap"))
