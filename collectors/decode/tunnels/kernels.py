"""Encapsulations over IP and UDP that carry Ethernet frames or IP packets.

`view` is the captured bytes (uint8, 1-D, read only), `fields` the row of int64 slots of
`fabricscope.collectors.decode.layout`, owned by `decode`. Each kernel decodes the header at the
cursor and returns the kind of the next one. A UDP port alone proves nothing: where the bytes do
not look like the tunnel, the cursor stays and the packet is plain UDP.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import kernel
from fabricscope.collectors.decode.cursor.kernels import enter_tunnel, fits, has, overrun
from fabricscope.collectors.decode.layout import (
    DONE,
    END,
    ETHERNET,
    ETHERTYPE,
    EXCUSED,
    FLAGS,
    GRE,
    IPV4,
    IPV6,
    LIMIT,
    MPLS,
    NETWORK,
    NSH,
    OFFSET,
    PPP,
    T_GENEVE,
    T_GTP_U,
    T_GUE,
    T_L2TP,
    T_NSH,
    T_VXLAN,
    T_VXLAN_GPE,
)
from fabricscope.collectors.decode.read.kernels import be16, be32, u8
from fabricscope.records import FLAG_MALFORMED


@kernel
def known_ethertype(ethertype: int) -> bool:
    """Say whether an Ethernet frame may well have this type: used where a frame is guessed."""
    return (
        ethertype == 0x0800
        or ethertype == 0x86DD
        or ethertype == 0x0806
        or ethertype == 0x8100
        or ethertype == 0x88A8
        or ethertype == 0x9100
        or ethertype == 0x9200
        or ethertype == 0x8915
        or ethertype == 0x8847
        or ethertype == 0x8848
        or ethertype == 0x8863
        or ethertype == 0x8864
        or ethertype == 0x88CC
        or ethertype == 0x8808
        or ethertype == 0x8809
        or ethertype == 0x88E5
        or ethertype == 0x88F7
        or ethertype == 0x8902
        or ethertype == 0x8926
        or ethertype == 0x894F
    )


@kernel
def ethernet_at(view: NDArray[np.uint8], fields: NDArray[np.int64], at: int) -> bool:
    """Say whether an Ethernet frame of a known type, or with LLC, may begin at index `at`."""
    if at + 14 > fields[END] or at + 14 > fields[LIMIT]:
        return False
    ethertype = be16(view, at + 12)
    if ethertype > 1500:
        return known_ethertype(ethertype)
    return bool(ethertype >= 3 and at + 14 + ethertype <= fields[LIMIT])


@kernel
def ip_at(view: NDArray[np.uint8], fields: NDArray[np.int64], at: int) -> int:
    """Return IPV4 or IPV6 if such a header with a believable length begins at `at`, else DONE."""
    if at + 6 > fields[END] or at + 6 > fields[LIMIT]:
        return DONE
    first = u8(view, at)
    left = fields[LIMIT] - at
    if first >> 4 == 4:
        total = be16(view, at + 2)
        if first & 15 >= 5 and left >= 20:
            return IPV4 if total == 0 or 20 <= total <= left or fields[EXCUSED] != 0 else DONE
    elif first >> 4 == 6 and left >= 40:
        return IPV6 if be16(view, at + 4) + 40 <= left or fields[EXCUSED] != 0 else DONE
    return DONE


@kernel
def next_by_number(number: int) -> int:
    """Return the header kind for a next-protocol number of VXLAN-GPE or NSH (RFC 8300)."""
    if number == 1:
        return IPV4
    if number == 2:
        return IPV6
    if number == 3:
        return ETHERNET
    if number == 4:
        return NSH
    if number == 5:
        return MPLS
    return DONE


@kernel
def vxlan(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode VXLAN (RFC 7348), also with a group policy in place of reserved bits."""
    if fields[LIMIT] - fields[OFFSET] < 22 or not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    head = be32(view, offset)
    network = be32(view, offset + 4)
    if head & 0x77000000 != 0 or head & 0x08000000 == 0 or network & 0xFF != 0:
        return DONE
    # Group policy bits are told from chance by a well-known frame behind them.
    if head & 0x80FFFFFF != 0 and not ethernet_at(view, fields, offset + 8):
        return DONE
    if offset + 22 <= fields[END]:
        ethertype = be16(view, offset + 20)
        if ethertype < 0x0600 and offset + 22 + ethertype > fields[LIMIT]:
            return DONE
    if not enter_tunnel(fields, T_VXLAN, network >> 8):
        return DONE
    fields[OFFSET] = offset + 8
    return ETHERNET


@kernel
def vxlan_gpe(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe): VXLAN with a next protocol."""
    if fields[LIMIT] - fields[OFFSET] < 8 or not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    flags = u8(view, offset)
    network = be32(view, offset + 4)
    if flags & 0xF0 != 0 or flags & 0x08 == 0 or network & 0xFF != 0 or be16(view, offset + 1) != 0:
        return DONE
    kind = ETHERNET
    if flags & 0x04 != 0:
        kind = next_by_number(u8(view, offset + 3))
    if kind == DONE or not enter_tunnel(fields, T_VXLAN_GPE, network >> 8):
        return DONE
    fields[OFFSET] = offset + 8
    return kind


@kernel
def geneve(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode GENEVE (RFC 8926), options skipped."""
    if fields[LIMIT] - fields[OFFSET] < 8 or not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    first = u8(view, offset)
    network = be32(view, offset + 4)
    ethertype = be16(view, offset + 2)
    if first >> 6 != 0 or u8(view, offset + 1) & 0x3F != 0 or network & 0xFF != 0:
        return DONE
    size_bytes = 8 + 4 * first
    if ethertype != 0x6558 and not known_ethertype(ethertype):
        return DONE
    if fields[LIMIT] - offset < size_bytes or not has(fields, size_bytes):
        return DONE
    if not enter_tunnel(fields, T_GENEVE, network >> 8):
        return DONE
    fields[OFFSET] = offset + size_bytes
    if ethertype == 0x6558:
        return ETHERNET
    fields[ETHERTYPE] = ethertype
    return NETWORK


