"""The iWARP analyzer against the slow twin, real captures, tshark, loss and nonsense."""

import random
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fabricscope.analyzers.iwarp.layout import MAX_CONNECTIONS
from fabricscope.analyzers.iwarp.report import COLUMNS
from fabricscope.analyzers.iwarp.session import IwarpAnalyzer, IwarpResult
from reference import iwarp_traffic as traffic
from reference.iwarp import Segment, Stream, dissect

FIELDS = (
    "ulpdu_bytes",
    "tagged",
    "last",
    "opcode",
    "queue",
    "msn",
    "message_offset",
    "stag",
    "tagged_offset",
)


def run(segments: list[Segment], rows: int = 10_000) -> tuple[IwarpAnalyzer, IwarpResult]:
    analyzer = IwarpAnalyzer(logged_fpdus=2000)
    for first in range(0, len(segments), rows):
        part = segments[first : first + rows]
        analyzer.update(*traffic.batch(part, first_frame=first + 1))
    return analyzer, analyzer.finish()


def compare(analyzer: IwarpAnalyzer, twin: tuple[Stream, Stream]) -> None:
    log = analyzer.fpdus().rows(named=True)
    for side in (0, 1):
        mine = [row for row in log if row["stream"] % 2 == side]
        assert len(mine) == len(twin[side].fpdus)
        for row, fpdu in zip(mine, twin[side].fpdus, strict=True):
            for name in FIELDS:
                assert row[name] == getattr(fpdu, name), (name, row, fpdu)
            assert row["crc"] == (None if fpdu.crc_ok is None else int(fpdu.crc_ok)), (row, fpdu)


def random_connection(rng: random.Random) -> list[Segment]:
    markers = (rng.randrange(2), rng.randrange(2))
    crc = (rng.randrange(2), rng.randrange(2))
    ulpdus = (
        traffic.random_ulpdus(rng, rng.randrange(12)),
        traffic.random_ulpdus(rng, rng.randrange(12)),
    )
    return traffic.connection(markers, crc, ulpdus, (rng.choice((5, 2**32 - 900)), 77))


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    segments = random_connection(rng)
    if seed % 2:
        segments = traffic.recut(segments, rng)
    analyzer, result = run(segments, rows=rng.choice((1, 7, 10_000)))
    compare(analyzer, dissect(segments))
    table = result.connections
    assert table["marker_errors"].sum() == table["crc_errors"].sum() == 0
    assert table["resyncs"].sum() == table["lost_bytes"].sum() == 0
    assert result.packets == len(segments)


@pytest.mark.parametrize("seed", range(12))
def test_reordered_and_repeated_segments_change_nothing(seed: int) -> None:
    rng = random.Random(100 + seed)
    segments = traffic.recut(random_connection(rng), rng)
    wanted = dissect(segments)
    moved = segments[:2]
    rest = segments[2:]
    for start in range(0, len(rest), 20):
        window = rest[start : start + 20]
        window += [rng.choice(window) for _ in range(3)]
        rng.shuffle(window)
        moved += window
    starts = [next((s for s in rest if s.side == side), None) for side in (0, 1)]
    moved += [s for s in starts if s is not None]
    analyzer, result = run(moved)
    compare(analyzer, wanted)
    assert result.connections["lost_bytes"].sum() == 0
    assert result.connections["retransmitted_segments"].sum() > 0 or not rest


@pytest.mark.parametrize("snap", [20, 22, 24, 40, 60, 100])
def test_snap_length_keeps_the_place(snap: int) -> None:
    rng = random.Random(snap)
    ulpdus = ([traffic.untagged(3, bytes(900), msn=k) for k in range(20)], [])
    segments = traffic.connection((0, 1), (1, 0), ulpdus)
    for segment in segments:
        segment.captured = snap
    analyzer, result = run(segments)
    compare(analyzer, dissect(segments))
    row = result.connections.to_dicts()[0]
    assert (row["fpdus"], row["unseen_fpdus"], row["crc_unverifiable"]) == (20, 0, 20)
    assert row["messages"] == 20
    whole = traffic.recut(segments, rng)
    for segment in whole[2:]:
        segment.captured = snap
    analyzer, result = run(whole)
    row = result.connections.to_dicts()[0]
    assert row["crc_errors"] == 0
    assert 0 < row["fpdus"] + row["unseen_fpdus"] <= 20


