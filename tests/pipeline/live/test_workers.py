"""Several processes that read one mirror port, against the capture that was sent into it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from wires import Cable

from fabricscope.collectors.capture import CaptureFile
from fabricscope.records import allocate_packets
from fabricscope.store import DeltaStore

START_S = 180.0


def frames_of(path: Path) -> list[bytes]:
    packets = allocate_packets()
    frames = []
    with CaptureFile(str(path)) as file:
        while True:
            view, count = file.read(packets)
            if not count:
                return frames
            for row in range(count):
                start = int(packets.packet_offset[row])
                frames.append(view[start : start + int(packets.captured_length[row])].tobytes())


class Collector:
    """`fabricscope live` on a wire, with two processes, until it is told to stop."""

    def __init__(self, repository: Path, cable: Cable, store: Path, *options: str) -> None:
        self.store = DeltaStore(store)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "fabricscope", "live", "--interface", cable.near),
                *("--processes", "2", "--store", str(store), "--collector", "here", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(repository / "src")},
        )

    def wait_for_rows(self) -> None:
        """Wait for the first second: all processes are ready then."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            if self.store.query("tap_samples", 0, 1 << 62).height:
                return
            time.sleep(0.2)
        raise TimeoutError(self.process.communicate(timeout=5))

    def children(self) -> list[int]:
        """Return the processes that read rings."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [
            pid
            for pid in map(int, listed.split())
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[str, str]:
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)


@pytest.mark.root
@pytest.mark.slow
def test_what_is_sent_is_counted_once_by_all_together(
    repository: Path, cable: Cable, tmp_path: Path
) -> None:
    frames = frames_of(repository / "pcaps" / "shared-hosts.pcap.gz")
    for end in (cable.far, cable.near):
        subprocess.run(["ip", "link", "set", end, "mtu", "9000"], check=True)
    collector = Collector(repository, cable, tmp_path / "store", "--user", "root")
    collector.wait_for_rows()
    assert len(collector.children()) == 2
    for begin in range(0, len(frames), 50):
        cable.send(frames[begin : begin + 50])
        time.sleep(0.005)
    out, errors = collector.stop()
    assert collector.process.returncode == 0, errors
    assert f"{len(frames):,} packets analyzed, 0 dropped" in " ".join(out.split())
    taps = collector.store.query("tap_samples", 0, 1 << 62)
    assert taps["packets"].sum() == len(frames)
    assert taps["bytes"].sum() == sum(map(len, frames))
    assert taps.select("time_ns", "tap").is_unique().all()
    links = collector.store.query("link_samples", 0, 1 << 62).filter(pl.col("source") == "mirror")
    assert links.select("time_ns", "link", "direction").is_unique().all()
    assert links.filter(pl.col("direction") == "up")["bytes"].sum() == sum(map(len, frames))


@pytest.mark.root
@pytest.mark.slow
def test_a_process_that_dies_is_told_in_a_sentence(
    repository: Path, cable: Cable, tmp_path: Path
) -> None:
    collector = Collector(repository, cable, tmp_path / "store", "--quiet")
    collector.wait_for_rows()
    os.kill(collector.children()[1], signal.SIGKILL)
    _, errors = collector.process.communicate(timeout=60)
    assert collector.process.returncode == 2
    assert re.search(r"process \d of 2 that read the mirror ports ended unexpectedly", errors)
    assert "Traceback" not in errors


@pytest.mark.root
@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(
    repository: Path, cable: Cable, tmp_path: Path
) -> None:
    collector = Collector(repository, cable, tmp_path / "store", "--quiet")
    collector.wait_for_rows()
    children = collector.children()
    collector.stop(signal.SIGKILL)
    end = time.monotonic() + 30
    while time.monotonic() < end and any(Path(f"/proc/{pid}").exists() for pid in children):
        time.sleep(0.1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
