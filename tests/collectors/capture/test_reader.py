"""Whole files of every kind: real ones against tshark, wrapped, piped, refused."""

import gzip
import os
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest
import zstandard

from fabricscope.collectors.capture import CaptureFile
from fabricscope.errors import CaptureError
from fabricscope.records import allocate_packets
from reference import capture as reference
from reference.capture_reading import read_all

LARGEST_COMPARED_BYTES = 300_000


def find_captures(folder: Path) -> list[Path]:
    """List files that read as captures, small enough to compare in a test."""
    paths = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size <= LARGEST_COMPARED_BYTES:
            try:
                with CaptureFile(str(path)):
                    paths.append(path)
            except CaptureError:
                continue
    return paths


def ask_tshark(tshark: str, path: Path) -> list[tuple[int, int, int]]:
    fields = ["-e", "frame.time_epoch", "-e", "frame.len", "-e", "frame.cap_len"]
    command = [tshark, "-n", "-r", str(path), "-T", "fields", *fields]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = [line.split("\t") for line in output.splitlines()]
    return [(int(Decimal(time) * 10**9), int(wire), int(size)) for time, wire, size in rows]


@pytest.mark.parametrize("area", ["rdma", "nccl", "encap", "ndpi/pcap"])
def test_real_captures_read_as_tshark_does(area: str, captures: Path, tshark: str) -> None:
    paths = find_captures(captures / area)
    assert len(paths) >= 4
    for path in paths[:: max(1, len(paths) // 5)]:
        rows, counters, *_ = read_all(str(path), 1_000)
        assert [(r.time_ns, r.wire, r.captured) for r in rows] == ask_tshark(tshark, path), path
        assert [row.frame for row in rows] == list(range(1, len(rows) + 1))
        assert counters.ended == ""


def test_real_captures_read_the_same_compressed(captures: Path, tmp_path: Path) -> None:
    paths = find_captures(captures / "malformed") + find_captures(captures / "rdma")
    assert len(paths) > 80
    for path in paths[::2]:
        data = path.read_bytes()
        if data[:4] in (b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\x08"):
            continue
        plain = read_all(str(path), 50)
        half = len(data) // 2
        packed = {
            "gzip": gzip.compress(data[:half], 1) + gzip.compress(data[half:], 1),
            "zstd": zstandard.compress(data[:half]) + zstandard.compress(data[half:]),
        }
        for kind, content in packed.items():
            wrapped = tmp_path / path.name
            wrapped.write_bytes(content)
            with CaptureFile(str(wrapped)) as capture:
                assert capture.format.endswith(f", {kind}")
                assert capture.size_bytes == len(content)
            rows, counters, _, contents = read_all(str(wrapped), 50)
            assert [row._replace(offset=0) for row in rows] == [
                row._replace(offset=0) for row in plain[0]
            ]
            assert contents == plain[3]
            assert counters == plain[1], path


def test_position_ends_at_the_size(tmp_path: Path) -> None:
    data = reference.write_pcap([(10**18, bytes(100), 100)] * 3_000)
    for content in (data, gzip.compress(data)):
        path = tmp_path / "c"
        path.write_bytes(content)
        packets = allocate_packets(1_000)
        with CaptureFile(str(path)) as capture:
            positions = [capture.position_bytes]
            while capture.read(packets)[1]:
                positions.append(capture.position_bytes)
            assert positions == sorted(positions)
            assert capture.position_bytes == capture.size_bytes == len(content)


def test_fifo_is_read_as_a_pipe(tmp_path: Path) -> None:
    data = reference.write_pcap([(10**18 + n, b"x" * 900, 900) for n in range(3_000)], "nano")
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(data,))
    writer.start()
    with CaptureFile(str(path)) as capture:
        assert capture.size_bytes is None
        packets = allocate_packets(100)
        total = 0
        while count := capture.read(packets)[1]:
            total += count
        assert total == 3_000
        assert capture.position_bytes == len(data)
    writer.join()


@pytest.mark.parametrize("how", ["pipe", "file", "middle of a file", "gzip"])
def test_standard_input(how: str, tmp_path: Path) -> None:
    data = reference.write_pcap([(10**18, b"abc", 3)] * 5)
    program = (
        "from fabricscope.collectors.capture import CaptureFile\n"
        "from fabricscope.records import allocate_packets\n"
        "with CaptureFile('-') as capture:\n"
        "    rows = capture.read(allocate_packets())[1]\n"
        "    print(rows, capture.taps, capture.format, capture.size_bytes is None)\n"
    )
    command = [sys.executable, "-c", program]
    path = tmp_path / "c"
    path.write_bytes(b"skip" + data if how == "middle of a file" else data)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    if how == "pipe" or how == "gzip":
        content = data if how == "pipe" else gzip.compress(data)
        done = subprocess.run(command, input=content, capture_output=True, env=environment)
    else:
        with path.open("rb") as file:
            if how == "middle of a file":
                os.lseek(file.fileno(), 4, os.SEEK_SET)
            done = subprocess.run(command, stdin=file, capture_output=True, env=environment)
    form = "pcap, gzip" if how == "gzip" else "pcap"
    is_pipe = how in ("pipe", "gzip")
    assert done.stdout.decode() == f"5 ['standard input'] {form} {is_pipe}\n", done.stderr


def test_header_alone_on_a_live_pipe_is_enough_to_open(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    data = reference.write_pcap([(10**18, b"abc", 3)])
    opened = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            file.write(data[:24])
            assert opened.wait(10)
            file.write(data[24:])

    writer = threading.Thread(target=write)
    writer.start()
    with CaptureFile(str(path)) as capture:
        opened.set()
        assert capture.read(allocate_packets(10))[1] == 1
    writer.join()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"GMBU" + bytes(50), "editcap -F pcap"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "is a JPEG picture, not a capture"),
        (b"\xd4\xc3\xb2\xa1\x02\0", "6 of 24 bytes"),
        (gzip.compress(b"hello\n", mtime=0), "is gzip data that holds a file that is a text file"),
        (gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), "unpack it first"),
        (gzip.compress(b"x" * 99, mtime=0)[:10], "the gzip data ends early"),
        (b"\x1f\x8b\x08" + b"\xff" * 50, "the gzip data is damaged"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 50, "the zstd data is damaged"),
    ],
)
def test_what_is_no_capture_is_refused_in_one_sentence(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "given"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as error, CaptureFile(str(path)):
        pass
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert problem in text
    assert "\n" not in text


def test_paths_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="is a directory"), CaptureFile(str(tmp_path)):
        pass
    missing = str(tmp_path / "missing")
    with pytest.raises(CaptureError, match="No such file"), CaptureFile(missing):
        pass


def test_constructor_touches_nothing_and_read_needs_with(tmp_path: Path) -> None:
    capture = CaptureFile(str(tmp_path / "missing"))
    assert (capture.taps, capture.counters.records, capture.position_bytes) == ([], 0, 0)
    with pytest.raises(ValueError, match="with"):
        capture.read(allocate_packets(1))


def test_views_outlive_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(reference.write_pcap([(0, b"abc", 3)]))
    with CaptureFile(str(path)) as capture:
        view, _ = capture.read(allocate_packets(1))
    path.unlink()
    assert view[-3:].tobytes() == b"abc"


def test_descriptors_are_closed(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"no capture")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(CaptureError), CaptureFile(str(path)):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_batches_are_bounded_in_rows_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(reference.write_pcap([(0, bytes(9_000), 9_000)] * 2_500))
    packets = allocate_packets()
    spans = []
    with CaptureFile(str(path)) as capture:
        while count := capture.read(packets)[1]:
            spans.append(int(packets.packet_offset[count - 1] - packets.packet_offset[0]))
    assert len(spans) == 3
    assert max(spans) <= 8 << 20
