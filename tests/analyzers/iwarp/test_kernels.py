"""Start frames, single directions, and connections that follow one another."""

import random

import numpy as np

from fabricscope.analyzers.iwarp.kernels import TCP, UNKNOWN, find_rows
from reference import iwarp_traffic as traffic
from reference.iwarp import Segment


def test_enhanced_start_frame() -> None:
    private = bytes([0x80, 0x10, 0x40, 0x20]) + b"ulp"
    request = Segment(0, 1, traffic.start_frame("Req", private=private, revision=2))
    row = traffic.run([request])[1].connections.to_dicts()[0]
    assert (row["revision"], row["enhanced"], row["ird"], row["ord"]) == (2, True, 16, 32)
    assert row["private_bytes"] == 7


def test_one_direction_alone() -> None:
    ulpdus = ([traffic.untagged(3, bytes(700), msn=k) for k in range(6)], [])
    for markers in (0, 1):
        segments = traffic.connection((0, markers), (1, 0), ulpdus)
        _, result = traffic.run([s for s in segments if s.side == 0])
        row = result.connections.to_dicts()[0]
        assert (row["markers"], row["fpdus"], row["crc_good"]) == (bool(markers), 6, 6)


def test_same_ports_again() -> None:
    first = traffic.ended(17, 0, traffic.ended(17, 1, traffic.connection()))
    again = traffic.connection(sequences=(70_000, 90_000))
    syn = Segment(0, 69_999, b"", flags=2)
    assert traffic.run([*first, syn, *again])[1].connections.height == 4
    assert traffic.run([*first, *again])[1].connections.height == 4


def naive_rows(batch: traffic.Batch, known: set[int]) -> list[int]:
    view, packets, flow, _ = batch
    rows = []
    for row in range(len(flow)):
        start = packets.payload_offset[row]
        stop = packets.packet_offset[row] + int(packets.captured_length[row])
        payload = bytes(view[start:stop])[:16]
        opens = len(payload) > 9 and any(
            key.startswith(payload) for key in (b"MPA ID Req Frame", b"MPA ID Rep Frame")
        )
        if packets.protocol[row] != TCP or flow[row] < 0:
            continue
        if opens:
            known.add(int(flow[row]))
        if int(flow[row]) in known:
            rows.append(row)
    return rows


def test_rows_are_found_as_the_twin_finds_them() -> None:
    rng = random.Random(8)
    choices = (
        b"MPA ID Req Frame\0\1\0\0",
        b"MPA ID Re",
        b"MPA ID Req",
        b"MPA ID Rex Frame",
        b"",
        b"M",
    )
    for _ in range(30):
        segments = [Segment(0, 1, rng.choice(choices) + bytes(rng.randrange(3))) for _ in range(40)]
        for segment in segments:
            segment.captured = rng.choice((5, 10, 100))
        view, packets, _, side = traffic.batch(segments)
        flow = np.array([rng.randrange(-1, 12) for _ in segments], np.int64)
        packets.protocol[:] = [rng.choice((TCP, TCP, TCP, TCP + 1)) for _ in segments]
        entry_of_flow = np.full(12, UNKNOWN, np.int32)
        entry_of_flow[4] = 7
        rows = np.zeros(40, np.int64)
        view.flags.writeable = False
        count = find_rows(
            packets.protocol,
            packets.packet_offset,
            packets.captured_length,
            packets.payload_offset,
            view,
            flow,
            entry_of_flow,
            rows,
        )
        assert list(rows[:count]) == naive_rows((view, packets, flow, side), {4})
