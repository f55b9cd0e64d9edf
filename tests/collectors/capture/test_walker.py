"""Damage of every kind: only sentences come out, the same mapped and streamed, in bounded time."""

import gzip
import os
import random
import time
from pathlib import Path

import pytest

from fabricscope.collectors.capture import reader as reader_module
from fabricscope.collectors.capture import source as source_module
from fabricscope.errors import CaptureError
from reference import capture as reference
from reference.capture_reading import Reading, read_all

START_NS = 1_700_000_000_000_000_000
SECONDS_PER_FILE = 30
MUTATIONS = 150


def make_seeds() -> dict[str, bytes]:
    """Return one small file of each format."""
    dice = random.Random(7)
    packets = [(START_NS + n * 1_000, dice.randbytes(40 + n), 90 + n) for n in range(12)]
    section = reference.write_section() + reference.write_interface(options={2: b"eth0"})
    big = reference.write_section(">") + reference.write_interface(197, 0, ">", {9: b"\x9e"})
    erf = [reference.write_erf(2, time_ns, data, wire, 1) for time_ns, data, wire in packets]
    return {
        "pcap": reference.write_pcap(packets),
        "pcap of ERF": reference.write_pcap([(0, r, len(r)) for r in erf], "nano", ">", 197),
        "pcapng": section
        + b"".join(reference.write_enhanced(t, d, w) for t, d, w in packets)
        + b"".join(reference.write_simple(d, w) for _, d, w in packets)
        + big
        + b"".join(reference.write_obsolete(t, r, 99, 0, ">") for t, r in enumerate(erf)),
        "erf": b"".join(erf),
    }


SEEDS = make_seeds()


def read_or_refuse(path: Path) -> Reading | str:
    try:
        return read_all(str(path), 5)
    except CaptureError as error:
        text = str(error)
        assert "\n" not in text
        return text.replace(str(path), "")


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Return `data` with a few bytes changed, removed, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(dice.randrange(1, 6)):
        if not changed:
            break
        at = dice.randrange(len(changed))
        what = dice.randrange(5)
        if what == 0:
            changed[at] = dice.randrange(256)
        elif what == 1:
            changed[at : at + 4] = dice.choice((b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f"))
        elif what == 2:
            del changed[at : at + dice.randrange(1, 40)]
        elif what == 3:
            changed[at:at] = changed[at : at + dice.randrange(1, 200)]
        else:
            del changed[max(at, 1) :]
    return bytes(changed)


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make streamed input arrive in pieces that cut most records."""
    monkeypatch.setattr(source_module, "CHUNK_BYTES", 100)
    monkeypatch.setattr(reader_module, "HEAD_BYTES", 256)


@pytest.mark.usefixtures("small_buffers")
@pytest.mark.parametrize("seed", SEEDS)
def test_mutations_read_the_same_mapped_and_streamed(seed: str, tmp_path: Path) -> None:
    dice = random.Random(seed)
    plain_path, packed_path = tmp_path / "plain", tmp_path / "packed"
    for _ in range(MUTATIONS):
        data = mutate(SEEDS[seed], dice)
        plain_path.write_bytes(data)
        packed_path.write_bytes(gzip.compress(data, 0))
        plain = read_or_refuse(plain_path)
        packed = read_or_refuse(packed_path)
        if isinstance(plain, str) or isinstance(packed, str):
            assert isinstance(plain, str)
            assert isinstance(packed, str)
            continue
        assert packed[3] == plain[3]
        assert [r._replace(offset=0) for r in packed[0]] == [r._replace(offset=0) for r in plain[0]]
        assert packed[1] == plain[1]
        counters = plain[1]
        assert counters.records == len(plain[0])
        assert counters.captured_bytes == sum(row.captured for row in plain[0])
        assert 0 <= counters.unreadable_bytes <= len(data)


def test_mutated_compressed_data_is_refused_or_read(tmp_path: Path) -> None:
    dice = random.Random(11)
    path = tmp_path / "c"
    for _ in range(MUTATIONS):
        path.write_bytes(mutate(gzip.compress(SEEDS["pcap"]), dice))
        reading = read_or_refuse(path)
        assert isinstance(reading, str) or len(reading[0]) <= 40


def test_every_malformed_file_is_refused_or_read_quickly(captures: Path) -> None:
    paths = [path for path in sorted((captures / "malformed").rglob("*")) if path.is_file()]
    assert len(paths) > 100
    for path in paths:
        start_s = time.process_time()
        reading = read_or_refuse(path)
        assert time.process_time() - start_s < SECONDS_PER_FILE, path
        if not isinstance(reading, str):
            assert reading[1].records == len(reading[0])


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\x01", b"\x06\0\0\0\x07\0\0\0"])
@pytest.mark.parametrize("seed", SEEDS)
def test_large_garbage_takes_bounded_time(seed: str, filler: bytes, tmp_path: Path) -> None:
    data = SEEDS[seed] + filler * (8_000_000 // len(filler))
    path = tmp_path / "c"
    path.write_bytes(data)
    start_s = time.process_time()
    reading = read_all(str(path), 16_384)
    assert time.process_time() - start_s < SECONDS_PER_FILE
    assert reading[1].records <= len(data) // 16


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    for _ in range(50):
        path.write_bytes(os.urandom(500))
        assert isinstance(read_or_refuse(path), str)
