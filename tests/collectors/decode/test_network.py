"""IPv4, IPv6, fragments, extension headers, lengths."""

from collections.abc import Callable

import pytest

from fabricscope.records import (
    FLAG_FRAGMENT,
    FLAG_LATER_FRAGMENT,
    FLAG_MALFORMED,
    FLAG_SLOW_PATH,
    IPV4_PREFIX_LO,
)
from reference import frames


def test_every_field_of_ipv4(row: Callable) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(17, frames.udp(7, b"abc"), tos=0x6B, ttl=9)))
    assert (got["src_hi"], got["src_lo"]) == (0, IPV4_PREFIX_LO | 0x0A000001)
    assert (got["dst_hi"], got["dst_lo"]) == (0, IPV4_PREFIX_LO | 0x0A000002)
    assert (got["dscp"], got["ecn"], got["ttl"], got["ip_id"]) == (26, 3, 9, 0x1234)
    assert (got["ip_protocol"], got["ethertype"], got["flags"]) == (17, 0x0800, 0)


def test_every_field_of_ipv6(row: Callable) -> None:
    got = row(frames.ethernet(0x86DD, frames.ipv6(17, frames.udp(7, b"abc"))))
    assert (got["src_hi"], got["src_lo"]) == (0xFD << 56, 1)
    assert (got["dst_hi"], got["dst_lo"]) == (0xFD << 56, 2)
    assert (got["dscp"], got["ecn"], got["ttl"], got["ip_id"]) == (26, 3, 61, 0x54321)
    assert (got["ip_protocol"], got["ethertype"], got["flags"]) == (17, 0x86DD, 0)


@pytest.mark.parametrize(
    ("fragment", "flags", "port"),
    [
        (0x2000, FLAG_FRAGMENT, 7),
        (0x0010, FLAG_FRAGMENT | FLAG_LATER_FRAGMENT, 0),
        (0x4000, 0, 7),
    ],
)
def test_ipv4_fragments(row: Callable, fragment: int, flags: int, port: int) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(17, frames.udp(7, b"abc"), fragment=fragment)))
    assert (got["flags"], got["dst_port"], got["ip_protocol"]) == (flags, port, 17)


@pytest.mark.parametrize(
    ("chain", "flags", "port"),
    [
        ("00: 2b 00 0000 0000 0000", FLAG_SLOW_PATH, 7),
        ("3c: 2c 00 0000 0000 0000 | 11 00 0001 0000 0000", FLAG_SLOW_PATH | FLAG_FRAGMENT, 7),
        ("2c: 11 00 0000 0000 0000", FLAG_SLOW_PATH, 7),
        (
            "2c: 11 00 0009 0000 0000",
            FLAG_SLOW_PATH | FLAG_FRAGMENT | FLAG_LATER_FRAGMENT,
            0,
        ),
        ("33: 11 01 0000 00000001 00000002", FLAG_SLOW_PATH, 7),
    ],
)
def test_extension_headers(row: Callable, chain: str, flags: int, port: int) -> None:
    first, _, rest = chain.partition(":")
    headers = bytes.fromhex(rest.replace("|", ""))
    if first == "00":
        headers += b"\x11" + bytes(7)
    got = row(frames.ethernet(0x86DD, frames.ipv6(int(first, 16), headers + frames.udp(7, b"abc"))))
    assert (got["flags"], got["dst_port"], got["ip_protocol"]) == (flags, port, 17)


def test_jumbogram(row: Callable) -> None:
    body = bytes.fromhex("06 00 c204 00011194") + frames.tcp(b"")
    packet = frames.ethernet(0x86DD, frames.ipv6(0, body, length=0))
    got = row(packet, wire_length=14 + 40 + 70_036)
    assert got["payload_length"] == 70_036 - 8 - 20


@pytest.mark.parametrize(
    ("packet", "port"),
    [
        (frames.ipv4(17, frames.udp(7, b"abc"), words=4), 0),
        (frames.ipv4(17, frames.udp(7, b"abc"), total=10), 0),
        (frames.ipv4(17, frames.udp(7, b"abc"), total=2000), 7),
        (b"\x55" + frames.ipv4(17, frames.udp(7, b"abc"))[1:], 0),
    ],
)
def test_contradictions_are_flagged(row: Callable, packet: bytes, port: int) -> None:
    got = row(frames.ethernet(0x0800, packet))
    assert (got["flags"], got["dst_port"]) == (FLAG_MALFORMED, port)


def test_total_length_zero_means_all_there_is(row: Callable) -> None:
    packet = frames.ethernet(0x0800, frames.ipv4(6, frames.tcp(bytes(100)), total=0))
    assert (row(packet)["payload_length"], row(packet)["flags"]) == (100, 0)


@pytest.mark.parametrize(
    ("number", "protocol"),
    [
        (1, "icmp"),
        (2, "igmp"),
        (50, "esp"),
        (58, "icmpv6"),
        (89, "ospf"),
        (103, "pim"),
        (112, "vrrp"),
        (255, "ipv4"),
    ],
)
def test_protocols_without_ports(
    row: Callable, protocol_of: Callable, number: int, protocol: str
) -> None:
    got = row(frames.ethernet(0x0800, frames.ipv4(number, bytes(30))))
    assert (protocol_of(got), got["ip_protocol"]) == (protocol, number)
    assert (got["src_port"], got["payload_offset"], got["payload_length"]) == (0, 34, 30)
