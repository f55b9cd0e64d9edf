"""What several processes count of shared packets, added up, against one that sees them all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from fabricscope.analyzers.links.counting import MAX_LINKS, LinkCounts
from fabricscope.analyzers.links.layout import BINS, COUNT_DTYPE
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.collectors.capture import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.pipeline.live.counts import SecondCounts, add_up
from fabricscope.pipeline.live.differences import QueuePairDifferences
from fabricscope.pipeline.live.judging import SecondJudge
from fabricscope.pipeline.live.links import LinkJudge
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.naming import Naming, Place
from fabricscope.records import Packets, allocate_packets, slice_packets

SECOND_NS = 1_000_000_000


def batches(path: Path) -> Iterator[tuple[np.ndarray, Packets]]:
    packets = allocate_packets()
    with CaptureFile(str(path)) as file:
        while True:
            view, count = file.read(packets)
            if not count:
                return
            rows = slice_packets(packets, 0, count)
            decode(view, rows)
            yield view, rows


def shared(rows: Packets, processes: int) -> np.ndarray:
    """Return which process each packet goes to: by its two addresses, whichever is first."""
    both = rows.src_lo + rows.dst_lo + rows.src_hi + rows.dst_hi
    return (both * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(40)) % np.uint64(processes)


def count(path: Path, processes: int, naming: Naming) -> dict[str, pl.DataFrame]:
    """Return the rows of a capture that so many processes share, as one interval."""
    monitors = [Monitor(MonitorOptions("here", naming)) for _ in range(processes)]
    start_ns = end_ns = 0
    for view, rows in batches(path):
        if not start_ns:
            start_ns = int(rows.time_ns[0])
            for monitor in monitors:
                monitor.tap_names = ["tap"]
                monitor.begin(start_ns)
        end_ns = int(rows.time_ns[-1]) + 1
        own = shared(rows, processes)
        for number, monitor in enumerate(monitors):
            part = Packets._make(column[own == number] for column in rows)
            monitor.update(view, part)
    counts = [monitor.collect(start_ns, end_ns, last=True) for monitor in monitors]
    assert processes == 1 or sum(bool(part.taps) for part in counts) > 1, "nothing is shared"
    return SecondJudge("here", naming).tables(add_up(counts))


@pytest.mark.parametrize("name", ["slow-link.pcap", "two-jobs.pcap", "halving-doubling.pcap.gz"])
@pytest.mark.parametrize("processes", [2, 3])
def test_the_sum_is_what_one_process_counts(repository: Path, name: str, processes: int) -> None:
    path = repository / "pcaps" / name
    naming = Naming(taps={"tap": Place("leaf0-spine0", "up")})
    whole = count(path, 1, naming)
    parts = count(path, processes, naming)
    assert set(parts) == set(whole)
    assert whole["iterations"].height > 0
    for table, keys in {
        "tap_samples": ["tap"],
        "link_samples": ["link", "direction"],
        "rdma_samples": ["src", "dst", "dest_qp"],
        "iterations": ["time_ns"],
        "job_samples": ["job"],
    }.items():
        one, other = (frame[table].sort(keys) for frame in (whole, parts))
        if table == "job_samples":
            one, other = one.drop("diagnosis"), other.drop("diagnosis")
        assert_frame_equal(one, other, abs_tol=1e-9), table
    assert whole["flows"].height == parts["flows"].height


def test_a_tap_that_stands_for_a_link_counts_for_it(repository: Path) -> None:
    path = repository / "pcaps" / "slow-link.pcap"
    tables = count(path, 1, Naming(taps={"tap": Place("leaf0-spine0", "up")}, rates={
        "leaf0-spine0": 400.0}))  # fmt: skip
    (row,) = tables["link_samples"].filter(pl.col("link") == "leaf0-spine0").to_dicts()
    (tap,) = tables["tap_samples"].to_dicts()
    assert (row["packets"], row["bytes"], row["direction"]) == (tap["packets"], tap["bytes"], "up")
    assert row["rate_gbps"] == 400.0
    assert row["burst"] > row["utilization"] > 0


def counted(hosts: np.ndarray) -> LinkCounts:
    """Return a packet up and one down of each of these hosts."""
    ends = np.stack([np.ones(hosts.size, np.uint64), hosts.astype(np.uint64)], axis=1)
    counts = np.zeros((hosts.size, 2), COUNT_DTYPE)
    counts["packets"] = counts["bytes"] = 1
    return LinkCounts(ends, counts, np.zeros((hosts.size, 2, BINS), np.int64), 0)


def seconds_of(links: LinkCounts) -> SecondCounts:
    empty = pl.DataFrame()
    rdma = QueuePairDifferences().take(QueuePairTable(capacity=8, flow_capacity=8), 0)
    return SecondCounts(0, SECOND_NS, {}, {}, (), links, rdma, empty, empty, empty, None)


def test_processes_see_more_hosts_together_than_there_are_baselines() -> None:
    judge = LinkJudge("here", Naming())
    hosts = np.arange(MAX_LINKS + 100)
    halves = [counted(half) for half in np.array_split(hosts, 2)]
    total = add_up([seconds_of(half) for half in halves])
    rows = judge.samples(total, {})
    assert rows.height == 2 * hosts.size
    assert rows["link"].n_unique() == hosts.size
    # Hosts that are counted no more make room for others, under names of their own.
    later = judge.samples(seconds_of(counted(np.arange(1 << 20, (1 << 20) + 50))), {})
    assert later.height == 100
    assert not set(later["link"]) & set(rows["link"])
    assert judge.samples(total, {})["link"].to_list() == rows["link"].to_list()


def test_what_found_no_room_is_added_up_and_never_falls() -> None:
    links = counted(np.arange(2))
    parts = [seconds_of(links), seconds_of(links)]
    parts[0].left_out, parts[1].left_out = {"transfers": 3, "flows": 1}, {"transfers": 4}
    judge = SecondJudge("here", Naming())
    judge.tables(add_up(parts))
    assert judge.left_out == {"transfers": 7, "flows": 1}
    judge.tables(parts[1])
    assert judge.left_out == {"transfers": 7, "flows": 1}
