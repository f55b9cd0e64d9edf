import numpy as np

from fabricscope.collectors.decode import decode
from fabricscope.collectors.mirror.tunnels import MirrorTunnels
from fabricscope.pipeline.live.duplicates import DuplicateMarker
from fabricscope.pipeline.live.judging import SecondJudge
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.naming import Naming
from fabricscope.records import FLAG_DUPLICATE, Packets, allocate_packets, slice_packets

SECOND_NS = 1_000_000_000


def frames(count: int, first: int = 0) -> list[bytes]:
    """Return RoCE v2 WRITE-only packets of one queue pair, PSNs counting up."""
    made = []
    for psn in range(first, first + count):
        ip = bytes.fromhex("4500003c000040004011000001020304050607082bb712b700280000")
        bth = bytes.fromhex("0a40ffff00000007") + psn.to_bytes(4, "big")
        made.append(bytes(range(12)) + b"\x08\x00" + ip + bth + bytes(20))
    return made


def frames_at(tap: int, made: list[bytes], time_ns: int) -> tuple[np.ndarray, Packets]:
    view = np.frombuffer(b"".join(made), np.uint8)
    packets = slice_packets(allocate_packets(len(made)), 0, len(made))
    packets.captured_length[:] = packets.wire_length[:] = len(made[0])
    packets.packet_offset[:] = np.arange(len(made)) * len(made[0])
    packets.link_type[:] = 1
    packets.tap[:] = tap
    packets.time_ns[:] = time_ns + np.arange(len(made)) * 1_000
    decode(view, packets)
    return view, packets


def marked(packets: Packets) -> int:
    return int(np.count_nonzero(packets.flags & np.uint32(FLAG_DUPLICATE)))


def test_the_second_tap_s_copies_are_marked() -> None:
    marker = DuplicateMarker()
    batches = [frames_at(tap, frames(100), 10**18 + tap * 50_000_000) for tap in (0, 1, 1, 0)]
    for view, packets in batches[:1]:
        marker.mark(view, packets)
    assert marked(batches[0][1]) == 0
    # The second tap was not known before, so the first batch is not remembered.
    fresh = frames_at(0, frames(100, 100), 10**18)
    copies = frames_at(1, frames(100, 100), 10**18 + 50_000_000)
    marker.mark(*frames_at(1, frames(1, 999), 10**18))
    marker.mark(*fresh)
    marker.mark(*copies)
    assert (marked(fresh[1]), marked(copies[1])) == (0, 100)
    # Sent again by the sender: seen at both taps once more, and new at the first of them.
    again = frames_at(0, frames(100, 100), 10**18 + 100_000_000)
    marker.mark(*again)
    assert marked(again[1]) == 0


def test_memory_is_bounded_and_says_so() -> None:
    marker = DuplicateMarker(remembered_packets=64)
    marker.mark(*frames_at(1, frames(1, 9_999), 10**18))
    for start in range(0, 640, 32):
        marker.mark(*frames_at(0, frames(32, start), 10**18))
    assert marker.counters["forced_out"] > 500
    late = frames_at(1, frames(32, 0), 10**18)
    marker.mark(*late)
    assert marked(late[1]) == 0


def test_a_monitor_counts_a_packet_of_two_taps_once() -> None:
    """Every tap says what came to it; links, queue pairs and flows know each packet once."""
    monitor = Monitor(MonitorOptions("here", Naming(default_rate_gbps=1.0)))
    monitor.tap_names = MirrorTunnels(["erspan"], ["eth0", "erspan 10"]).names()
    start_ns = 10**18
    monitor.begin(start_ns)
    monitor.update(*frames_at(1, frames(1), start_ns))
    for first in range(0, 500, 100):
        for tap in (0, 1):
            made = frames(100, first + 1)
            monitor.update(*frames_at(tap, made, start_ns + (first + 1) * 100_000))
    counts = monitor.collect(start_ns, start_ns + SECOND_NS)
    tables = SecondJudge("here", monitor.options.naming).tables(counts)
    taps = {row["tap"]: row for row in tables["tap_samples"].iter_rows(named=True)}
    assert (taps["eth0"]["packets"], taps["eth0"]["duplicates"]) == (500, 0)
    assert (taps["erspan 10"]["packets"], taps["erspan 10"]["duplicates"]) == (501, 500)
    assert tables["link_samples"]["packets"].to_list() == [501, 501]
    rdma = tables["rdma_samples"]
    assert rdma["packets"].sum() == 501
    assert rdma["retransmissions"].sum() == 0