def test_loss_is_counted_and_framing_found_again() -> None:
    ulpdus = ([traffic.untagged(3, bytes(500), msn=k) for k in range(100)], [])
    for markers in (0, 1):
        segments = traffic.connection((0, markers), (1, 1), ulpdus)
        lost = segments.pop(12)
        analyzer, result = run(segments)
        row = result.connections.to_dicts()[0]
        assert row["lost_bytes"] == len(lost.payload)
        assert row["resyncs"] == 1
        assert row["fpdus"] == row["messages"] == row["crc_good"] == 99
        assert row["resync_frames"] == [13]
        assert row["out_of_order_segments"] > 60
        assert len(analyzer.fpdus()) == 99


def test_nonsense_inside_the_stream_is_left_and_counted() -> None:
    ulpdus = ([traffic.untagged(3, bytes(100), msn=k) for k in range(10)], [])
    segments = traffic.connection((0, 0), (0, 0), ulpdus)
    segments[5].payload = b"\xff" * len(segments[5].payload)
    _, result = run(segments)
    row = result.connections.to_dicts()[0]
    assert (row["fpdus"], row["resyncs"], row["lost_bytes"]) == (9, 1, 0)


def test_crc_error_and_wrong_marker() -> None:
    ulpdus = ([traffic.untagged(3, bytes(1000), msn=k) for k in range(5)], [])
    segments = traffic.connection((0, 1), (0, 1), ulpdus)
    broken = bytearray(segments[4].payload)
    broken[50] ^= 1
    segments[4].payload = bytes(broken)
    moved = bytearray(segments[5].payload)
    place = next(k for k in range(0, len(moved), 4) if moved[k : k + 2] == b"\0\0" and moved[k + 2])
    moved[place + 3] ^= 4
    segments[5].payload = bytes(moved)
    _, result = run(segments)
    row = result.connections.to_dicts()[0]
    assert (row["crc_good"], row["crc_errors"], row["marker_errors"]) == (3, 2, 1)
    assert row["crc_error_frames"] == [5, 6]


def test_read_latency_and_unanswered_reads() -> None:
    requests = [traffic.read_request(7, 4096 * k, 2000, msn=k + 1) for k in range(3)]
    answers = [
        traffic.tagged(2, bytes(1000), offset=0, last=0),
        traffic.tagged(2, bytes(1000), offset=1000),
        traffic.tagged(2, bytes(2000), offset=8192),
    ]
    segments = traffic.connection((0, 0), (0, 0), (requests, []))
    segments += traffic.connection((0, 0), (0, 0), ([], answers))[2:]
    for k, segment in enumerate(segments[5:]):
        segment.time_ns = 2_000_000 + 1_000_000 * k
    _, result = run(segments)
    row = result.connections.to_dicts()[0]
    assert row["read_us"]["count"] == 2
    assert row["read_us"]["max"] == pytest.approx((4_000_000 - 1_004_000) / 1000)
    assert row["unanswered_reads"] == 1
    other = result.connections.to_dicts()[1]
    assert other["operations"] == [
        {"operation": "read_response", "messages": 2, "payload_bytes": 4000, "largest_bytes": 2000}
    ]
    assert other["message_us"]["max"] == pytest.approx(1000)


def ended(flags: int, side: int, segments: list[Segment]) -> list[Segment]:
    mine = [s for s in segments if s.side == side]
    sequence = mine[-1].sequence + len(mine[-1].payload) if mine else 0
    return [*segments, Segment(side, sequence, b"", flags=flags, time_ns=9_000_000)]


def test_outcomes() -> None:
    opened = traffic.connection()
    request = opened[0]
    rejected = Segment(1, 5000, traffic.start_frame("Rep", reject=1))
    killed = traffic.connection(ulpdus=([traffic.terminate(1, 2, 2)], []))
    cases = [
        ([request], ("no reply", "")),
        (ended(17, 1, [request]), ("no reply", "closed without a reply")),
        (ended(4, 1, [request]), ("refused", "reset after the request")),
        ([request, rejected], ("refused", "reply with the reject bit")),
        (opened, ("connected", "")),
        (ended(17, 0, ended(17, 1, opened)), ("closed", "")),
        (ended(4, 0, opened), ("reset", "TCP reset")),
        (killed, ("terminated", "DDP: no buffer available for the message number")),
    ]
    for segments, wanted in cases:
        _, result = run(segments)
        for row in result.connections.rows(named=True):
            assert (row["state"], row["reason"]) == wanted
            assert row["initiator"] == (row["src_port"] == 40000)


