"""Cut, too long and too deep: what is flagged and what is kept."""

from collections.abc import Callable

import pytest

from fabricscope.records import (
    FLAG_HEADER_CUT,
    FLAG_MALFORMED,
    FLAG_TOO_DEEP,
    FLAG_TRUNCATED,
)
from reference import frames


def test_truncation_alone_is_normal(row: Callable) -> None:
    packet = frames.ethernet(0x0800, frames.ipv4(6, frames.tcp(bytes(1000))))
    got = row(packet[:96], len(packet))
    assert (got["flags"], got["payload_length"], got["dst_port"]) == (FLAG_TRUNCATED, 1000, 2)


def test_a_header_cut_by_the_snap_length(row: Callable) -> None:
    packet = frames.ethernet(0x0800, frames.ipv4(6, frames.tcp(bytes(1000))))
    got = row(packet[:40], len(packet))
    assert got["flags"] == FLAG_TRUNCATED | FLAG_HEADER_CUT
    assert (got["src_port"], got["dst_port"], got["ip_protocol"], got["tcp_seq"]) == (1, 2, 6, 0)


def test_cut_options_leave_the_payload_length_right(row: Callable) -> None:
    packet = frames.ethernet(0x0800, frames.ipv4(6, frames.tcp(bytes(1000), words=8)))
    got = row(packet[:60], len(packet))
    assert got["flags"] == FLAG_TRUNCATED | FLAG_HEADER_CUT
    assert (got["tcp_ack"], got["payload_offset"], got["payload_length"]) == (4, 60, 1000)


def test_a_header_longer_than_its_packet(row: Callable) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(6, bytes(8))))
    assert got["flags"] == FLAG_MALFORMED


@pytest.mark.parametrize(("nested", "flags"), [(7, 0), (8, 0), (9, FLAG_TOO_DEEP)])
def test_depth(row: Callable, nested: int, flags: int) -> None:
    packet = frames.udp(7, b"")
    packet = frames.ipv4(17, packet)
    for _ in range(nested):
        packet = frames.ipv4(4, packet)
    got = row(frames.ethernet(0x0800, packet))
    assert got["flags"] == flags
    assert got["outer_ip_offset"] == 14


def test_tags_without_end(row: Callable) -> None:
    packet = frames.ethernet(0x86DD, frames.ipv6(60, (b"\x3c\0" + bytes(6)) * 100))
    assert row(packet)["flags"] & FLAG_TOO_DEEP