@kernel
def nsh(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a network service header (RFC 8300), whatever its metadata."""
    if not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    head = be16(view, offset)
    size_bytes = (head & 0x3F) * 4
    kind = next_by_number(u8(view, offset + 3))
    if head >> 14 != 0 or size_bytes < 8:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    if kind == DONE or not has(fields, size_bytes):
        return DONE
    if not enter_tunnel(fields, T_NSH, be32(view, offset + 4)):
        return DONE
    fields[OFFSET] = offset + size_bytes
    return kind


@kernel
def cut_unless_past(fields: NDArray[np.int64], stop: int) -> int:
    """Flag a cut header up to index `stop`, unless the packet itself ends before: no tunnel."""
    if stop <= fields[LIMIT]:
        overrun(fields, stop)
    return DONE


@kernel
def gtp_u(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a G-PDU of GTP-U version 1 (3GPP TS 29.281), extension headers skipped."""
    if fields[LIMIT] - fields[OFFSET] < 8 or not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    flags = u8(view, offset)
    if flags & 0xF8 != 0x30 or u8(view, offset + 1) != 255:
        return DONE
    if fields[EXCUSED] == 0 and offset + 8 + be16(view, offset + 2) > fields[LIMIT]:
        return DONE
    end = fields[END] if fields[END] < fields[LIMIT] else fields[LIMIT]
    at = offset + 8
    if flags & 0x07 != 0:
        at += 4
        if at > end:
            return cut_unless_past(fields, at)
        following = u8(view, at - 1) if flags & 0x04 != 0 else 0
        while following != 0:
            if at >= end:
                return cut_unless_past(fields, at + 1)
            size_bytes = 4 * u8(view, at)
            at += size_bytes
            if size_bytes == 0:
                return DONE
            if at > end:
                return cut_unless_past(fields, at)
            following = u8(view, at - 1)
    kind = ip_at(view, fields, at)
    if kind == DONE or not enter_tunnel(fields, T_GTP_U, be32(view, offset + 4)):
        return DONE
    fields[OFFSET] = at
    return kind


@kernel
def gue(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode generic UDP encapsulation (draft-ietf-intarea-gue), variants 0 and 1."""
    if not fits(fields, 4):
        return DONE
    offset = fields[OFFSET]
    first = u8(view, offset)
    kind = DONE
    if first >> 6 == 1:
        at = offset
        kind = ip_at(view, fields, at)
    else:
        at = offset + 4 + 4 * (first & 0x1F)
        protocol = u8(view, offset + 1)
        if first >> 5 == 0 and be16(view, offset + 2) & 0x7FFF == 0:
            if protocol == 47:
                is_gre = at + 4 <= fields[END] and at + 4 <= fields[LIMIT]
                kind = GRE if is_gre and be16(view, at) & 0x0FFF == 0 else DONE
            elif protocol == 4 or protocol == 41:
                kind = ip_at(view, fields, at)
    if kind == DONE or not enter_tunnel(fields, T_GUE, 0):
        return DONE
    fields[OFFSET] = at
    return kind


@kernel
def l2tp_session(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the session id of L2TPv3 (RFC 3931) and find the Ethernet frame behind it.

    How long cookie and sublayer are was agreed on beforehand, so the frame is looked for.
    """
    if not fits(fields, 4):
        return DONE
    offset = fields[OFFSET]
    session = be32(view, offset)
    if session == 0:
        return DONE
    for words in range(4):
        at = offset + 4 + 4 * words
        if ethernet_at(view, fields, at) and be16(view, at + 12) > 1500:
            if not enter_tunnel(fields, T_L2TP, session):
                return DONE
            fields[OFFSET] = at
            return ETHERNET
    return DONE


@kernel
def l2tp_udp(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a data message of L2TP over UDP: version 2 (RFC 2661) around PPP, or version 3."""
    if not fits(fields, 8):
        return DONE
    offset = fields[OFFSET]
    flags = be16(view, offset)
    if flags == 3 and be16(view, offset + 2) == 0:
        fields[OFFSET] = offset + 4
        kind = l2tp_session(view, fields)
        if kind == DONE:
            fields[OFFSET] = offset
        return kind
    if flags & 0xB4FF != 2:
        return DONE
    at = offset + 2
    if flags & 0x4000 != 0:
        if offset + be16(view, at) > fields[LIMIT]:
            return DONE
        at += 2
    session = be16(view, at + 2)
    at += 4
    if flags & 0x0800 != 0:
        at += 4
    if flags & 0x0200 != 0:
        if at + 2 > fields[END] or at + 2 > fields[LIMIT]:
            return DONE
        at += 2 + be16(view, at)
    if at >= fields[END] or at >= fields[LIMIT] or not enter_tunnel(fields, T_L2TP, session):
        return DONE
    fields[OFFSET] = at
    return PPP
