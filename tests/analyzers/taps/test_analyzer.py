"""Several taps end to end: made ones with known truth, and real captures."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fabricscope.analyzers.taps.analyzer import TapAnalyzer, TapResult
from fabricscope.analyzers.taps.merge import Batch, merge
from fabricscope.collectors.capture import CaptureFile
from fabricscope.collectors.decode import decode
from fabricscope.records import (
    BATCH_ROWS,
    FLAG_DUPLICATE,
    PROTOCOLS,
    TUNNELS,
    Packets,
    allocate_packets,
    slice_packets,
)
from reference.taps_traffic import START_NS, Clock, Run, frozen, rows, three_taps

NAMES = ["a.pcap", "b.pcap", "c.pcap"]
ROCE_V2 = PROTOCOLS.index("roce_v2")
VIEW = frozen(bytes(64))


def analyze(run: Run) -> tuple[TapResult, int]:
    """Return the result and the number of packets marked as duplicates."""
    analyzer = TapAnalyzer(NAMES)
    for view, packets in run.taps:
        analyzer.sample(view, packets)
    analyzer.fit()
    marked = 0
    for view, packets in merge(analyzer, [iter([batch]) for batch in run.taps]):
        analyzer.mark(view, packets)
        marked += int(((packets.flags & FLAG_DUPLICATE) != 0).sum())
    return analyzer.finish(), marked


@pytest.mark.parametrize("offset_ns", [0, 400_000, -30_000_000_000])
def test_every_packet_counts_once(offset_ns: int) -> None:
    clocks = [Clock(), Clock(offset_ns), Clock(-offset_ns // 3)]
    run = three_taps(np.random.default_rng(1), clocks)
    result, marked = analyze(run)
    assert marked == result.duplicate_packets == run.sightings - run.distinct
    assert result.packets == run.sightings
    assert [tap.name for tap in result.taps] == NAMES
    for tap, clock in zip(result.taps, clocks, strict=True):
        assert tap.clock_offset_us is not None
        assert tap.offset_error_us is not None
        assert abs(tap.clock_offset_us - clock.offset_ns / 1e3) <= tap.offset_error_us
        assert tap.lost_packets == tap.absent_packets == tap.unjudged_packets == 0


@pytest.mark.parametrize("seed", range(3))
def test_losses_are_found_and_told_apart(seed: int) -> None:
    run = three_taps(
        np.random.default_rng(seed),
        [Clock(), Clock(250_000, 12.0), Clock(-90_000)],
        packets=5_000,
        collector_loss=0.01,
        network_loss=0.005,
    )
    result, marked = analyze(run)
    assert marked == run.sightings - run.distinct
    for tap, report in enumerate(result.taps):
        # A packet that two collectors missed is one that nobody can count.
        lost = run.collector_lost[tap] + run.network_lost[tap]
        assert report.lost_packets == pytest.approx(lost, abs=2)
        assert report.network_lost_packets == pytest.approx(run.network_lost[tap], abs=3)
        assert report.collector_lost_packets == report.lost_packets - report.network_lost_packets
        assert 0 < len(report.examples) <= 32
        for example in report.examples:
            assert example.tap != report.name
            assert example.frame > 0


def test_drift_is_reported_and_taken_out() -> None:
    clocks = [Clock(), Clock(1_000_000, 40.0), Clock()]
    run = three_taps(np.random.default_rng(1), clocks, packets=3_000, spacing_ns=3_000_000)
    result, marked = analyze(run)
    assert result.taps[1].drift_ppm == pytest.approx(40.0, abs=0.05)
    assert result.taps[0].drift_ppm is None
    assert marked == run.sightings - run.distinct


def test_mirror_sessions_of_one_capture_are_taps() -> None:
    analyzer = TapAnalyzer(["mirror.pcap"])
    packets = rows(
        20,
        psn=np.arange(20) // 2,
        ip_id=np.arange(20) // 2,
        tunnel_kinds=TUNNELS.index("erspan"),
        tunnel_ids_low=np.arange(20) % 2 + 10,
    )
    analyzer.align(VIEW, packets)
    analyzer.mark(VIEW, packets)
    assert ((packets.flags & FLAG_DUPLICATE) != 0).tolist() == [False, True] * 10
    assert packets.tap.tolist() == [0, 1] * 10
    names = [tap.name for tap in analyzer.finish().taps]
    assert names == ["mirror.pcap ERSPAN session 10", "mirror.pcap ERSPAN session 11"]


def test_live_marks_without_a_first_pass() -> None:
    analyzer = TapAnalyzer(["eth0", "eth1"])
    packets = rows(4, psn=[1, 1, 2, 2], ip_id=0, tap=[0, 1, 1, 0])
    analyzer.align(VIEW, packets)
    analyzer.mark(VIEW, packets)
    assert ((packets.flags & FLAG_DUPLICATE) != 0).tolist() == [False, True, False, True]
    report = analyzer.finish().taps[1]
    assert report.clock_offset_us is None


def test_memory_smaller_than_a_batch() -> None:
    analyzer = TapAnalyzer(["a", "b"], remembered_packets=64)
    packets = rows(2_000, psn=np.arange(2_000) // 2, ip_id=0, tap=np.arange(2_000) % 2)
    analyzer.align(VIEW, packets)
    analyzer.mark(VIEW, packets)
    result = analyzer.finish()
    assert result.duplicate_packets == 1_000
    assert result.forced_out > 900
    assert result.shortest_memory_ns is not None


def test_no_packets() -> None:
    analyzer = TapAnalyzer([])
    analyzer.sample(VIEW, rows(0))
    assert analyzer.fit() == []
    analyzer.align(VIEW, rows(0))
    analyzer.mark(VIEW, rows(0))
    assert analyzer.finish().taps == ()


def test_passes_out_of_order_are_refused() -> None:
    analyzer = TapAnalyzer([])
    analyzer.fit()
    with pytest.raises(ValueError, match="before fit"):
        analyzer.sample(VIEW, rows(1))
    with pytest.raises(ValueError, match="once"):
        analyzer.fit()


def test_a_tap_that_appears_after_the_fit_keeps_its_time() -> None:
    analyzer = TapAnalyzer(["a", "b", "c"])
    run = three_taps(np.random.default_rng(1), [Clock(), Clock(5_000_000), Clock()])
    for view, packets in run.taps[:2]:
        analyzer.sample(view, packets)
    analyzer.fit()
    packets = rows(3, tap=[0, 1, 2], time_ns=START_NS)
    analyzer.align(VIEW, packets)
    shifts = (packets.time_ns - START_NS).tolist()
    assert shifts[0] == shifts[2] == 0
    assert shifts[1] == pytest.approx(-5_000_000, abs=5_000)


@pytest.mark.parametrize("seed", range(5))
def test_odd_columns_break_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    analyzer = TapAnalyzer(["a"], remembered_packets=256, samples=100)
    batches = []
    for _ in range(4):
        packets = rows(300)
        for name in Packets._fields:
            column = getattr(packets, name)
            limits = np.iinfo(column.dtype)
            column[:] = rng.integers(limits.min // 4, limits.max // 4, 300)
        packets.tap[:] = rng.integers(0, 70, 300)
        packets.packet_offset[:] = rng.integers(-10, 300, 300)
        packets.payload_offset[:] = packets.packet_offset + rng.integers(-5, 100, 300)
        packets.captured_length[:] = rng.choice([0, 1, 60, 2_000, 1 << 31], 300)
        packets.psn[:] %= 4
        packets.protocol[:] = rng.integers(0, 255, 300)
        batches.append((frozen(rng.bytes(256)), packets))
    for view, packets in batches:
        analyzer.sample(view, packets)
    analyzer.fit()
    total = 0
    for view, packets in merge(analyzer, [iter(batches[:2]), iter(batches[2:])]):
        analyzer.mark(view, packets)
        total += packets.time_ns.size
    assert total == 1_200
    assert analyzer.finish().packets == 1_200


def read(path: Path, tap: int = 0) -> Iterator[Batch]:
    """Yield a capture's decoded batches."""
    packets = allocate_packets(BATCH_ROWS)
    with CaptureFile(path, first_tap=tap) as capture:
        while True:
            view, count = capture.read(packets)
            if count == 0:
                return
            part = slice_packets(packets, 0, count)
            decode(view, part)
            yield view, part


