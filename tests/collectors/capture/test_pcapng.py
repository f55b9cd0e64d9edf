"""pcapng: sections, interfaces, units of time, every kind of packet block, damage."""

import gzip
import random
from collections.abc import Callable

import pytest

from fabricscope.collectors.capture.pcapng.kernels import ticks_to_ns
from fabricscope.collectors.capture.pcapng.walker import MAX_TAPS, printable, read_options
from reference import capture as reference

START_US = 1_700_000_000_123_456


def make_file(order: str, seed: int = 1) -> bytes:
    """Return a section with two interfaces and every kind of block."""
    dice = random.Random(seed)
    parts = [
        reference.write_section(order, {4: b"a program"}),
        reference.write_interface(1, 0, order, {2: b"eth0"}),
        reference.write_interface(101, 0, order, {3: b"a tunnel", 9: b"\x09"}),
        reference.write_block(5, bytes(12), order),
    ]
    for number in range(20):
        data = dice.randbytes(dice.randrange(90))
        ticks = START_US + number
        wire = len(data) + 5
        options = reference.write_options({1: b"note"}, order)
        parts.append(reference.write_enhanced(ticks, data, wire, 0, order, options))
        parts.append(reference.write_enhanced(ticks * 1_000, data, wire, 1, order))
        parts.append(reference.write_obsolete(ticks, data, wire, 0, order))
        parts.append(reference.write_simple(data, len(data), order))
        parts.append(reference.write_block(0x0BAD, data, order))
    return b"".join(parts)


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_block_reads_as_its_twin(order: str, read_bytes: Callable) -> None:
    data = make_file(order)
    rows, counters, taps, _ = read_bytes(data)
    assert rows == reference.read_pcapng(data)
    assert len(rows) == 80
    assert taps == ["eth0", "a tunnel"]
    assert (counters.unreadable_bytes, counters.ended) == (0, "")


def test_sections_of_either_order_follow_one_another(read_bytes: Callable) -> None:
    data = make_file("<") + make_file(">", 2) + make_file("<", 3)
    rows, _, taps, contents = read_bytes(data)
    expected = reference.read_pcapng(data)
    # The twin counts each as a tap; here the same interface of a later section is the same tap.
    assert [row._replace(tap=0) for row in rows] == [row._replace(tap=0) for row in expected]
    assert [row.tap for row in rows] == [row.tap % 2 for row in expected]
    assert taps == ["eth0", "a tunnel"]
    assert contents == [data[r.offset : r.offset + r.captured] for r in expected]


def test_taps_are_numbered_from_the_first(read_bytes: Callable) -> None:
    data = reference.write_section() + reference.write_interface() * 2
    data += b"".join(reference.write_enhanced(0, b"x", 1, number) for number in (1, 0))
    rows, _, taps, _ = read_bytes(data, first_tap=40)
    assert [row.tap for row in rows] == [41, 40]
    assert taps == ["capture", "capture #1"]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(
    "exponent", [0, 1, 3, 6, 9, 10, 18, 19, 28, 29, 32, 33, 40, 63, 64, 95, 127]
)
def test_units_of_time_agree_with_exact_fractions(exponent: int, binary: bool) -> None:
    dice = random.Random(exponent)
    base = 2 if binary else 10
    samples = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
    samples += [min(1_700_000_000 * base**exponent + dice.randrange(10**9), 2**64 - 1)]
    samples += [dice.randrange(2**64) for _ in range(40)]
    for ticks in samples:
        for offset_s in (0, 1_700_000_000, -5):
            exact = reference.ticks_to_ns(ticks, exponent, binary, offset_s)
            given, impossible = ticks_to_ns(
                ticks >> 32, ticks & 0xFFFF_FFFF, exponent, binary, offset_s
            )
            if impossible:
                assert exact is None or abs(exact) > 9_223_372_034 * 10**9 or abs(offset_s) > 2**61
            else:
                assert given == exact, (ticks, offset_s)


@pytest.mark.parametrize("offset_s", [2**63 - 1, -(2**63), 9_300_000_000])
def test_impossible_offset_is_counted(offset_s: int, read_bytes: Callable) -> None:
    data = reference.write_section()
    data += reference.write_interface(options={14: offset_s.to_bytes(8, "little", signed=True)})
    data += reference.write_interface()
    data += reference.write_enhanced(START_US, b"x", 1, 1) + reference.write_enhanced(9, b"x", 1, 0)
    rows, counters, *_ = read_bytes(data)
    assert [row.time_ns for row in rows] == [START_US * 1_000] * 2
    assert counters.impossible_times == 1


def test_snap_length_bounds_simple_packets(read_bytes: Callable) -> None:
    data = reference.write_section() + reference.write_interface(snap_length=6)
    data += reference.write_simple(b"abcdef" + b"\0\0", 60)
    rows, _, _, contents = read_bytes(data)
    assert (rows[0].captured, rows[0].wire, contents) == (6, 60, [b"abcdef"])


