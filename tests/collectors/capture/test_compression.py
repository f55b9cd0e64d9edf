"""Members and frames one after the other, padding, damage, bombs, descriptors."""

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from fabricscope.collectors.capture.compression import ByteStream, Descriptor, Gzip, Zstd

PLAIN = bytes(range(256)) * 600


def drain(stream: ByteStream, size: int = 4_096) -> bytes:
    buffer = memoryview(bytearray(size))
    parts = []
    while count := stream.readinto(buffer):
        parts.append(bytes(buffer[:count]))
    return b"".join(parts)


def open_bytes(path: Path, data: bytes) -> Descriptor:
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    path.unlink()
    return Descriptor(descriptor, is_pipe=False)


def test_descriptor_gives_back_what_was_pushed_back(tmp_path: Path) -> None:
    stored = open_bytes(tmp_path / "f", PLAIN)
    head = stored.read(100)
    stored.push_back(head)
    assert drain(stored) == PLAIN
    assert stored.read_bytes == len(PLAIN)


def test_descriptor_of_a_pipe_knows_whether_it_is_ready() -> None:
    reader, writer = os.pipe()
    stored = Descriptor(reader, is_pipe=True)
    assert not stored.is_ready(0.0)
    os.write(writer, b"x")
    assert stored.is_ready(0.0)
    os.close(writer)
    assert drain(stored) == b"x"
    os.close(reader)


def test_descriptor_that_cannot_be_read_says_so() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stored = Descriptor(writer, is_pipe=True)
    assert drain(stored) == b""
    assert "reading failed" in stored.problem
    os.close(writer)


@pytest.mark.parametrize("padding", [b"", bytes(700)])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_gzip_members(padding: bytes, size: int, tmp_path: Path) -> None:
    plain = PLAIN if size > 1 else PLAIN[:300]
    member = gzip.compress(plain)
    data = member + padding + gzip.compress(b"") + member + padding
    stream = Gzip(open_bytes(tmp_path / "f", data))
    assert drain(stream, size) == plain * 2
    assert stream.problem == ""


@pytest.mark.parametrize("size", [1, 2, 11, 200])
def test_gzip_that_ends_early(size: int, tmp_path: Path) -> None:
    stream = Gzip(open_bytes(tmp_path / "f", gzip.compress(PLAIN)[:size]))
    assert PLAIN.startswith(drain(stream))
    assert stream.problem == "the gzip data ends early"


def test_gzip_followed_by_something_else(tmp_path: Path) -> None:
    stream = Gzip(open_bytes(tmp_path / "f", gzip.compress(PLAIN) + b"tail"))
    assert drain(stream) == PLAIN
    assert stream.problem == "what follows the last gzip member is not gzip"


def test_damaged_data_is_one_sentence(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(PLAIN))
    packed[-6] ^= 0xFF
    stream = Gzip(open_bytes(tmp_path / "f", bytes(packed)))
    drain(stream)
    assert "gzip data is damaged" in stream.problem
    packed = bytearray(zstandard.compress(os.urandom(5_000)))
    packed[6:9] = b"\xff\xff\xff"
    other = Zstd(open_bytes(tmp_path / "f", bytes(packed)))
    drain(other)
    assert "zstd data is damaged" in other.problem
    assert drain(other) == b""


@pytest.mark.parametrize("size", [7, 100_000])
def test_zstd_frames(size: int, tmp_path: Path) -> None:
    frame = zstandard.compress(PLAIN)
    skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc"
    stream = Zstd(open_bytes(tmp_path / "f", frame + skippable + frame))
    assert drain(stream, size) == PLAIN * 2
    assert stream.problem == ""


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_needs_no_more_memory_than_its_buffer(kind: str, tmp_path: Path) -> None:
    zeros = bytes(1 << 20)
    data = gzip.compress(zeros * 64, 9) if kind == "gzip" else zstandard.compress(zeros * 64)
    stored = open_bytes(tmp_path / "f", data)
    stream: ByteStream = Gzip(stored) if kind == "gzip" else Zstd(stored)
    buffer = memoryview(bytearray(1 << 18))
    tracemalloc.start()
    total = 0
    while count := stream.readinto(buffer):
        total += count
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 64 << 20
    assert peak_bytes < 4 << 20


def test_zstd_window_is_bounded(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = packed.compress(PLAIN) + packed.flush()
    stream = Zstd(open_bytes(tmp_path / "f", data))
    assert drain(stream) == b""
    assert "damaged" in stream.problem
