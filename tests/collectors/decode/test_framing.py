"""Link types other than Ethernet."""

from collections.abc import Callable

import pytest

from fabricscope.records import MAC_ADDRESS_HI
from reference import frames

FOUR = frames.ipv4(17, frames.udp(7, b"abc"))
SIX = frames.ipv6(17, frames.udp(7, b"abc"))


@pytest.mark.parametrize(
    ("link_type", "before", "packet"),
    [
        (0, "02000000", FOUR),
        (0, "0000001e", SIX),
        (108, "00000002", FOUR),
        (108, "1c000000", SIX),
        (9, "ff03 0021", FOUR),
        (9, "57", SIX),
        (50, "0057", SIX),
        (104, "0f00 0800", FOUR),
        (104, "ff03 0021", FOUR),
        (12, "", FOUR),
        (14, "", SIX),
        (101, "", SIX),
        (228, "", FOUR),
        (229, "", SIX),
        (113, "0000 0001 0006 0200000000a1 0000 0800", FOUR),
        (276, "86dd 0000 00000003 0001 00 06 0200000000a1 0000", SIX),
        (1, "0200000000b2 0200000000a1 8864 1100 0001 0021 0021", FOUR),
    ],
)
def test_ip_is_found(row: Callable, link_type: int, before: str, packet: bytes) -> None:
    got = row(bytes.fromhex(before) + packet, link_type=link_type)
    assert (got["src_port"], got["dst_port"], got["payload_length"]) == (50000, 7, 3)
    assert (got["ethertype"], got["flags"]) == (0x0800 if packet is FOUR else 0x86DD, 0)


def test_cooked_captures_know_the_sender_only(row: Callable, protocol_of: Callable) -> None:
    head = bytes.fromhex("0000 0001 0006 0200000000a1 0000 0806")
    got = row(head + bytes.fromhex("0001 0800 0604 0001") + bytes(20), link_type=113)
    assert protocol_of(got) == "arp"
    assert (got["src_lo"], got["dst_lo"], got["dst_hi"]) == (0x0200000000A1, 0, MAC_ADDRESS_HI)


@pytest.mark.parametrize("link_type", [2, 105, 239, 65535])
def test_unknown_link_types_are_no_error(
    row: Callable, protocol_of: Callable, link_type: int
) -> None:
    got = row(FOUR, link_type=link_type)
    assert (protocol_of(got), got["flags"], got["payload_length"]) == ("other", 0, len(FOUR))
