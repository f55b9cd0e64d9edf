"""MPLS and pseudowires."""

from collections.abc import Callable

import pytest

from reference import frames

FOUR = frames.ipv4(17, frames.udp(7, b"abc"))
SIX = frames.ipv6(17, frames.udp(7, b"abc"))
FRAME = frames.ethernet(0x0800, FOUR)
STACK = bytes.fromhex("0006402a 000c81ff")


@pytest.mark.parametrize("inner", [FOUR, SIX, FRAME, b"\0\0\0\x01" + FRAME])
@pytest.mark.parametrize("over_udp", [False, True])
def test_under_a_stack(row: Callable, tunnels_of: Callable, inner: bytes, over_udp: bool) -> None:
    body = STACK + inner
    if over_udp:
        got = row(frames.ethernet(0x0800, frames.ipv4(17, frames.udp(6635, body))))
    else:
        got = row(frames.ethernet(0x8847, body))
    assert tunnels_of(got) == [("mpls", 100)]
    assert (got["dst_port"], got["payload_length"], got["flags"]) == (7, 3, 0)
    assert got["outer_ip_offset"] == (14 if over_udp else 0)


def test_unknown_content(row: Callable, protocol_of: Callable) -> None:
    got = row(frames.ethernet(0x8847, STACK + b"\x10" + bytes(40)))
    assert (protocol_of(got), got["tunnel_kinds"], got["payload_offset"]) == ("mpls", 0, 22)
    udp = frames.udp(6635, STACK + b"\x10" + bytes(40))
    got = row(frames.ethernet(0x0800, frames.ipv4(17, udp)))
    assert (protocol_of(got), got["tunnel_kinds"], got["payload_offset"]) == ("udp", 0, 42)
