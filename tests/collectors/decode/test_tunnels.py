"""Tunnels over UDP and IP, believed only where the bytes look like them."""

import struct
from collections.abc import Callable

import pytest

from reference import frames

FOUR = frames.ipv4(17, frames.udp(7, b"abc"), tos=0x6B)
SIX = frames.ipv6(17, frames.udp(7, b"abc"))
FRAME = frames.ethernet(0x0800, FOUR)
NSH = bytes.fromhex("0fc6 01 03 00002a ff") + bytes(16)


def gtp(flags: int, options: str, packet: bytes) -> bytes:
    body = bytes.fromhex(options) + packet
    return struct.pack(">BBHI", flags, 255, len(body), 0xDEADBEEF) + body


@pytest.mark.parametrize(
    ("port", "body", "tunnels"),
    [
        (4789, bytes.fromhex("08000000 00002a00") + FRAME, [("vxlan", 42)]),
        (8472, bytes.fromhex("08000000 ffffff00") + FRAME, [("vxlan", 0xFFFFFF)]),
        (4789, bytes.fromhex("88000009 00002a00") + FRAME, [("vxlan", 42)]),
        (4790, bytes.fromhex("0c000001 00002a00") + FOUR, [("vxlan_gpe", 42)]),
        (4790, bytes.fromhex("08000000 00002a00") + FRAME, [("vxlan_gpe", 42)]),
        (
            4790,
            bytes.fromhex("0c000004 00002a00") + NSH + FRAME,
            [("vxlan_gpe", 42), ("nsh", 0x2AFF)],
        ),
        (6081, bytes.fromhex("02006558 00002a00 0102030400000000") + FRAME, [("geneve", 42)]),
        (6081, bytes.fromhex("000086dd 00002a00") + SIX, [("geneve", 42)]),
        (2152, gtp(0x30, "", FOUR), [("gtp_u", 0xDEADBEEF)]),
        (2152, gtp(0x32, "00010000", SIX), [("gtp_u", 0xDEADBEEF)]),
        (2152, gtp(0x34, "00000085 01000900", FOUR), [("gtp_u", 0xDEADBEEF)]),
        (6080, bytes.fromhex("00040000") + FOUR, [("gue", 0)]),
        (6080, SIX, [("gue", 0)]),
        (1701, bytes.fromhex("0002 0001 0009 ff03 0021") + FOUR, [("l2tp", 9)]),
        (1701, bytes.fromhex("00030000 00000005 00000000") + FRAME, [("l2tp", 5)]),
    ],
)
def test_inner_flow(row: Callable, tunnels_of: Callable, port: int, body: bytes, tunnels: list):
    got = row(frames.ethernet(0x0800, frames.ipv4(17, frames.udp(port, body))))
    assert tunnels_of(got) == tunnels
    assert (got["dst_port"], got["payload_length"], got["flags"]) == (7, 3, 0)
    assert (got["ecn"], got["outer_ip_offset"]) == (3, 14)


@pytest.mark.parametrize(
    ("port", "body"),
    [
        (4789, bytes.fromhex("00000000 00002a00") + FRAME),
        (4789, bytes.fromhex("08000000 00002a01") + FRAME),
        (4789, bytes.fromhex("08000000 00002a00") + bytes(4)),
        (4790, bytes.fromhex("3c000001 00002a00") + FOUR),
        (6081, bytes.fromhex("40006558 00002a00") + FRAME),
        (6081, bytes.fromhex("00001234 00002a00") + FRAME),
        (2152, gtp(0x30, "", b"no packet at all, just text")),
        (2152, bytes.fromhex("3201 0004 00000000 00010000")),
        (6080, b"hello, this is a text message"),
        (1701, bytes.fromhex("c802 000c 0000 0000 0000 0000")),
        (4791, b"hello, this is a text message"),
    ],
)
def test_a_port_is_no_proof(row: Callable, protocol_of: Callable, port: int, body: bytes) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(17, frames.udp(port, body))))
    assert (protocol_of(got), got["dst_port"], got["tunnel_kinds"]) == ("udp", port, 0)
    assert (got["payload_offset"], got["payload_length"], got["flags"]) == (42, len(body), 0)


def test_roce_in_vxlan(row: Callable, protocol_of: Callable) -> None:
    inner = frames.roce(0x11, bytes.fromhex("1f000001"))
    body = bytes.fromhex("08000000 00002a00") + inner
    got = row(frames.ethernet(0x86DD, frames.ipv6(17, frames.udp(4789, body))))
    assert (protocol_of(got), got["opcode"], got["aeth"]) == ("roce_v2", 0x11, 0x1F000001)


def test_the_first_four_levels_are_kept(row: Callable, tunnels_of: Callable) -> None:
    packet = FOUR
    for key in (5, 4, 3, 2, 1):
        packet = frames.ipv4(47, struct.pack(">HHI", 0x2000, 0x0800, key) + packet)
    got = row(frames.ethernet(0x0800, packet))
    assert tunnels_of(got) == [("gre", 1), ("gre", 2), ("gre", 3), ("gre", 4)]
    assert got["dst_port"] == 7
