"""Names and indexes of taps."""

import numpy as np

from fabricscope.analyzers.taps.layout import MAX_TAPS
from fabricscope.analyzers.taps.registry import TapRegistry
from fabricscope.records import TUNNELS
from reference.taps_traffic import frozen, rows

ERSPAN = TUNNELS.index("erspan")
VIEW = frozen(bytes(64))


def test_sources_and_sessions_have_names() -> None:
    names = ["a.pcap"]
    registry = TapRegistry(names)
    packets = rows(
        4, tap=[0, 0, 1, 7], tunnel_kinds=[0, ERSPAN, 0, 0], tunnel_ids_low=[0, 10, 0, 0]
    )
    assert registry.resolve(VIEW, packets).tolist() == [0, 1, 2, 3]
    names.append("b.pcap/eth1")  # learned later
    assert [registry.name(index) for index in registry.indexes] == [
        "a.pcap",
        "a.pcap ERSPAN session 10",
        "b.pcap/eth1",
        "tap 7",
    ]
    assert registry.resolve(VIEW, packets).tolist() == [0, 1, 2, 3]


def test_switches_with_the_same_session_are_named() -> None:
    header = b"\x45" + bytes(11)
    six = b"\x60" + bytes(7) + bytes(15) + b"\x01" + bytes(16)
    view = frozen(
        b"\x00" + header + bytes([10, 0, 0, 1]) + bytes(4) + header + bytes([10, 0, 0, 2])
        + bytes(4) + six
    )  # fmt: skip
    packets = rows(3, tunnel_kinds=ERSPAN, tunnel_ids_low=5, outer_ip_offset=1)
    packets.packet_offset[:] = [0, 20, 40]
    packets.captured_length[:] = [21, 21, 41]
    registry = TapRegistry(["a"])
    assert registry.resolve(view, packets).tolist() == [0, 1, 2]
    assert [registry.name(index) for index in range(3)] == [
        "a ERSPAN session 5 from 10.0.0.1",
        "a ERSPAN session 5 from 10.0.0.2",
        "a ERSPAN session 5 from ::1",
    ]


def test_taps_are_bounded() -> None:
    registry = TapRegistry([])
    packets = rows(100, tap=np.arange(100))
    found = registry.resolve(VIEW, packets)
    assert found[:62].tolist() == list(range(62))
    assert (found[63:] == MAX_TAPS - 1).all()
    assert registry.overflow_rows == 100 - (MAX_TAPS - 1)
    assert registry.indexes == list(range(MAX_TAPS))
    assert registry.name(MAX_TAPS - 1) == "other taps"


def test_nothing_in_nothing_out() -> None:
    registry = TapRegistry([])
    assert registry.resolve(VIEW, rows(0)).size == 0
    assert registry.indexes == []
