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
