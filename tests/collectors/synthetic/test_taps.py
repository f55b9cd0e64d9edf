"""What the taps record: own clocks, cut packets, losses and copies by the mirror."""

import itertools
from pathlib import Path

from fabricscope.collectors.synthetic import generate
from reference import synthetic as slow


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


def test_mirror_loss_is_in_the_capture_only(tmp_path: Path) -> None:
    with_loss = generate("mirror-loss", str(tmp_path / "a.pcap")).content
    without = generate("mirror-loss", str(tmp_path / "b.pcap"), overrides={"faults": []}).content
    assert with_loss["network_flows"] == without["network_flows"]
    tap, whole = with_loss["taps"][0], without["taps"][0]
    assert tap["packets"] + tap["capture_lost_packets"] == whole["packets"]
    counted = sum(fault["count_by_tap"]["tap"] for fault in with_loss["faults"])
    assert counted == tap["capture_lost_packets"] == len(tap["lost_by_mirror"])
    assert counted == sum(pair["mirror_lost"] for pair in tap["queue_pairs"]) > 3
    # The named frames are those of the capture without loss.
    lost = {(entry["time_ns"], entry["psn"]) for entry in tap["lost_by_mirror"]}
    frames = slow.read_frames(tmp_path / "b.pcap")
    for number in (100, 101, 102):
        packet = slow.find_roce(frames[number - 1])
        assert packet is not None
        assert (frames[number - 1].time_ns, packet.psn) in lost


def test_copies_by_the_mirror_are_equal_packets_within_microseconds(tmp_path: Path) -> None:
    truth = generate("duplicates", str(tmp_path / "a.pcap")).content
    frames = slow.read_frames(tmp_path / "a.pcap")
    copies = truth["taps"][0]["frames"]["duplicate"]
    assert len(copies) == truth["faults"][0]["count_by_tap"]["tap"] > 5
    for number in copies:
        copy = frames[number - 1]
        near = frames[max(0, number - 200) : number - 1]
        ages = [copy.time_ns - frame.time_ns for frame in near if frame.data == copy.data]
        assert len(ages) == 1
        assert 0 < ages[0] <= 3000


def test_erspan_sequence_numbers_show_what_the_mirror_lost(tmp_path: Path) -> None:
    truth = generate("erspan", str(tmp_path / "a.pcap")).content
    numbers = [
        int.from_bytes(frame.data[38:42], "big") for frame in slow.read_frames(tmp_path / "a.pcap")
    ]
    holes = sum(b - a - 1 for a, b in itertools.pairwise(numbers))
    assert numbers == sorted(set(numbers))
    assert holes == truth["taps"][0]["capture_lost_packets"] > 0
