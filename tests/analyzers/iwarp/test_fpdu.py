"""FPDUs against the slow twin: lengths, headers, markers, CRCs, reads, snap lengths."""

import random

import pytest

from reference import iwarp_traffic as traffic
from reference.iwarp import dissect


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    segments = traffic.random_connection(rng)
    if seed % 2:
        segments = traffic.recut(segments, rng)
    analyzer, result = traffic.run(segments, rows=rng.choice((1, 7, 10_000)))
    traffic.compare(analyzer, dissect(segments))
    table = result.connections
    assert table["marker_errors"].sum() == table["crc_errors"].sum() == 0
    assert table["resyncs"].sum() == table["lost_bytes"].sum() == 0
    assert result.packets == len(segments)


@pytest.mark.parametrize("snap", [20, 22, 24, 40, 60, 100])
def test_snap_length_keeps_the_place(snap: int) -> None:
    rng = random.Random(snap)
    ulpdus = ([traffic.untagged(3, bytes(900), msn=k) for k in range(20)], [])
    segments = traffic.connection((0, 1), (1, 0), ulpdus)
    for segment in segments:
        segment.captured = snap
    analyzer, result = traffic.run(segments)
    traffic.compare(analyzer, dissect(segments))
    row = result.connections.to_dicts()[0]
    assert (row["fpdus"], row["unseen_fpdus"], row["crc_unverifiable"]) == (20, 0, 20)
    assert row["messages"] == 20
    whole = traffic.recut(segments, rng)
    for segment in whole[2:]:
        segment.captured = snap
    analyzer, result = traffic.run(whole)
    row = result.connections.to_dicts()[0]
    assert row["crc_errors"] == 0
    assert 0 < row["fpdus"] + row["unseen_fpdus"] <= 20


def test_nonsense_inside_the_stream_is_left_and_counted() -> None:
    ulpdus = ([traffic.untagged(3, bytes(100), msn=k) for k in range(10)], [])
    segments = traffic.connection((0, 0), (0, 0), ulpdus)
    segments[5].payload = b"\xff" * len(segments[5].payload)
    _, result = traffic.run(segments)
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
    _, result = traffic.run(segments)
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
    _, result = traffic.run(segments)
    row = result.connections.to_dicts()[0]
    assert row["read_us"]["count"] == 2
    assert row["read_us"]["max"] == pytest.approx((4_000_000 - 1_004_000) / 1000)
    assert row["unanswered_reads"] == 1
    other = result.connections.to_dicts()[1]
    assert other["operations"] == [
        {"operation": "read_response", "messages": 2, "payload_bytes": 4000, "largest_bytes": 2000}
    ]
    assert other["message_us"]["max"] == pytest.approx(1000)
