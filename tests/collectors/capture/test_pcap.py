"""Classic pcap: every variant of the magic number, damage, and the kernels' slow twin."""

import random
import struct
from collections.abc import Callable

import numpy as np
import pytest

from fabricscope.collectors.capture.pcap.kernels import find_pcap
from fabricscope.collectors.capture.pcap.walker import canonical_link_type
from reference import capture as reference

START_NS = 1_700_000_000_123_456_000


def make_packets(count: int, seed: int = 1) -> list[tuple[int, bytes, int]]:
    dice = random.Random(seed)
    packets = []
    for number in range(count):
        data = dice.randbytes(dice.choice((0, 1, 60, 128, 300)))
        packets.append((START_NS + number * 1_000, data, len(data) + dice.randrange(1_000)))
    return packets


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", sorted(reference.PCAP_MAGICS))
def test_every_variant_reads_as_its_twin(kind: str, order: str, read_bytes: Callable) -> None:
    packets = make_packets(40)
    data = reference.write_pcap(packets, kind, order)
    rows, counters, taps, contents = read_bytes(data, first_tap=3)
    assert rows == reference.read_pcap(data, tap=3)
    assert contents == [packet for _, packet, _ in packets]
    assert [row.time_ns for row in rows] == [time_ns for time_ns, _, _ in packets]
    assert taps == ["capture"]
    assert counters.records == 40
    assert counters.captured_bytes == sum(len(packet) for _, packet, _ in packets)
    assert counters.wire_bytes == sum(wire for _, _, wire in packets)
    assert (counters.unreadable_bytes, counters.ended) == (0, "")


def test_link_type_of_other_systems_and_frame_check_sequence_bits() -> None:
    assert canonical_link_type(12) == 101
    assert canonical_link_type(14) == 101
    assert canonical_link_type(0x2400_0001) == 1


def test_seconds_beyond_2038_stay_positive(read_bytes: Callable) -> None:
    rows, *_ = read_bytes(reference.write_pcap([(0xFFFF_FFFF * 10**9, b"x", 1)]))
    assert rows[0].time_ns == 0xFFFF_FFFF * 10**9


def test_captured_beyond_wire_is_kept(read_bytes: Callable) -> None:
    rows, counters, *_ = read_bytes(reference.write_pcap([(START_NS, b"abcd", 2)] * 2))
    assert [(row.captured, row.wire) for row in rows] == [(4, 2)] * 2
    assert counters.ended == ""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["micro", "modified"])
def test_cut_at_every_byte(kind: str, order: str, read_bytes: Callable) -> None:
    packets = [(START_NS, b"a" * 20, 90), (START_NS, b"b" * 30, 30), (START_NS, b"c", 9)]
    whole = reference.write_pcap(packets, kind, order)
    for size in range(24, len(whole)):
        data = whole[:size]
        rows, counters, _, _ = read_bytes(data)
        expected = reference.read_pcap(data)
        assert rows == expected, size
        lost = size - (expected[-1].offset + expected[-1].captured if expected else 24)
        assert counters.unreadable_bytes == lost
        complete = lost == 0 and (not rows or rows[-1] in reference.read_pcap(whole))
        assert (counters.ended == "") == complete, size
        if not complete:
            number = len(rows) + (1 if lost else 0)
            assert counters.ended == f"cut in the middle of record {number} at byte {size:,}"


def test_resumes_after_an_impossible_length(read_bytes: Callable) -> None:
    packets = [(START_NS, b"packet %d" % number, 900) for number in range(30)]
    data = bytearray(reference.write_pcap(packets))
    rows = reference.read_pcap(bytes(data))
    data[rows[11].offset - 8 : rows[11].offset - 4] = b"\xff\xff\xff\x7f"
    _, counters, _, contents = read_bytes(bytes(data))
    assert contents == [packet for _, packet, _ in packets[:11] + packets[12:]]
    assert (counters.unreadable_records, counters.unreadable_bytes) == (1, 16 + rows[11].captured)
    assert counters.ended == ""


def test_ends_where_nothing_believable_follows(read_bytes: Callable) -> None:
    good = reference.write_pcap(make_packets(3))
    data = good + struct.pack("<IIII", 1, 1, 0x7FFF_FFFF, 1) + b"\xee" * 200_000
    rows, counters, *_ = read_bytes(data)
    assert len(rows) == 3
    assert counters.ended == f"record 4 at byte {len(good):,} has an impossible length"
    assert counters.unreadable_bytes == 200_016


def test_snap_length_of_the_file_allows_larger_records(read_bytes: Callable) -> None:
    packets = [(START_NS, bytes(300_000), 300_000), (START_NS, b"x", 1)]
    rows, counters, *_ = read_bytes(reference.write_pcap(packets, snap_length=400_000))
    assert [row.captured for row in rows] == [300_000, 1]
    rows, counters, *_ = read_bytes(reference.write_pcap(packets, snap_length=65_535))
    assert rows == []
    assert counters.unreadable_records == 1


def test_erf_inside_pcap_is_unwrapped(read_bytes: Callable) -> None:
    packets = []
    for kind, extensions in ((2, 0), (2, 2), (21, 0), (21, 1), (22, 0), (24, 0), (5, 3)):
        record = reference.write_erf(kind, START_NS, b"payload!", 8, extensions)
        packets.append((5, record, len(record)))
    packets.append((6 * 10**9, b"short", 5))
    data = reference.write_pcap(packets, link=197)
    rows, _, _, contents = read_bytes(data)
    assert rows == reference.read_pcap(data)
    assert [row.link for row in rows] == [1, 1, 247, 247, 101, 197, 197, 197]
    assert all(content.startswith(b"payload!") for content in contents[:5])


def test_find_agrees_with_its_twin() -> None:
    dice = random.Random(3)
    layout = np.array([16, 1_000, 262_144, 1 << 23, 1, 0, 0], np.int64)
    for _ in range(30):
        data = reference.write_pcap(make_packets(6, seed=dice.randrange(99)))[24:]
        junk = dice.randbytes(dice.randrange(200))
        view = np.frombuffer(junk + data, np.uint8)
        found = find_pcap(view, 0, len(view), len(view), layout, None, START_NS // 10**9)
        assert found == _find_slowly(junk + data)


def _find_slowly(data: bytes) -> int:
    def after(at: int) -> int | None:
        if at + 16 > len(data):
            return None
        second, fraction, captured, wire = struct.unpack("<IIII", data[at : at + 16])
        near = abs(second - START_NS // 10**9) <= 3_600 and fraction < 1_000_000
        sound = 0 < captured <= wire <= 262_144
        return at + 16 + captured if near and sound else None

    for at in range(len(data)):
        end = after(at)
        if end is not None and (end == len(data) or after(end) is not None):
            return at
    return -1
