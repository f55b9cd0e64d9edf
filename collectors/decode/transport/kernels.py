"""TCP, UDP and SCTP.

`view` is the captured bytes (uint8, 1-D, read only), `fields` the row of int64 slots of
`fabricscope.collectors.decode.layout`, owned by `decode`. Each kernel decodes the header at the
cursor and returns the kind of the next one.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import inlined, kernel
from fabricscope.collectors.decode.cursor.kernels import fits, has, skip
from fabricscope.collectors.decode.layout import (
    DONE,
    DST_PORT,
    EXCUSED,
    FLAGS,
    GENEVE,
    GTP_U,
    GUE,
    L2TP_UDP,
    LIMIT,
    MPLS,
    OFFSET,
    ROCE_V2,
    SRC_PORT,
    TCP_ACK,
    TCP_FLAGS,
    TCP_SEQ,
    VXLAN,
    VXLAN_GPE,
)
from fabricscope.collectors.decode.read.kernels import be16, be32, u8
from fabricscope.records import FLAG_MALFORMED


@inlined
def ports(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> None:
    """Decode the two ports at the cursor, if at least these were captured."""
    if not fits(fields, 4):
        return
    both = be32(view, fields[OFFSET])
    fields[SRC_PORT] = both >> 16
    fields[DST_PORT] = both & 0xFFFF


@kernel
def tcp(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a TCP header (RFC 9293), options skipped."""
    ports(view, fields)
    if not has(fields, 20):
        return DONE
    offset = fields[OFFSET]
    fields[TCP_SEQ] = be32(view, offset + 4)
    fields[TCP_ACK] = be32(view, offset + 8)
    fields[TCP_FLAGS] = u8(view, offset + 13)
    header_size = (u8(view, offset + 12) >> 4) * 4
    if header_size < 20:
        fields[FLAGS] |= FLAG_MALFORMED
        fields[OFFSET] = offset + 20
        return DONE
    skip(fields, header_size)
    return DONE


@kernel
def sctp(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the common header of SCTP (RFC 9260); chunks are payload."""
    ports(view, fields)
    if not has(fields, 12):
        return DONE
    fields[OFFSET] += 12
    return DONE


@inlined
def udp(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a UDP header (RFC 768) and choose what its destination port promises."""
    ports(view, fields)
    if not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    length = be16(view, offset + 4)
    fields[OFFSET] = offset + 8
    # Length 0: beyond 64 KiB, the IP header's length counts.
    if length >= 8:
        limit = offset + length
        if limit <= fields[LIMIT]:
            fields[LIMIT] = limit
        elif fields[EXCUSED] == 0:
            fields[FLAGS] |= FLAG_MALFORMED
    elif length != 0:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    port = fields[DST_PORT]
    if port == 4791:
        return ROCE_V2
    # GTP-U replies come from the port, too.
    if fields[SRC_PORT] == 2152:
        return GTP_U
    return tunnel_by_port(port)


@kernel
def tunnel_by_port(port: int) -> int:
    """Return the kind of tunnel registered for the UDP destination `port`, or DONE."""
    if port == 4789 or port == 8472:
        return VXLAN
    if port == 6081:
        return GENEVE
    if port == 4790:
        return VXLAN_GPE
    if port == 2152:
        return GTP_U
    if port == 6635:
        return MPLS
    if port == 6080:
        return GUE
    if port == 1701:
        return L2TP_UDP
    return DONE
