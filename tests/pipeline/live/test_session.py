"""The running pipeline against the analysis of the same packets as a file."""

from pathlib import Path

import polars as pl
import pytest

from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document
from fabricscope.pipeline.live.feeds import FileFeed
from fabricscope.pipeline.live.monitor import DETAIL_NO_DPI, Monitor, MonitorOptions
from fabricscope.pipeline.live.overload import Overload
from fabricscope.pipeline.live.session import LiveSession, Second
from fabricscope.records import allocate_packets

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
