"""The analyzer over batches: bounds, other traffic, nonsense, real captures and tshark."""

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
from reference.iwarp import Segment


def test_flow_slots_are_reused() -> None:
    analyzer = IwarpAnalyzer()
    for _ in range(3):
        analyzer.update(*traffic.batch(traffic.connection(), flow=5))
        analyzer.flow_closed(np.array([5, 900, -1], np.int64))
    assert analyzer.finish().connections.height == 6


def test_full_table_makes_room_or_counts() -> None:
    analyzer = IwarpAnalyzer()
    closed = traffic.ended(17, 0, traffic.ended(17, 1, traffic.connection()))
    for flow in range(MAX_CONNECTIONS):
        analyzer.update(*traffic.batch(closed if flow < 10 else closed[:2], flow=flow))
    for flow in range(MAX_CONNECTIONS, MAX_CONNECTIONS + 12):
        analyzer.update(*traffic.batch(closed[:2], flow=flow))
    result = analyzer.finish()
    assert result.connections.height == 2 * (MAX_CONNECTIONS + 10)
    assert result.untracked_start_frames == 4  # request and reply of two connections


def test_other_traffic_leaves_no_trace() -> None:
    segments = [Segment(0, k, b"GET / HTTP/1.1\r\n\r\nMPA ID Req Frame") for k in range(50)]
    result = traffic.run(segments)[1]
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
    segments = traffic.recut(traffic.random_connection(rng), rng)
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
    check_sanity(traffic.run(segments, rows=rng.choice((1, 50)))[1])


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
    analyzer, _ = traffic.run([segment for _, segment, _ in real_segments(path)])
    wanted: list[list[Any]] = []
    for row in tshark_rows(tshark, path):
        wanted.append([int(cell, 0) if cell else None for cell in row])
    mine = analyzer.fpdus().select("frame", *traffic.FIELDS).rows()
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
    result = traffic.run([segment for _, segment, _ in packets])[1]
    assert result.packets == 2
    rows = result.connections.to_dicts()
    assert [row["initiator"] for row in rows] == [True, False]
    assert [row["private_bytes"] for row in rows] == [7, 8]
    assert [row["start_frame"] for row in rows] == [4, 6]
    assert rows[0]["refusal_frame"] == (6 if state == "refused" else 0)
    for row in rows:
        assert (row["asks_markers"], row["asks_crc"], row["revision"]) == (markers, crc, 1)
        assert (row["state"], row["crc"], row["fpdus"]) == (state, crc, 0)
        assert row["markers"] == markers


def test_real_read_and_write(captures: Path) -> None:
    packets = real_segments(captures / "rdma" / "iwarp_rdma" / "read")
    result = traffic.run([segment for _, segment, _ in packets])[1]
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
    table = traffic.run([segment for _, segment, _ in packets])[1].connections
    assert table["crc_good"].sum() == 4
    assert table["crc_errors"].sum() == table["crc_unverifiable"].sum() == 0


def test_nothing_else_is_iwarp(captures: Path) -> None:
    paths = sorted((captures / "rdma" / "negative").iterdir())
    paths.append(captures / "rdma" / "ecn_tcp" / "tcp-ecn-sample.pcap")
    for path in paths:
        for flow, (_, segment, _) in enumerate(real_segments(path)):
            segment.side = 0
            assert traffic.run([segment])[1].packets == 0, (path, flow)
