"""GRE (RFC 2784, 2890, 2637) and ERSPAN (draft-foschiano-erspan).

`view` is the captured bytes (uint8, 1-D, read only), `fields` the row of int64 slots of
`fabricscope.collectors.decode.layout`, owned by `decode`. Each kernel decodes the header at the
cursor and returns the kind of the next one.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import kernel
from fabricscope.collectors.decode.cursor.kernels import enter_tunnel, has
from fabricscope.collectors.decode.layout import (
    DONE,
    END,
    ERSPAN_2,
    ERSPAN_3,
    ETHERNET,
    EXCUSED,
    FLAGS,
    IPV4,
    IPV6,
    LIMIT,
    MPLS,
    NSH,
    OFFSET,
    PPP,
    T_ERSPAN,
    T_GRE,
    VERSION,
)
from fabricscope.collectors.decode.read.kernels import be16, be32, u8
from fabricscope.records import FLAG_EGRESS, FLAG_MALFORMED, FLAG_TRUNCATED

CHECKSUM = 0x8000
ROUTING = 0x4000
KEY = 0x2000
SEQUENCE = 0x1000
ACKNOWLEDGMENT = 0x0080


@kernel
def gre(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode GRE version 0, and version 1 as PPTP uses it."""
    if not has(fields, 4):
        return DONE
    offset = fields[OFFSET]
    flags = be16(view, offset)
    protocol = be16(view, offset + 2)
    version = flags & 7
    if version > 1 or (version == 1 and protocol != 0x880B):
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    size_bytes = 4
    key = 0
    if flags & (CHECKSUM | ROUTING) != 0 and version == 0:
        size_bytes += 4
    if flags & KEY != 0:
        size_bytes += 4
        if not has(fields, size_bytes):
            return DONE
        key = be32(view, offset + size_bytes - 4)
    if flags & SEQUENCE != 0:
        size_bytes += 4
    if version == 1:
        # The key of PPTP is the payload's length and the call id; without a sequence number
        # there is no payload.
        if flags & ACKNOWLEDGMENT != 0:
            size_bytes += 4
        if not has(fields, size_bytes):
            return DONE
        if flags & SEQUENCE == 0 or not enter_tunnel(fields, T_GRE, key & 0xFFFF):
            return DONE
        fields[OFFSET] = offset + size_bytes
        return PPP
    if not has(fields, size_bytes):
        return DONE
    if flags & ROUTING != 0:
        size_bytes = source_routes_end(view, fields, offset + size_bytes) - offset
        if size_bytes < 0:
            return DONE
    return gre_payload(view, fields, protocol, offset + size_bytes, flags, key)


@kernel
def source_routes_end(view: NDArray[np.uint8], fields: NDArray[np.int64], at: int) -> int:
    """Return the index behind the source route entries at `at` (RFC 1701), or -1 if cut."""
    while True:
        if not has(fields, at + 4 - fields[OFFSET]):
            return -1
        size_bytes = u8(view, at + 3)
        family = be16(view, at)
        at += 4
        if family == 0 and size_bytes == 0:
            return at
        at += size_bytes


@kernel
def gre_payload(
    view: NDArray[np.uint8], fields: NDArray[np.int64], protocol: int, at: int, flags: int, key: int
) -> int:
    """Return the header kind that GRE's `protocol` announces at index `at`, tunnel noted."""
    if protocol == 0x88BE or protocol == 0x22EB:
        fields[OFFSET] = at
        if protocol == 0x22EB:
            return ERSPAN_3
        if flags & SEQUENCE != 0:
            return ERSPAN_2
        return mirrored(fields, 0)
    kind = DONE
    if protocol == 0x0800:
        kind = IPV4
    elif protocol == 0x86DD:
        kind = IPV6
    elif protocol == 0x6558:
        kind = ETHERNET
    elif protocol == 0x8847 or protocol == 0x8848:
        kind = MPLS
    elif protocol == 0x894F:
        kind = NSH
    elif protocol == 0x880B:
        kind = PPP
    elif protocol == 0x883E:
        # WCCP may put a redirect header of 4 bytes before the packet.
        kind = IPV4
        if at < fields[END] and at < fields[LIMIT] and u8(view, at) >> 4 != 4:
            at += 4
    if kind == DONE or enter_tunnel(fields, T_GRE, key):
        fields[OFFSET] = at
    else:
        kind = DONE
    return kind


@kernel
def mirrored(fields: NDArray[np.int64], session: int) -> int:
    """Enter ERSPAN `session`: what it holds may have been cut by the switch."""
    if not enter_tunnel(fields, T_ERSPAN, session):
        return DONE
    fields[EXCUSED] = 1
    return ETHERNET


@kernel
def erspan_2(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the header of ERSPAN type II."""
    if not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    version = u8(view, offset) >> 4
    if version == 2:
        return ERSPAN_3
    if version != 1:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    session = be16(view, offset + 2)
    if session & 0x0400 != 0:
        fields[FLAGS] |= FLAG_TRUNCATED
    fields[OFFSET] = offset + 8
    return mirrored(fields, session & 0x3FF)


@kernel
def erspan_3(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the header of ERSPAN type III and its optional platform subheader."""
    if not has(fields, 12):
        return DONE
    offset = fields[OFFSET]
    session = be16(view, offset + 2)
    bits = be16(view, offset + 10)
    if u8(view, offset) >> 4 != 2:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    size_bytes = 20 if bits & 1 != 0 else 12
    if not has(fields, size_bytes):
        return DONE
    if session & 0x0400 != 0:
        fields[FLAGS] |= FLAG_TRUNCATED
    if bits & 0x0008 != 0:
        fields[FLAGS] |= FLAG_EGRESS
    fields[OFFSET] = offset + size_bytes
    frame_type = (bits >> 10) & 0x1F
    kind = mirrored(fields, session & 0x3FF)
    if kind == DONE or frame_type == 0:
        return kind
    return VERSION if frame_type == 2 else DONE
