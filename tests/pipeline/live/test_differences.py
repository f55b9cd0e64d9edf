"""Rows of queue pairs: those that did anything, and for a while those that stall."""

from pathlib import Path

import pytest

from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.live.feeds import FileFeed
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.session import LiveSession

SECOND_NS = 1_000_000_000


@pytest.fixture
def stalled(tmp_path: Path) -> tuple[Monitor, int]:
    """Return a monitor that has seen a transfer break off, and the end of its second, ns."""
    path = str(tmp_path / "stalled.pcap")
    generate("stalled", path)
    feed = FileFeed(path, speed=0)
    session = LiveSession(feed, Monitor(MonitorOptions(collector="here")))
    ends: list[int] = []
    session.listeners.append(lambda second: ends.append(second.end_ns))
    session.run()
    feed.close()
    return session.monitor, ends[-1]


def test_a_stalled_queue_pair_is_told_while_it_is_news(stalled: tuple[Monitor, int]) -> None:
    monitor, end_ns = stalled
    seconds = []
    for second in (*range(1, 13), 29, 30, 31, 59, 60, 61, 570, 600, 630):
        start_ns = end_ns + (second - 1) * SECOND_NS
        counts = monitor.collect(start_ns, start_ns + SECOND_NS, {})
        for row in counts.rdma.iter_rows(named=True):
            assert (row["src"], row["dst"]) == ("10.0.0.1", "10.0.0.2")
            assert (row["state"], row["packets"]) == ("stalled", 0)
            seconds.append(second)
    assert seconds == [*range(1, 10), 30, 60, 570]
