"""Ethernet, tags, LLC, ARP and MAC control."""

from collections.abc import Callable

import pytest

from fabricscope.records import MAC_ADDRESS_HI, NO_VLAN
from reference import frames


def test_addresses_of_frames_without_ip(row: Callable, protocol_of: Callable) -> None:
    got = row(frames.ethernet(0x88CC, bytes(60)))
    assert protocol_of(got) == "lldp"
    assert (got["src_hi"], got["src_lo"]) == (MAC_ADDRESS_HI, 0x0200000000A1)
    assert (got["dst_hi"], got["dst_lo"]) == (MAC_ADDRESS_HI, 0x0200000000B2)
    assert got["vlan"] == NO_VLAN


@pytest.mark.parametrize("outer", [0x8100, 0x88A8, 0x9100, 0x9200])
def test_innermost_vlan(row: Callable, outer: int) -> None:
    tags = bytes.fromhex("0064 8100 20c8 0800")
    got = row(frames.ethernet(outer, tags + frames.ipv4(17, frames.udp(7, b"abc"))))
    assert (got["vlan"], got["dst_port"], got["payload_length"]) == (200, 7, 3)


def test_vlans_inside_a_tunnel_are_not_the_fabric_s(row: Callable) -> None:
    inner = frames.ethernet(0x8100, bytes.fromhex("0005 0800") + frames.ipv4(1, bytes(8)))
    outer = frames.ipv4(17, frames.udp(4789, bytes.fromhex("0800000000002a00") + inner))
    assert row(frames.ethernet(0x0800, outer))["vlan"] == NO_VLAN


def test_vn_tag(row: Callable, tunnels_of: Callable) -> None:
    tag = bytes.fromhex("c12a 0001 8100 0007 0800")
    got = row(frames.ethernet(0x8926, tag + frames.ipv4(17, frames.udp(7, b""))))
    assert tunnels_of(got) == [("vntag", 0x12A)]
    assert (got["vlan"], got["dst_port"]) == (7, 7)


@pytest.mark.parametrize(
    ("ethertype", "start", "protocol", "payload"),
    [
        (0x8808, "0001 00ff", "pause", (16, 2)),
        (0x8808, "0101 0008", "pfc", (16, 18)),
        (0x8808, "0002", "mac_control", (16, 44)),
        (0x8809, "01", "lacp", (14, 46)),
        (0x8809, "03", "other", (14, 46)),
        (0x88F7, "0002 002c", "ptp", (14, 44)),
        (0x0806, "0001 0800 06 04 0001", "arp", (14, 28)),
        (38, "424203", "stp", (17, 35)),
        (38, "fefe03", "isis", (17, 35)),
        (46, "aaaa03 00000c 010b", "stp", (22, 38)),
        (46, "aaaa03 000000 0806 0001 0800 0604", "arp", (22, 28)),
        (46, "e0e003", "llc", (17, 43)),
        (0x1234, "", "other", (14, 46)),
    ],
)
def test_frames_that_carry_no_ip(
    row: Callable, protocol_of: Callable, ethertype: int, start: str, protocol: str, payload: tuple
) -> None:
    body = bytes.fromhex(start)
    got = row(frames.ethernet(ethertype, body + bytes(46 - len(body))))
    assert protocol_of(got) == protocol
    assert (got["payload_offset"], got["payload_length"], got["flags"]) == (*payload, 0)


def test_padding_is_no_payload(row: Callable) -> None:
    packet = frames.ethernet(0x0800, frames.ipv4(6, frames.tcp(b"")))
    assert row(packet + bytes(6))["payload_length"] == 0
