"""The running pipeline against the analysis of the same packets as a file."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fabricscope.collectors.capture import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document
from fabricscope.pipeline.live import watch
from fabricscope.pipeline.live.feeds import FileFeed, Losses
from fabricscope.pipeline.live.monitor import DETAIL_NO_DPI, DETAIL_NO_RDMA, Monitor, MonitorOptions
from fabricscope.pipeline.live.overload import Overload
from fabricscope.pipeline.live.session import LiveSession, Second
from fabricscope.records import Packets, allocate_packets, slice_packets

SECOND_NS = 1_000_000_000


def run(
    path: Path, *, speed: float = 0, loops: int = 1, overload: Overload | None = None
) -> tuple[dict[str, pl.DataFrame], LiveSession]:
    """Return every row that a run of a capture told, by table."""
    told: dict[str, list[pl.DataFrame]] = {}

    def listen(second: Second) -> None:
        for name, frame in second.tables.items():
            told.setdefault(name, []).append(frame)

    feed = FileFeed(str(path), speed=speed, loops=loops)
    session = LiveSession(feed, Monitor(MonitorOptions(collector="here")), [listen])
    if overload is not None:
        session.overload = overload
        session.monitor.level, session.monitor.sampling = overload.level, overload.sampling
    session.run()
    feed.close()
    return {name: pl.concat(frames) for name, frames in told.items()}, session


@pytest.fixture(scope="module")
def ring(repository: Path) -> Path:
    return repository / "pcaps" / "slow-link.pcap"


@pytest.mark.parametrize("name", ["slow-link", "loss-before-tap", "loss-after-tap", "congestion"])
def test_samples_add_up_to_what_the_file_says(repository: Path, name: str) -> None:
    path = repository / "pcaps" / f"{name}.pcap"
    tables, session = run(path)
    document = build_document(analyze([str(path)], Options(), lambda *_: None))
    assert tables["tap_samples"]["packets"].sum() == document["capture"]["packets"]
    assert session.packets == document["capture"]["packets"]
    up = tables["link_samples"].filter(pl.col("direction") == "up")
    assert up["bytes"].sum() == document["capture"]["bytes"]
    whole = document["queue_pairs"]
    for sampled, key in {
        "packets": "packets",
        "payload_bytes": "payload_bytes",
        "retransmissions": "retransmissions",
        "naks": "naks",
        "ecn_marked": "ecn_marked",
    }.items():
        expected = sum(pair[key] for pair in whole)
        assert tables["rdma_samples"][sampled].sum() == expected, sampled


def test_iterations_are_told_once(ring: Path) -> None:
    tables, session = run(ring)
    document = build_document(analyze([str(ring)], Options(), lambda *_: None))
    (collective,) = document["collectives"]
    found = tables["iterations"]
    assert found["time_ns"].to_list() == [start for start, _ in collective["iteration_spans"]]
    assert found["operation"].unique().to_list() == ["allreduce"]
    assert found["straggler"].str.contains("10.0.0.2").all()
    assert session.judge.training.jobs


def test_a_loop_goes_on_in_time(ring: Path) -> None:
    tables, session = run(ring, loops=3)
    assert session.packets == 3 * 998
    assert tables["tap_samples"]["packets"].sum() == 3 * 998
    assert tables["tap_samples"]["time_ns"].is_sorted()


def test_a_file_keeps_its_own_pace(ring: Path) -> None:
    feed = FileFeed(str(ring), speed=1e-3, rebase_ns=5 * SECOND_NS)
    packets = allocate_packets(100)
    first = feed.read(packets, 0.01)
    assert first is not None
    assert 0 < first[1].time_ns.size < 100
    assert first[1].time_ns[0] == 5 * SECOND_NS
    assert 5 * SECOND_NS <= feed.now_ns() < 6 * SECOND_NS
    feed.close()


def test_under_overload_every_packet_is_analyzed_or_counted(repository: Path) -> None:
    path = repository / "pcaps" / "slow-link.pcap"
    tables, session = run(path, loops=50, overload=Overload(level=3, sampling=4))
    taps = tables["tap_samples"]
    assert taps["packets"].sum() + taps["skipped"].sum() == session.packets == 50 * 998
    assert taps["skipped"].sum() > taps["packets"].sum()
    assert taps["sampling"].max() == 4
    assert "rdma_samples" not in tables
    assert "iterations" not in tables


def test_detail_is_given_up_step_by_step_and_comes_back() -> None:
    overload = Overload()
    levels = []
    for _ in range(6):
        overload.judge(100, 1.0, 1.0)
        levels.append((overload.level, overload.sampling))
    assert levels == [(1, 1), (2, 1), (3, 2), (3, 4), (3, 8), (3, 16)]
    for _ in range(200):
        overload.judge(0, 0.1, 0.0)
    assert (overload.level, overload.sampling) == (0, 1)
    assert not overload.judge(0, 1.0, 0.1), "busy, but nothing piles up"
    assert overload.judge(0, 1.0, 0.5)


def test_without_payload_analysis_flows_still_come(ring: Path) -> None:
    tables, _ = run(ring, overload=Overload(level=DETAIL_NO_DPI))
    assert tables["link_samples"].height > 0
    assert "application_samples" not in tables


class Clock:
    """A feed of one packet a second on a clock that is set; made of a capture's first packet."""

    waits = True

    def __init__(self, path: Path, times_s: list[float], *, silent: bool = False) -> None:
        self._path = path
        self._times_s = iter(times_s)
        self._now_s = times_s[0]
        self._silent = silent

    def tap_names(self) -> list[str]:
        return ["tap"]

    def read(self, packets: Packets, timeout_s: float) -> tuple[np.ndarray, Packets] | None:
        time_s = next(self._times_s, None)
        if time_s is None:
            return None
        self._now_s = time_s
        if self._silent:
            return np.zeros(0, np.uint8), slice_packets(packets, 0, 0)
        with CaptureFile(str(self._path)) as file:
            view, _ = file.read(packets)
        rows = slice_packets(packets, 0, 1)
        rows.time_ns[:] = int(time_s * SECOND_NS)
        return view, rows

    def stop(self) -> None: ...

    def losses(self) -> dict[int, Losses]:
        return {}

    def waiting_share(self) -> float:
        return 0.0

    def now_ns(self) -> int:
        return int(self._now_s * SECOND_NS)