def test_enhanced_start_frame() -> None:
    private = bytes([0x80, 0x10, 0x40, 0x20]) + b"ulp"
    request = Segment(0, 1, traffic.start_frame("Req", private=private, revision=2))
    row = run([request])[1].connections.to_dicts()[0]
    assert (row["revision"], row["enhanced"], row["ird"], row["ord"]) == (2, True, 16, 32)
    assert row["private_bytes"] == 7


def test_one_direction_alone() -> None:
    ulpdus = ([traffic.untagged(3, bytes(700), msn=k) for k in range(6)], [])
    for markers in (0, 1):
        segments = traffic.connection((0, markers), (1, 0), ulpdus)
        _, result = run([s for s in segments if s.side == 0])
        row = result.connections.to_dicts()[0]
        assert (row["markers"], row["fpdus"], row["crc_good"]) == (bool(markers), 6, 6)


def test_same_ports_again() -> None:
    first = ended(17, 0, ended(17, 1, traffic.connection()))
    again = traffic.connection(sequences=(70_000, 90_000))
    syn = Segment(0, 69_999, b"", flags=2)
    assert run([*first, syn, *again])[1].connections.height == 4
    assert run([*first, *again])[1].connections.height == 4


def test_flow_slots_are_reused() -> None:
    analyzer = IwarpAnalyzer()
    for _ in range(3):
        analyzer.update(*traffic.batch(traffic.connection(), flow=5))
        analyzer.flow_closed(np.array([5, 900, -1], np.int64))
    assert analyzer.finish().connections.height == 6


def test_full_table_makes_room_or_counts() -> None:
    analyzer = IwarpAnalyzer()
    closed = ended(17, 0, ended(17, 1, traffic.connection()))
    for flow in range(MAX_CONNECTIONS):
        analyzer.update(*traffic.batch(closed if flow < 10 else closed[:2], flow=flow))
    for flow in range(MAX_CONNECTIONS, MAX_CONNECTIONS + 12):
        analyzer.update(*traffic.batch(closed[:2], flow=flow))
    result = analyzer.finish()
    assert result.connections.height == 2 * (MAX_CONNECTIONS + 10)
    assert result.untracked_start_frames == 4  # request and reply of two connections


def test_other_traffic_leaves_no_trace() -> None:
    segments = [Segment(0, k, b"GET / HTTP/1.1\r\n\r\nMPA ID Req Frame") for k in range(50)]
    result = run(segments)[1]
    assert result.packets == 0
    assert result.connections.columns == [name for name, _, _ in COLUMNS]


def check_sanity(result: IwarpResult) -> None:
    for row in result.connections.rows(named=True):
        for name in ("fpdus", "lost_bytes", "payload_bytes", "unanswered_reads", "resyncs"):
            assert row[name] >= 0
        assert row["messages"] + row["partial_messages"] <= row["fpdus"] + 1
        assert row["crc_good"] + row["crc_errors"] + row["crc_unverifiable"] <= row["fpdus"]


@pytest.mark.parametrize("seed", range(30))
def test_mutations_never_break_it(seed: int) -> None:
    rng = random.Random(1000 + seed)
    segments = traffic.recut(random_connection(rng), rng)
    for segment in segments:
        if rng.random() < 0.2:
            data = bytearray(segment.payload)
            data[rng.randrange(len(data))] = rng.randrange(256)
            segment.payload = bytes(data)
        if rng.random() < 0.1:
            segment.captured = rng.randrange(len(segment.payload) + 1)
        if rng.random() < 0.05:
            segment.sequence = rng.randrange(2**32)
        if rng.random() < 0.05:
            segment.flags = rng.randrange(256)
        if rng.random() < 0.05:
            segment.side ^= 1
    segments = [s for s in segments if rng.random() < 0.95]
    check_sanity(run(segments, rows=rng.choice((1, 50)))[1])


