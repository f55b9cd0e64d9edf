"""GRE and ERSPAN."""

import struct
from collections.abc import Callable

import pytest

from fabricscope.records import FLAG_EGRESS, FLAG_MALFORMED, FLAG_TRUNCATED
from reference import frames

FOUR = frames.ipv4(17, frames.udp(7, b"abc"), ttl=3)
FRAME = frames.ethernet(0x0800, FOUR)
ERSPAN_2 = struct.pack(">HHI", 0x1005, 0x1800 | 33, 0)


def erspan_3(bits: int) -> bytes:
    return struct.pack(">HHIHH", 0x2005, 0x1800 | 33, 99, 0, bits)


@pytest.mark.parametrize(
    ("header", "packet", "tunnel"),
    [
        ("0000 0800", FOUR, ("gre", 0)),
        ("8000 0800 0000 0000", FOUR, ("gre", 0)),
        ("2000 0800 00001234", FOUR, ("gre", 0x1234)),
        ("b000 0800 0000 0000 fffffffe 00000001", FOUR, ("gre", 0xFFFFFFFE)),
        ("4000 0800 0000 0000 0800 00 04 0a000001 0000 0000", FOUR, ("gre", 0)),
        ("2000 6558 00123401", FRAME, ("gre", 0x123401)),
        ("3001 880b 0040 0077 00000001", b"\xff\x03\x00\x21" + FOUR, ("gre", 0x77)),
        ("0000 883e", b"\0\0\0\0" + FOUR, ("gre", 0)),
        ("0000 88be", FRAME, ("erspan", 0)),
        ("1000 88be 00000001", ERSPAN_2 + FRAME, ("erspan", 33)),
        ("1000 22eb 00000001", erspan_3(0) + FRAME, ("erspan", 33)),
        ("1000 22eb 00000001", erspan_3(1) + bytes(8) + FRAME, ("erspan", 33)),
        ("1000 22eb 00000001", erspan_3(2 << 10) + FOUR, ("erspan", 33)),
    ],
)
def test_inner_flow(
    row: Callable, tunnels_of: Callable, header: str, packet: bytes, tunnel: tuple[str, int]
) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(47, bytes.fromhex(header) + packet)))
    assert tunnels_of(got) == [tunnel]
    assert (got["ttl"], got["dst_port"], got["payload_length"], got["flags"]) == (3, 7, 3, 0)
    assert got["outer_ip_offset"] == 14


def test_direction_of_a_mirror(row: Callable) -> None:
    body = bytes.fromhex("1000 22eb 00000001") + erspan_3(8) + FRAME
    assert row(frames.ethernet(0x0800, frames.ipv4(47, body)))["flags"] == FLAG_EGRESS


def test_a_switch_that_truncates(row: Callable) -> None:
    inner = frames.ethernet(0x0800, frames.ipv4(17, frames.udp(7, bytes(1400))))[:100]
    for header in (bytes.fromhex("1000 88be 00000001") + ERSPAN_2, bytes.fromhex("0000 88be")):
        got = row(frames.ethernet(0x0800, frames.ipv4(47, header + inner)))
        assert got["flags"] == FLAG_TRUNCATED
        assert got["dst_port"] == 7


@pytest.mark.parametrize(
    ("header", "flags"),
    [("0000 8909", 0), ("0003 0800", FLAG_MALFORMED), ("2081 880b 0000 0001 00000009", 0)],
)
def test_what_cannot_be_followed_stays_gre(
    row: Callable, protocol_of: Callable, header: str, flags: int
) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(47, bytes.fromhex(header) + bytes(40))))
    assert (protocol_of(got), got["tunnel_kinds"], got["flags"]) == ("gre", 0, flags)