def test_record_of_an_unknown_interface_is_counted(read_bytes: Callable) -> None:
    block = reference.write_enhanced(0, b"abcd", 4, 7)
    data = reference.write_section() + reference.write_interface() + block
    data += reference.write_enhanced(0, b"x", 1)
    rows, counters, *_ = read_bytes(data)
    assert len(rows) == 1
    assert (counters.unreadable_records, counters.unreadable_bytes) == (1, len(block))


def test_captured_beyond_the_block_is_counted(read_bytes: Callable) -> None:
    block = bytearray(reference.write_enhanced(0, b"abcd", 4))
    block[20:24] = (99).to_bytes(4, "little")
    data = reference.write_section() + reference.write_interface() + bytes(block)
    data += reference.write_enhanced(0, b"x", 1)
    rows, counters, *_ = read_bytes(data)
    assert [row.captured for row in rows] == [1]
    assert counters.unreadable_records == 1


@pytest.mark.parametrize("at", [4, -4])
def test_resumes_after_lengths_that_disagree(at: int, read_bytes: Callable) -> None:
    start = reference.write_section() + reference.write_interface()
    block = bytearray(reference.write_enhanced(0, b"abcd", 4))
    where = at % len(block)
    block[where : where + 4] = b"\x07\0\0\0"
    data = start + bytes(block) + reference.write_enhanced(0, b"x", 1)
    _, counters, _, contents = read_bytes(data)
    assert contents == [b"x"]
    assert (counters.unreadable_records, counters.unreadable_bytes) == (1, len(block))
    assert counters.ended == ""


def test_ends_where_nothing_believable_follows(read_bytes: Callable) -> None:
    start = reference.write_section() + reference.write_interface()
    start += reference.write_enhanced(0, b"x", 1)
    bad = b"\x06\0\0\0\x07\0\0\0" + b"\xee" * 600
    rows, counters, *_ = read_bytes(start + bad)
    assert len(rows) == 1
    where = f"the block after record 1 at byte {len(start):,}"
    assert counters.ended == f"{where} has an impossible length"
    assert counters.unreadable_bytes == len(bad)


@pytest.mark.parametrize("order", ["<", ">"])
def test_cut_at_every_byte(order: str, read_bytes: Callable) -> None:
    whole = reference.write_section(order) + reference.write_interface(order=order)
    ends = {len(whole): 0, len(whole[:28]): 0}
    packet_starts = []
    for number in range(3):
        packet_starts.append(len(whole) + 28)
        whole += reference.write_enhanced(number, b"abcdefg", 7, 0, order)
        ends[len(whole)] = number + 1
    for size in range(28, len(whole)):
        rows, counters, _, contents = read_bytes(whole[:size])
        assert len(rows) == sum(start <= size for start in packet_starts), size
        assert all(b"abcdefg".startswith(content) for content in contents)
        assert (counters.ended == "") == (size in ends), size


def test_erf_inside_pcapng_is_unwrapped(read_bytes: Callable) -> None:
    data = reference.write_section() + reference.write_interface(197)
    for kind in (2, 21, 24):
        record = reference.write_erf(kind, START_US * 1_000, b"payload!", 8, 1)
        data += reference.write_enhanced(START_US, record, len(record))
    rows, *_ = read_bytes(data)
    assert rows == reference.read_pcapng(data)
    assert [row.link for row in rows] == [1, 247, 197]


def test_taps_are_bounded(read_bytes: Callable) -> None:
    count = MAX_TAPS + 10
    data = reference.write_section() + reference.write_interface() * count
    data += reference.write_enhanced(0, b"x", 1, count - 1)
    rows, _, taps, _ = read_bytes(data)
    assert len(taps) == MAX_TAPS
    assert rows[0].tap == MAX_TAPS - 1


def test_large_unknown_blocks_are_passed_over(read_bytes: Callable) -> None:
    data = reference.write_section() + reference.write_interface()
    data += reference.write_block(0x0BAD, bytes(9 << 20)) + reference.write_enhanced(0, b"x", 1)
    for content in (data, gzip.compress(data, 1)):
        rows, counters, *_ = read_bytes(content)
        assert len(rows) == 1
        assert (counters.ended, counters.unreadable_bytes) == ("", 0)


def test_options_stop_at_what_does_not_fit() -> None:
    assert list(read_options(b"\x02\0\x03\0abc\0\x09\0\x01\0\x06\0\0\0", "little")) == [
        (2, b"abc"),
        (9, b"\x06"),
    ]
    assert list(read_options(b"\x02\0\xff\0abc\0", "little")) == []
    assert list(read_options(b"\0\0\0\0\x02\0\0\0", "little")) == []


def test_names_cannot_steer_a_terminal() -> None:
    assert printable(b"eth\x1b[31m0\0\0") == "eth\ufffd[31m0"
    assert printable(b"\xff\xfe") == "\ufffd\ufffd"
    assert len(printable(b"x" * 10_000)) == 128
