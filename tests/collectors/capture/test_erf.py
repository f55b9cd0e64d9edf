"""ERF files: kinds of record, extension headers, padding, damage."""

import random
from collections.abc import Callable

import pytest

from fabricscope.collectors.capture import recognise
from reference import capture as reference

START_NS = 1_600_000_000_987_654_321


def make_file(seed: int = 1, count: int = 25) -> bytes:
    dice = random.Random(seed)
    records = []
    for number in range(count):
        kind = dice.choice((2, 2, 11, 16, 20, 21, 22, 23, 24, 1, 5, 48) if number else (2,))
        data = dice.randbytes(dice.randrange(1, 80))
        wire = len(data) + dice.choice((0, 0, 1_000))
        time_ns = START_NS + number * 1_001
        records.append(reference.write_erf(kind, time_ns, data, wire, dice.randrange(3)))
    return b"".join(records)


@pytest.mark.parametrize("seed", range(8))
def test_records_read_as_their_twin(seed: int, read_bytes: Callable) -> None:
    data = make_file(seed)
    rows, counters, taps, _ = read_bytes(data, first_tap=2)
    assert rows == reference.read_erf(data, tap=2)
    assert taps == ["capture"]
    assert counters.ended == ""


def test_time_is_rounded_to_the_nearest_nanosecond(read_bytes: Callable) -> None:
    data = b"".join(reference.write_erf(2, START_NS + step, b"abcdef", 6) for step in range(50))
    rows, *_ = read_bytes(data)
    assert [row.time_ns for row in rows] == [START_NS + step for step in range(50)]


def test_cut_at_every_byte(read_bytes: Callable) -> None:
    one = reference.write_erf(2, START_NS, b"abcdef" * 9, 54)
    whole = one * 3
    for size in range(2 * len(one), len(whole)):
        rows, counters, *_ = read_bytes(whole[:size])
        assert rows == reference.read_erf(whole[:size]), size
        assert (counters.ended == "") == (size == 2 * len(one))


def test_ends_at_an_impossible_length(read_bytes: Callable) -> None:
    good = reference.write_erf(2, START_NS, b"abcdef", 6) * 3
    bad = bytearray(good[: len(good) // 3])
    bad[10:12] = b"\0\x0f"
    rows, counters, *_ = read_bytes(good * 8 + bytes(bad) + good)
    assert len(rows) == 24
    assert counters.ended == f"record 25 at byte {8 * len(good):,} has an impossible length"
    assert counters.unreadable_bytes == len(bad) + len(good)


def test_is_recognised_by_its_records_only() -> None:
    data = make_file(3)
    assert recognise(data).kind == "erf"
    assert recognise(reference.write_erf(21, START_NS, b"abc", 3)).kind == "erf"
    assert recognise(bytes(1_000)).kind == ""
    assert recognise(random.Random(5).randbytes(4_000)).kind == ""
    assert recognise(data[:15]).kind == ""
