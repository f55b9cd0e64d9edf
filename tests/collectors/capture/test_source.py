"""Views on bytes: mapped, or a ring of buffers that leaves batches in flight alone."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from fabricscope.collectors.capture import source as source_module
from fabricscope.collectors.capture.compression import Descriptor
from fabricscope.collectors.capture.source import BATCHES_ALIVE, MappedSource, StreamSource


@pytest.fixture
def numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, bytes]:
    """Return a descriptor of 100,000 bytes, to be read with small buffers."""
    monkeypatch.setattr(source_module, "CHUNK_BYTES", 1_000)
    data = np.random.default_rng(1).integers(0, 256, 100_000, np.uint8).tobytes()
    path = tmp_path / "numbers"
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY), data


def stream(descriptor: int, head_bytes: int = 0, *, is_pipe: bool = False) -> StreamSource:
    stored = Descriptor(descriptor, is_pipe=is_pipe)
    head = stored.read(head_bytes) if head_bytes else b""
    return StreamSource(stored, stored, head)


def test_stream_carries_the_rest_over(numbers: tuple[int, bytes]) -> None:
    descriptor, data = numbers
    source = stream(descriptor, head_bytes=50)
    window = source.window
    taken = b""
    for step in range(10_000):
        have = window.stop - window.position
        take = min(have, 1 + step % 300)
        taken += window.view[window.position : window.position + take].tobytes()
        assert window.origin + window.position == len(taken) - take
        window.position += take
        source.gave(window.position)
        if window.final and window.position == window.stop:
            break
        source.refill(1 + step % 2_000)
        assert window.final or window.stop - window.position >= 1 + step % 2_000
    assert taken == data
    assert source.position_bytes() == len(data)
    assert source.problem == ""


def test_stream_keeps_the_last_batches_untouched(numbers: tuple[int, bytes]) -> None:
    source = stream(numbers[0])
    window = source.window
    batches = []
    while not window.final:
        source.refill(10)
        view = window.view[window.position : window.stop]
        batches.append((view, view.tobytes()))
        source.gave(window.position)
        window.position = window.stop
        for kept, content in batches[-BATCHES_ALIVE:]:
            assert kept.tobytes() == content
    assert len({view.__array_interface__["data"][0] for view, _ in batches}) <= BATCHES_ALIVE


def test_stream_does_not_wait_for_a_slow_pipe_to_fill_the_buffer() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x" * 100)
    source = stream(reader, is_pipe=True)
    start_s = time.monotonic()
    source.refill(50)
    assert time.monotonic() - start_s < 5
    assert source.window.stop == 100
    assert not source.window.final
    os.close(writer)
    os.close(reader)


def test_stream_waits_for_what_is_needed() -> None:
    reader, writer = os.pipe()

    def write_slowly() -> None:
        for _ in range(4):
            time.sleep(0.15)
            os.write(writer, b"x" * 10)

    thread = threading.Thread(target=write_slowly)
    thread.start()
    source = stream(reader, is_pipe=True)
    source.refill(35)
    assert source.window.stop == 40
    thread.join()
    os.close(writer)
    source.refill(41)
    assert source.window.final
    os.close(reader)


def test_mapped_gives_pages_back_behind_the_batches(tmp_path: Path) -> None:
    size = source_module.RELEASE_BYTES * 4
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(size)
    descriptor = os.open(path, os.O_RDONLY)
    source = MappedSource(descriptor, size)
    step = 1 << 20
    peak_kib = 0
    before_kib = _file_kib()
    for start in range(0, size, step):
        assert not source.window.view[start : start + step : 4_096].any()
        source.window.position = start + step
        source.gave(start)
        peak_kib = max(peak_kib, _file_kib() - before_kib)
    assert peak_kib * 1_024 < source_module.RELEASE_BYTES + (BATCHES_ALIVE + 2) * step
    assert source.position_bytes() == size
    os.close(descriptor)


def _file_kib() -> int:
    """Return mapped file and shared pages that are resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("RssFile", "RssShmem")))


def test_mapped_stops_where_a_file_shrank(tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(bytes(100_000))
    descriptor = os.open(path, os.O_RDONLY)
    source = MappedSource(descriptor, 100_000)
    source.window.position = 10
    os.truncate(path, 50_000)
    source.gave(0)
    assert source.window.stop == 50_000
    assert "shrank to 50,000 bytes" in source.problem
    os.close(descriptor)
