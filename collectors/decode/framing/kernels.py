"""What stands before the network layer where there is no Ethernet header.

`view` is the captured bytes (uint8, 1-D, read only), `fields` the row of int64 slots of
`fabricscope.collectors.decode.layout`, owned by `decode`. Each kernel decodes the header at the
cursor and returns the kind of the next one.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import kernel
from fabricscope.collectors.decode.cursor.kernels import has
from fabricscope.collectors.decode.layout import (
    DONE,
    DST_HI,
    ETHERTYPE,
    FLAGS,
    IPV4,
    IPV6,
    LIMIT,
    LLC,
    MAC_HI,
    MPLS,
    NETWORK,
    OFFSET,
    SRC_HI,
    SRC_LO,
)
from fabricscope.collectors.decode.read.kernels import be16, be32, le16, u8
from fabricscope.records import FLAG_MALFORMED


@kernel
def cooked_v1(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the 16-byte pseudo header of LINKTYPE_LINUX_SLL."""
    if not has(fields, 16):
        return DONE
    offset = fields[OFFSET]
    fields[OFFSET] = offset + 16
    hardware = be16(view, offset + 2)
    sender(view, fields, offset + 6, be16(view, offset + 4))
    return cooked_protocol(fields, be16(view, offset + 14), hardware)


@kernel
def cooked_v2(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the 20-byte pseudo header of LINKTYPE_LINUX_SLL2."""
    if not has(fields, 20):
        return DONE
    offset = fields[OFFSET]
    fields[OFFSET] = offset + 20
    hardware = be16(view, offset + 8)
    sender(view, fields, offset + 12, u8(view, offset + 11))
    return cooked_protocol(fields, be16(view, offset), hardware)


@kernel
def sender(view: NDArray[np.uint8], fields: NDArray[np.int64], at: int, size_bytes: int) -> None:
    """Keep the sender's MAC address; a cooked capture does not tell the receiver's."""
    fields[SRC_HI] = MAC_HI
    fields[DST_HI] = MAC_HI
    if size_bytes == 6:
        fields[SRC_LO] = (be32(view, at) << 16) | be16(view, at + 4)


@kernel
def cooked_protocol(fields: NDArray[np.int64], protocol: int, hardware: int) -> int:
    """Return the next header kind of a cooked capture from its protocol and hardware type."""
    # Netlink (824) and radio captures have other numbers in place of the Ethertype.
    if hardware == 824 or (hardware >= 801 and hardware <= 803):
        return DONE
    if protocol == 0x0004:
        return LLC
    if protocol <= 1500:
        return DONE
    fields[ETHERTYPE] = protocol
    return NETWORK


@kernel
def loopback(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the address family of BSD loopback captures, written in either byte order."""
    if not has(fields, 4):
        return DONE
    offset = fields[OFFSET]
    high = be16(view, offset)
    low = be16(view, offset + 2)
    if high != 0 and low != 0:
        return DONE
    family = low if high == 0 else le16(view, offset)
    fields[OFFSET] = offset + 4
    if family == 2:
        return IPV4
    if family == 10 or family == 24 or family == 28 or family == 30:
        return IPV6
    return DONE


@kernel
def hdlc(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode Cisco HDLC: address, control, Ethertype. PPP in HDLC framing is told apart."""
    if not has(fields, 4):
        return DONE
    offset = fields[OFFSET]
    if be16(view, offset) == 0xFF03:
        return ppp(view, fields)
    fields[OFFSET] = offset + 4
    protocol = be16(view, offset + 2)
    if protocol <= 1500:
        return DONE
    fields[ETHERTYPE] = protocol
    return NETWORK


@kernel
def ppp(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a PPP header (RFC 1661), with or without address and control (RFC 1662)."""
    if not has(fields, 2):
        return DONE
    if be16(view, fields[OFFSET]) == 0xFF03:
        fields[OFFSET] += 2
        if not has(fields, 2):
            return DONE
    offset = fields[OFFSET]
    protocol = u8(view, offset)
    if protocol & 1 != 0:
        fields[OFFSET] = offset + 1
    else:
        protocol = be16(view, offset)
        fields[OFFSET] = offset + 2
    if protocol == 0x0021:
        return IPV4
    if protocol == 0x0057:
        return IPV6
    if protocol == 0x0281:
        return MPLS
    return DONE


@kernel
def pppoe(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a PPPoE session header (RFC 2516) and the PPP header in it."""
    if not has(fields, 6):
        return DONE
    offset = fields[OFFSET]
    if be16(view, offset) != 0x1100:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    fields[OFFSET] = offset + 6
    limit = offset + 6 + be16(view, offset + 4)
    if limit <= fields[LIMIT]:
        fields[LIMIT] = limit
    else:
        fields[FLAGS] |= FLAG_MALFORMED
    return ppp(view, fields)
