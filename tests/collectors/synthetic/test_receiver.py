"""What receivers answer: RNR, access errors, tolerated reordering, CNPs at their pace."""

from pathlib import Path

from fabricscope.collectors.synthetic import generate
from reference import synthetic as slow


def test_rnr_waits_for_its_timer(tmp_path: Path) -> None:
    truth = generate("rnr", str(tmp_path / "a.pcap")).content
    events = [event for fault in truth["faults"] for event in fault["events"]]
    assert len(events) == 3
    waits = [event["resent_ns"] - event["answer_ns"] for event in events]
    # Timer 12 means 0.64 ms, timer 10 means 0.32 ms; the NAK travels a few microseconds.
    for wait, timer_ns in zip(waits, (640_000, 320_000, 320_000), strict=True):
        assert timer_ns <= wait <= timer_ns + 20_000
    assert sum(pair["rnr_naks"] for pair in truth["taps"][0]["queue_pairs"]) == 3
    assert truth["unfinished_transfers"] == 0


def test_access_error_ends_the_queue_pair(tmp_path: Path) -> None:
    truth = generate("access-error", str(tmp_path / "a.pcap")).content
    (flow,) = (flow for flow in truth["network_flows"] if flow["sent"])
    assert flow["in_error"]
    (number,) = truth["taps"][0]["frames"]["nak"]
    frames = slow.read_frames(tmp_path / "a.pcap")
    nak = slow.find_roce(frames[number - 1])
    assert nak is not None
    assert nak.syndrome == 0x62
    late = frames[-1].time_ns - frames[number - 1].time_ns
    assert late < 20_000
    assert truth["unfinished_transfers"] == 9


def test_tolerated_reordering_draws_no_nak(tmp_path: Path) -> None:
    truth = generate("reordering", str(tmp_path / "a.pcap")).content
    tap = truth["taps"][0]
    assert sum(pair["reordered"] for pair in tap["queue_pairs"]) == 5
    assert max(pair["largest_displacement"] for pair in tap["queue_pairs"]) == 6
    assert "nak" not in tap["frames"]
    assert sum(flow["resent"] for flow in truth["network_flows"]) == 0


def test_cnps_keep_their_interval(tmp_path: Path) -> None:
    generate("congestion", str(tmp_path / "a.pcap"))
    last: dict[tuple[bytes, int], int] = {}
    seen = 0
    for frame in slow.read_frames(tmp_path / "a.pcap"):
        packet = slow.find_roce(frame)
        if packet is not None and packet.opcode == 0x81:
            seen += 1
            assert frame.wire_length == 74
            assert packet.dscp == 48
            key = packet.dst, packet.dest_qp
            assert frame.time_ns - last.get(key, -(10**9)) >= 49_000
            last[key] = frame.time_ns
    assert seen >= 5
