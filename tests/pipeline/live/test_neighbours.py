import numpy as np

from fabricscope.collectors.decode import decode
from fabricscope.pipeline.live.counts import TapCounts
from fabricscope.pipeline.live.judging import SecondJudge
from fabricscope.pipeline.live.monitor import Monitor, MonitorOptions
from fabricscope.pipeline.live.naming import Naming, Place
from fabricscope.pipeline.live.neighbours import NeighbourWatch
from fabricscope.records import Packets, allocate_packets, slice_packets

SECOND_NS = 1_000_000_000


def told(kind: int, value: bytes) -> bytes:
    return (kind << 9 | len(value)).to_bytes(2, "big") + value


def announcement(system: bytes, port: bytes) -> bytes:
    """Return an LLDP frame of a switch port."""
    tlvs = told(1, b"\x04\x02\0\0\0\0\x01") + told(2, b"\x05" + port) + told(3, b"\0\x78")
    tlvs += told(5, system) + told(0, b"")
    return bytes.fromhex("0180c200000e 020000000001 88cc") + tlvs.ljust(46, b"\0")


def batch(frames: list[bytes], taps: list[int]) -> tuple[np.ndarray, Packets]:
    view = np.frombuffer(bytearray(b"".join(frames)), np.uint8)
    rows = slice_packets(allocate_packets(), 0, len(frames))
    lengths = np.array([len(frame) for frame in frames])
    rows.packet_offset[:] = np.cumsum(lengths) - lengths
    rows.captured_length[:] = rows.wire_length[:] = lengths
    rows.link_type[:] = 1
    rows.tap[:] = taps
    rows.time_ns[:] = 7 * SECOND_NS
    decode(view, rows)
    return view, rows


def test_frames_tell_who_is_at_a_tap() -> None:
    watch = NeighbourWatch()
    frames = [announcement(b"leaf1", b"swp49"), announcement(b"spine1", b"swp1"), bytes(60)]
    view, rows = batch(frames, [0, 1, 1])
    watch.update(view, rows)
    watch.update(view, rows)
    assert watch.rows(["eth1", "eth2"]) == (
        {"tap": "eth1", "system": "leaf1", "port": "swp49"},
        {"tap": "eth2", "system": "spine1", "port": "swp1"},
    )
    assert watch.rows(["eth1"]) == ({"tap": "eth1", "system": "leaf1", "port": "swp49"},)


def test_a_tap_named_so_counts_for_its_link() -> None:
    naming = Naming(neighbours={("leaf1", "swp49"): Place("leaf1-spine1", "up")})
    monitor = Monitor(MonitorOptions("here", naming))
    judge = SecondJudge("here", naming)
    monitor.tap_names = ["eth1"]
    monitor.begin(7 * SECOND_NS)
    monitor.update(*batch([announcement(b"leaf1", b"swp49")], [0]))
    counts = monitor.collect(7 * SECOND_NS, 8 * SECOND_NS)
    assert counts.taps == {"eth1": TapCounts(packets=1, bytes=60)}
    (row,) = judge.tables(counts)["link_samples"].to_dicts()
    assert (row["link"], row["direction"], row["packets"]) == ("leaf1-spine1", "up", 1)
