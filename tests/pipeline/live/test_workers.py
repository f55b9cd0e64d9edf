"""Several processes that read one mirror port, against the capture that was sent into it."""

import multiprocessing
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

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.links.counting import LinkCounter
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.collectors.capture import CaptureFile
from fabricscope.pipeline.live.counts import SecondCounts
from fabricscope.pipeline.live.differences import QueuePairDifferences
from fabricscope.pipeline.live.monitor import MonitorOptions
from fabricscope.pipeline.live.transfers import TransferView, view_of
from fabricscope.pipeline.live.workers import Sender, SharedSession, Workers
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


def part(second: int, *, view: TransferView | None) -> SecondCounts:
    """Return what a process counted in a second: nothing, with or without a view."""
    empty = pl.DataFrame()
    rdma = QueuePairDifferences().take(QueuePairTable(capacity=8, flow_capacity=8), 0)
    links = LinkCounter(flow_capacity=8, max_links=8).sample(0)
    start_ns = second * 10**9
    return SecondCounts(
        start_ns, start_ns + 10**9, {}, {}, (), links, rdma, empty, empty, empty, view
    )


def told_of(*arrivals: tuple[int, SecondCounts]) -> list[tuple[int, bool]]:
    """Return the seconds that were told, and whether each had transfers of all processes."""
    session = SharedSession(MonitorOptions(), Workers([], MonitorOptions(), lambda: None))
    session._reached_ns = [0, 0]
    told: list[tuple[int, bool]] = []

    def tell(counts: SecondCounts) -> None:
        told.append((counts.start_ns // 10**9, counts.transfers is not None))

    session.tell = tell  # type: ignore[method-assign]
    for number, counts in arrivals:
        session._take(number, counts)
        session._tell_complete()
    return told


def empty_view() -> TransferView:
    table = QueuePairTable(capacity=8, flow_capacity=8)
    return view_of(CollectiveAnalyzer(flow_capacity=8, max_channels=8, max_transfers=8), table)


def test_jobs_are_looked_for_where_every_process_tells_its_transfers() -> None:
    view = empty_view()
    told = told_of(
        (0, part(10, view=view)),
        (1, part(10, view=view)),
        (0, part(11, view=view)),
        (1, part(11, view=None)),
        (0, part(12, view=view)),
        (0, part(13, view=view)),
        (1, part(12, view=view)),
        (1, part(13, view=view)),
    )
    assert told == [(10, True), (11, False), (12, True), (13, True)]


def test_seconds_before_a_clock_was_set_back_are_told_at_once() -> None:
    told = told_of(
        (0, part(100, view=None)),
        (1, part(100, view=None)),
        (0, part(101, view=None)),
        (0, part(50, view=None)),
        (1, part(101, view=None)),
        (1, part(50, view=None)),
        (0, part(51, view=None)),
        (1, part(51, view=None)),
    )
    # While one process has gone back and the other not, each one's second is told by itself.
    seconds = [second for second, _ in told]
    assert set(seconds) == {100, 101, 50, 51}
    assert (seconds[0], seconds[-1], len(seconds)) == (100, 51, 6)


def test_a_sender_hands_on_everything_and_says_when_it_lags() -> None:
    ours, theirs = multiprocessing.Pipe()
    sender = Sender(theirs)
    for second in range(3):
        sender.put(part(second, view=None))
    assert [ours.recv().start_ns for _ in range(3)] == [0, 10**9, 2 * 10**9]
    sender._waiting.join()
    assert sender.idle()
    big = part(3, view=None)
    big.left_out = {str(number): number for number in range(200_000)}  # more than a pipe holds
    sender.put(big)
    assert not sender.idle()
    assert ours.recv().left_out == big.left_out
    sender.close()
    assert ours.recv() is None
