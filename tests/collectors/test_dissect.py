"""Drill-down through tshark: which frames, which fields, and every way it can fail."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricscope.collectors.dissect import (
    FRAMES_LIMIT,
    DissectedPacket,
    _compress,
    dissect,
    parse_frames,
)
from fabricscope.errors import CaptureError, ConfigError, DependencyError


def _texts(packet: DissectedPacket, layer: str) -> dict[str, str]:
    fields = next(found.fields for found in packet.layers if found.name == layer)
    return {field.name: field.text for field in fields}


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", [7]),
        ("10,12-15", [10, 12, 13, 14, 15]),
        (" 3 , 1-2 ,2", [1, 2, 3]),
        ("4294967295", [4294967295]),
        (f"1-{FRAMES_LIMIT}", list(range(1, FRAMES_LIMIT + 1))),
    ],
)
def test_frame_lists(text: str, frames: list[int]) -> None:
    assert parse_frames(text) == frames


@pytest.mark.parametrize(
    "text",
    ["", ",", "0", "a", "5-3", "-1", "1--2", "1.5", "4294967296", "99999999999", "1;2", "٣"],
)
def test_wrong_frame_lists_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--frames"):
        parse_frames(text)


@pytest.mark.parametrize(
    "text", [f"1-{FRAMES_LIMIT + 1}", "1-4294967295", f"1-{FRAMES_LIMIT},5000"]
)
def test_too_many_frames_are_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError, match="1,000"):
        parse_frames(text)


@given(st.sets(st.integers(1, 3000), min_size=1, max_size=200))
def test_compressing_and_parsing_are_inverse(frames: set[int]) -> None:
    assert parse_frames(_compress(sorted(frames)).replace("..", "-")) == sorted(frames)


def test_roce_fields_are_named_and_nested(captures: Path, tshark: str) -> None:
    (packet,) = dissect(str(captures / "rdma" / "linlinw5_rping.pcap"), [12])
    assert (packet.frame, packet.wire_length, packet.captured_length) == (12, 138, 138)
    assert "2026" in packet.time
    assert [layer.name for layer in packet.layers] == ["eth", "ip", "udp", "infiniband", "data"]
    fields = _texts(packet, "infiniband")
    assert "RDMA WRITE Only (10)" in fields["infiniband.bth.opcode"]
    assert "0x00002c" in fields["infiniband.bth.destqp"]
    assert "15784" in fields["infiniband.bth.psn"]
    ip = next(layer for layer in packet.layers if layer.name == "ip")
    depths = {field.name: field.depth for field in ip.fields}
    assert (depths["ip.dsfield"], depths["ip.dsfield.ecn"], depths["ip.ttl"]) == (0, 1, 0)


def test_every_opcode_of_a_capture_agrees_with_tshark(captures: Path, tshark: str) -> None:
    path = str(captures / "rdma" / "linlinw5_rdma_read_bw.pcap")
    command = [tshark, "-n", "-r", path, "-Y", "infiniband", "-T", "fields"]
    command += ["-e", "frame.number", "-e", "infiniband.bth.psn"]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    expected = dict(line.split("\t") for line in told.splitlines())
    assert len(expected) == 20
    for packet in dissect(path, [int(frame) for frame in expected]):
        psn = _texts(packet, "infiniband")["infiniband.bth.psn"]
        assert psn.endswith(f": {expected.pop(str(packet.frame))}")
    assert not expected


def test_repeated_fields_keep_their_places(captures: Path, tshark: str) -> None:
    (packet,) = dissect(str(captures / "rdma" / "linlinw5_rdma_read_bw.pcap"), [4])
    tcp = next(layer for layer in packet.layers if layer.name == "tcp")
    kinds = [field.text for field in tcp.fields if field.name == "tcp.option_kind"]
    assert kinds == [
        "Kind: No-Operation (1)",
        "Kind: No-Operation (1)",
        "Kind: Time Stamp Option (8)",
    ]


def test_compressed_captures_are_read(captures: Path, tshark: str, tmp_path: Path) -> None:
    whole = (captures / "rdma" / "linlinw5_rping.pcap").read_bytes()
    path = tmp_path / "ping.pcap.gz"
    path.write_bytes(gzip.compress(whole))
    assert [packet.frame for packet in dissect(str(path), [1, 3])] == [1, 3]


def test_reading_stops_at_the_last_frame_asked_for(
    captures: Path, tshark: str, tmp_path: Path
) -> None:
    whole = (captures / "rdma" / "linlinw5_rping.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[:2000])
    assert [packet.frame for packet in dissect(str(path), [2])] == [2]
    found = []
    with pytest.raises(CaptureError, match="Frame 60 cannot be read"):
        found.extend(packet.frame for packet in dissect(str(path), [2, 60]))


def test_an_abandoned_dissection_ends_its_process(captures: Path, tshark: str) -> None:
    packets = dissect(str(captures / "rdma" / "linlinw5_rping.pcap"), list(range(1, 60)))
    assert next(packets).frame == 1
    packets.close()  # type: ignore[attr-defined]


def test_no_frames_is_no_work(tmp_path: Path, tshark: str) -> None:
    path = tmp_path / "x"
    path.touch()
    assert list(dissect(str(path), [])) == []


def test_unreadable_files_are_one_sentence(tmp_path: Path, tshark: str) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no capture\n" * 100)
    for path, words in ((tmp_path / "none", "no file"), (tmp_path, "no file"), (text, "capture")):
        with pytest.raises(CaptureError, match=words) as caught:
            list(dissect(str(path), [1]))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(CaptureError, match=r"no file|cannot be opened"):
        list(dissect("a\0b", [1]))


def test_a_missing_tshark_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DependencyError, match="apt install tshark"):
        next(dissect("x", [1]))


def test_a_missing_pyshark_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tshark: str
) -> None:
    path = tmp_path / "x.pcap"
    path.touch()
    monkeypatch.setitem(sys.modules, "pyshark", None)
    with pytest.raises(DependencyError, match="pip install pyshark"):
        next(dissect(str(path), [1]))