@pytest.mark.parametrize("back_s", [10, 3_600, 10**9])
@pytest.mark.parametrize("silent", [False, True])
def test_a_clock_that_is_set_back_goes_on(
    ring: Path, back_s: int, silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "STEP_EVERY_S", -1.0)
    before = [10**9 + 100 + k + 0.5 for k in range(5)]
    after = [time_s - back_s + 5 for time_s in before]
    starts: list[int] = []

    def listen(second: Second) -> None:
        starts.append(second.start_ns // SECOND_NS)

    # Silence is told of a second later: what comes next says that it is over.
    clock = Clock(ring, before + after + [after[-1] + 1] * silent, silent=silent)
    session = LiveSession(clock, Monitor(MonitorOptions()), [listen])
    if silent:
        session.sources.append(NoSource())
    session.run()
    told = [int(time_s) for time_s in before + after]
    assert starts == told or (silent and set(told[:4] + told[5:]) <= set(starts))


class NoSource:
    """A source that has nothing to say, with which seconds pass without packets."""

    def poll(self) -> None: ...

    def sample(self, start_ns: int, end_ns: int) -> dict[str, pl.DataFrame]:
        return {}


def test_nobody_copies_queue_pairs_that_nobody_looks_at(ring: Path) -> None:
    monitor = Monitor(MonitorOptions())
    monitor.tap_names = ["tap"]
    packets = allocate_packets()
    feed = FileFeed(str(ring), speed=0)
    batch = feed.read(packets, 0)
    assert batch is not None
    decode(*batch)
    monitor.begin(int(batch[1].time_ns[0]))
    monitor.update(*batch)
    end_ns = int(batch[1].time_ns[-1])
    view = monitor.collect(0, end_ns).transfers
    assert view is not None
    assert 0 < len(view.queue_pairs.queue_pairs) <= len(monitor.queue_pairs.queue_pairs)
    assert view.queue_pairs.queue_pairs.itemsize < 1_300
    monitor.wants_view = lambda: False
    assert monitor.collect(0, end_ns).transfers is None
    monitor.wants_view = lambda: True
    monitor.level = DETAIL_NO_RDMA
    assert monitor.collect(0, end_ns).transfers is None
    assert monitor.collect(0, end_ns, last=True).transfers is not None
