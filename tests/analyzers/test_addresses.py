import ipaddress
import random

import numpy as np
import pytest

from fabricscope.analyzers.addresses import address_text, address_texts
from fabricscope.records import MAC_ADDRESS_HI


@pytest.mark.parametrize(
    ("text", "high", "low"),
    [
        ("10.0.0.1", 0, 0xFFFF_0A00_0001),
        ("0.0.0.0", 0, 0xFFFF_0000_0000),
        ("255.255.255.255", 0, 0xFFFF_FFFF_FFFF),
        ("::", 0, 0),
        ("::1", 0, 1),
        ("fe80::1", 0xFE80 << 48, 1),
        ("2001:db8::a:0:0:1", 0x2001_0DB8 << 32, 0x000A_0000_0000_0001),
        ("02:fa:b0:00:00:01", MAC_ADDRESS_HI, 0x02FA_B000_0001),
        ("00:00:00:00:00:00", MAC_ADDRESS_HI, 0),
    ],
)
def test_canonical_text(text: str, high: int, low: int) -> None:
    assert address_text(high, low) == text


def test_small_numbers_are_local_ids_on_infiniband_only() -> None:
    assert address_text(0, 17, infiniband=True) == "lid:17"
    assert address_text(0, 0xFFFF, infiniband=True) == "lid:65535"
    assert address_text(0, 17) == "::11"
    assert address_text(0xFE80 << 48, 17, infiniband=True) == "fe80::11"


def test_ipv6_text_is_that_of_the_standard_library() -> None:
    chance = random.Random(7)
    for _ in range(500):
        number = chance.getrandbits(128) & chance.getrandbits(128) & ~(0xFE << 120)
        text = address_text(number >> 64, number & (1 << 64) - 1)
        assert ipaddress.ip_address(text) in (
            ipaddress.IPv6Address(number),
            ipaddress.IPv6Address(number).ipv4_mapped,
        )


def test_columns_give_the_text_of_each_row() -> None:
    high = np.array([0, MAC_ADDRESS_HI, 0, 0], np.uint64)
    low = np.array([0xFFFF_0A00_0001, 1, 5, 0xFFFF_0A00_0001], np.uint64)
    infiniband = np.array([False, False, True, False])
    assert address_texts(high, low, infiniband) == [
        "10.0.0.1",
        "00:00:00:00:00:01",
        "lid:5",
        "10.0.0.1",
    ]
