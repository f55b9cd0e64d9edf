"""Training jobs while they run: what changes is seen soon, though the window remembers."""

from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.collectors.synthetic import generate
from fabricscope.pipeline.live.feeds import FileFeed
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.session import LiveSession, Second
from fabricscope.records import BATCH_ROWS

FILE_HEADER = 24
START_S = 1_750_000_000
HEALTHY_S = 10
RECIPE = """
[network]
hosts = 4

[transport]
initial_psn = "random"

[capture]
snaplen = 128
start_s = {start}

[[workloads]]
kind = "allreduce"
algorithm = "ring"
message_bytes = 262144
slice_bytes = 65536
iterations = {iterations}
compute_us = 100000.0
"""
SLOW = """
[[faults]]
kind = "slow_link"
host = 1
direction = "up"
rate_gbps = 10.0
"""


def made(folder: Path, name: str, recipe: str, seed: int) -> bytes:
    source = folder / f"{name}.toml"
    source.write_text(recipe, encoding="utf-8")
    generate(str(source), str(folder / f"{name}.pcap"), seed=seed)
    return (folder / f"{name}.pcap").read_bytes()


def test_a_link_that_slows_down_is_named_within_five_seconds(tmp_path: Path) -> None:
    """The first ten seconds run well and stay in the window."""
    before = made(tmp_path, "before", RECIPE.format(start=START_S, iterations=95), 1)
    recipe = RECIPE.format(start=START_S + HEALTHY_S, iterations=70) + SLOW
    after = made(tmp_path, "after", recipe, 2)
    (tmp_path / "both.pcap").write_bytes(before + after[FILE_HEADER:])
    seconds: list[Second] = []
    feed = FileFeed(str(tmp_path / "both.pcap"), speed=0)
    session = LiveSession(feed, Monitor(MonitorOptions()))
    session.listeners.append(seconds.append)
    session.run()
    feed.close()
    links = pl.concat(
        [one.tables["link_samples"] for one in seconds if "link_samples" in one.tables]
    )
    slower = links.filter(pl.col("reasons").str.contains("slower than its peers"))
    assert set(slower.select("link", "direction").unique().rows()) == {("10.0.0.2", "up")}
    first_s = slower["time_ns"].min() / 1e9 - START_S  # type: ignore[operator]
    assert HEALTHY_S <= first_s <= HEALTHY_S + 3
    jobs = pl.concat([one.tables["job_samples"] for one in seconds if "job_samples" in one.tables])
    assert jobs.filter(pl.col("time_ns") <= (START_S + HEALTHY_S) * 10**9)["diagnosis"].max() == ""
    assert "10.0.0.2" in jobs.sort("time_ns")["diagnosis"][-1]


def told(path: Path, monitor: Monitor) -> dict[str, pl.DataFrame]:
    """Return what a run said of jobs and queue pairs from the second job's start on."""
    seconds: list[Second] = []
    feed = FileFeed(str(path), speed=0)
    LiveSession(feed, monitor, [seconds.append]).run()
    feed.close()
    after = [one for one in seconds if one.start_ns >= (START_S + 200) * 10**9]
    return {
        name: pl.concat([one.tables[name] for one in after if name in one.tables])
        for name in ("iterations", "job_samples", "rdma_samples")
    }


def test_a_job_that_is_started_anew_finds_room(tmp_path: Path) -> None:
    """Full tables forget the first job, and say of the second what they say of it alone."""
    first = made(tmp_path, "first", RECIPE.format(start=START_S, iterations=20), 1)
    recipe = RECIPE.format(start=START_S + 200, iterations=30).replace("hosts = 4", "hosts = 6")
    second = made(tmp_path, "second", recipe, 2)
    (tmp_path / "both.pcap").write_bytes(first + second[FILE_HEADER:])
    roomy, alone = Monitor(MonitorOptions()), Monitor(MonitorOptions())
    wanted = told(tmp_path / "second.pcap", alone)
    told(tmp_path / "both.pcap", roomy)
    tight = Monitor(MonitorOptions())
    tight.queue_pairs = QueuePairTable(
        capacity=roomy.queue_pairs.slots, batch_rows=BATCH_ROWS, queue_entries=4_096
    )
    channels = len(roomy.transfers._analyzer.channels)
    tight.transfers._analyzer = CollectiveAnalyzer(max_channels=channels, max_transfers=1 << 18)
    found = told(tmp_path / "both.pcap", tight)
    assert roomy.queue_pairs.slots > tight.queue_pairs.slots == alone.queue_pairs.slots
    assert channels > len(tight.transfers._analyzer.channels)
    assert not any(tight.left_out().values())
    assert wanted["iterations"].height == 30
    for name, frame in wanted.items():
        order = [key for key in ("time_ns", "src", "dest_qp") if key in frame.columns]
        assert_frame_equal(found[name].sort(order), frame.sort(order))