def test_nccl_ring_from_three_hosts(captures: Path) -> None:
    paths = [captures / "nccl" / f"ring2_node{node}.pcap" for node in range(3)]
    analyzer = TapAnalyzer([path.name for path in paths])
    for tap, path in enumerate(paths):
        for view, packets in read(path, tap):
            analyzer.sample(view, packets)
    analyzer.fit()
    roce = distinct = 0
    first: dict[tuple[int, ...], tuple[int, int]] = {}
    delays: dict[tuple[int, int], list[int]] = {}
    for view, packets in merge(analyzer, [read(path, tap) for tap, path in enumerate(paths)]):
        analyzer.mark(view, packets)
        duplicate = (packets.flags & FLAG_DUPLICATE) != 0
        for row in np.flatnonzero(packets.protocol == ROCE_V2).tolist():
            roce += 1
            names = ("src_lo", "dst_lo", "opcode", "dest_qp", "psn")
            key = tuple(int(getattr(packets, name)[row]) for name in names)
            tap, time_ns = int(packets.tap[row]), int(packets.time_ns[row])
            if not duplicate[row]:
                distinct += 1
                first[key] = (tap, time_ns)
            else:
                delays.setdefault((first[key][0], tap), []).append(time_ns - first[key][1])
    assert (roce, distinct) == (552, 276)
    # Each packet leaves one host and arrives at another: six directions, none of them backwards.
    assert sorted(delays) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    for values in delays.values():
        assert len(values) >= 32
        assert 0 < min(values) < 50_000
        assert np.median(values) < 200_000
    result = analyzer.finish()
    for report in result.taps[1:]:
        assert report.clock_offset_us is not None
        assert report.offset_error_us is not None
        assert abs(report.clock_offset_us) < 100
        assert report.offset_error_us < 50
        assert report.lost_packets == 0


SINGLE_TAPS = ("rdma", "nccl", "collectives", "encap/tcpdump", "encap/scapy")


@pytest.mark.parametrize("folder", SINGLE_TAPS)
def test_one_tap_never_sees_duplicates(captures: Path, folder: str) -> None:
    paths = sorted((captures / folder).glob("*.pcap*"))
    assert paths
    for path in paths:
        analyzer = TapAnalyzer([path.name])
        mirrored = False
        for view, packets in read(path):
            mirrored |= bool((packets.tunnel_kinds != 0).any())
            analyzer.align(view, packets)
            analyzer.mark(view, packets)
        result = analyzer.finish()
        if len(result.taps) == 1:
            assert result.duplicate_packets == 0, path.name
            assert result.taps[0].lost_packets == 0
        else:
            assert mirrored, path.name