def real_segments(path: Path) -> list[tuple[int, Segment, tuple[str, int, str, int]]]:
    from scapy.all import IP, TCP, rdpcap

    found = []
    ends: list[tuple[str, int]] = []
    for number, packet in enumerate(rdpcap(str(path)), 1):
        if TCP not in packet:
            continue
        source = (packet[IP].src, packet[TCP].sport)
        if source not in ends:
            ends.append(source)
        size = packet[IP].len - 4 * packet[IP].ihl - 4 * packet[TCP].dataofs
        payload = bytes(packet[TCP].payload)[:size]
        segment = Segment(
            ends.index(source),
            packet[TCP].seq,
            payload,
            flags=int(packet[TCP].flags),
            time_ns=int(packet.time * 10**9),
        )
        found.append((number, segment, (*source, packet[IP].dst, packet[TCP].dport)))
    return found


def tshark_rows(tshark: str, path: Path) -> list[list[str]]:
    names = (
        "frame.number",
        "iwarp_mpa.ulpdulength",
        "iwarp_ddp.tagged_flag",
        "iwarp_ddp.last_flag",
        "iwarp_rdma.opcode",
        "iwarp_ddp.qn",
        "iwarp_ddp.msn",
        "iwarp_ddp.mo",
        "iwarp_ddp.stag",
        "iwarp_ddp.tagged_offset",
    )
    arguments = [tshark, "-r", str(path), "-Y", "iwarp_mpa.fpdu", "-T", "fields"]
    for name in names:
        arguments += ["-e", name]
    text = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in text.splitlines()]


FILES = (
    "iwarp_rdma/read",
    "iwarp_rdma/write",
    "iwarp_rdma/write_crc",
    "iwarp_send_recv/snd_recv",
    "iwarp_send_recv/snd_recv_crc",
    "iwarp_send_recv/snd_recv_mrkr",
)


@pytest.mark.parametrize("name", FILES)
def test_fpdus_of_real_captures_as_tshark_reads_them(
    captures: Path, tshark: str, name: str
) -> None:
    path = captures / "rdma" / name
    analyzer, _ = run([segment for _, segment, _ in real_segments(path)])
    wanted: list[list[Any]] = []
    for row in tshark_rows(tshark, path):
        wanted.append([int(cell, 0) if cell else None for cell in row])
    mine = analyzer.fpdus().select("frame", *FIELDS).rows()
    assert len(mine) > 0
    assert [list(row) for row in mine] == wanted


@pytest.mark.parametrize(
    ("name", "markers", "crc", "state"),
    [
        ("C00_M00", False, False, "closed"),
        ("C00_M00_reject", False, False, "refused"),
        ("C00_M11", True, False, "closed"),
        ("C11_M00", False, True, "closed"),
        ("C11_M11", True, True, "closed"),
    ],
)
def test_real_connection_setups(
    captures: Path, name: str, markers: bool, crc: bool, state: str
) -> None:
    packets = real_segments(captures / "rdma" / "iwarp_connect" / name)
    result = run([segment for _, segment, _ in packets])[1]
    assert result.packets == 2
    rows = result.connections.to_dicts()
    assert [row["initiator"] for row in rows] == [True, False]
    assert [row["private_bytes"] for row in rows] == [7, 8]
    assert [row["start_frame"] for row in rows] == [4, 6]
    assert rows[0]["refusal_frame"] == (6 if state == "refused" else 0)
    for row in rows:
        assert (row["asks_markers"], row["asks_crc"], row["revision"]) == (markers, crc, 1)
        assert (row["state"], row["crc"], row["fpdus"]) == (state, crc, 0)


def test_real_read_and_write(captures: Path) -> None:
    packets = real_segments(captures / "rdma" / "iwarp_rdma" / "read")
    result = run([segment for _, segment, _ in packets])[1]
    first, second = result.connections.to_dicts()
    assert result.packets == 8
    counts = [
        {entry["operation"]: entry["messages"] for entry in row["operations"]}
        for row in (first, second)
    ]
    assert counts == [
        {"send": 1, "read_response": 1},
        {"write": 1, "read_request": 1, "send": 2},
    ]
    assert second["read_us"] == {
        "p50": pytest.approx(136, abs=1),
        "p99": pytest.approx(136, abs=1),
        "max": pytest.approx(136, abs=1),
        "count": 1,
    }
    packets = real_segments(captures / "rdma" / "iwarp_rdma" / "write_crc")
    table = run([segment for _, segment, _ in packets])[1].connections
    assert table["crc_good"].sum() == 4
    assert table["crc_errors"].sum() == table["crc_unverifiable"].sum() == 0
