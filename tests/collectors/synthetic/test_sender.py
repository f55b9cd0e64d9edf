"""What senders put on the wire: order of opcodes and PSNs, immediates, pauses."""

from pathlib import Path

from fabricscope.collectors.synthetic import generate
from reference import synthetic as slow


def test_messages_run_from_first_to_last_with_rising_psns(tmp_path: Path) -> None:
    generate("ring-allreduce", str(tmp_path / "a.pcap"))
    expected: dict[tuple[bytes, bytes, int], int] = {}
    inside: dict[tuple[bytes, bytes, int], bool] = {}
    for frame in slow.read_frames(tmp_path / "a.pcap"):
        packet = slow.find_roce(frame)
        assert packet is not None
        if packet.opcode == 17:
            continue
        key = packet.src, packet.dst, packet.dest_qp
        assert packet.psn == expected.get(key, 0)
        expected[key] = packet.psn + 1
        # WRITE Middle, Last and Last with immediate belong into an open message.
        assert inside.get(key, False) == (packet.opcode in (7, 8, 9))
        inside[key] = packet.opcode in (6, 7)
        assert packet.ack_request == (packet.opcode not in (6, 7))
    assert not any(inside.values())


def test_psns_wrap(tmp_path: Path) -> None:
    start: dict[str, object] = {"transport.initial_psn": (1 << 24) - 5}
    truth = generate("loss-after-tap", str(tmp_path / "a.pcap"), overrides=start).content
    psns = [
        packet.psn
        for packet in map(slow.find_roce, slow.read_frames(tmp_path / "a.pcap"))
        if packet is not None and packet.opcode != 17
    ]
    assert psns[:7] == [0xFFFFFB, 0xFFFFFC, 0xFFFFFD, 0xFFFFFE, 0xFFFFFF, 0, 1]
    assert truth["unfinished_transfers"] == 0


def test_a_paused_host_sends_nothing(tmp_path: Path) -> None:
    truth = generate("pfc-storm", str(tmp_path / "a.pcap")).content
    frames = slow.read_frames(tmp_path / "a.pcap")
    start = truth["taps"][0]["first_ns"] - frames[0].time_ns
    assert start == 0
    assert len(truth["pauses"]) == 5
    base = 1_750_000_000 * 10**9
    paused = bytes([10, 0, 0, 2])
    for pause in truth["pauses"]:
        # A packet that had left before, and the way to the tap, take a few microseconds.
        low, high = base + pause["start_ns"] + 5_000, base + pause["end_ns"]
        for frame in frames:
            packet = slow.find_roce(frame)
            if packet is not None and packet.src == paused and packet.opcode not in (17, 0x81):
                assert not low < frame.time_ns < high
