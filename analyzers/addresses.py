"""Text of the 128-bit addresses in packet columns: IPv4, IPv6, GID, LID and MAC."""

import ipaddress

import numpy as np
from numpy.typing import NDArray

from fabricscope.records import IPV4_PREFIX_LO, MAC_ADDRESS_HI


def address_text(high: int, low: int, *, infiniband: bool = False) -> str:
    """Return the canonical text of one address; with `infiniband` a small number is a LID."""
    if high == MAC_ADDRESS_HI:
        digits = f"{low:012x}"
        return ":".join(digits[k : k + 2] for k in range(0, 12, 2))
    if high == 0:
        if low >> 32 == IPV4_PREFIX_LO >> 32:
            return str(ipaddress.IPv4Address(low & 0xFFFFFFFF))
        if infiniband and low < 1 << 16:
            return f"lid:{low}"
    return str(ipaddress.IPv6Address(high << 64 | low))


def address_texts(
    high: NDArray[np.uint64], low: NDArray[np.uint64], infiniband: NDArray[np.bool_]
) -> list[str]:
    """Return the text of each address; each distinct one is worked out once."""
    known: dict[tuple[int, int, bool], str] = {}
    texts = []
    for key in zip(high.tolist(), low.tolist(), infiniband.tolist(), strict=True):
        text = known.get(key)
        if text is None:
            text = known[key] = address_text(key[0], key[1], infiniband=key[2])
        texts.append(text)
    return texts
