"""MPLS (RFC 3032) and the pseudowires under it (RFC 4448).

`view` is the captured bytes (uint8, 1-D, read only), `fields` the row of int64 slots of
`fabricscope.collectors.decode.layout`, owned by `decode`.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import kernel
from fabricscope.collectors.decode.cursor.kernels import enter_tunnel, has
from fabricscope.collectors.decode.layout import (
    DONE,
    END,
    ETHERNET,
    LIMIT,
    OFFSET,
    P_MPLS,
    P_UDP,
    PROTOCOL,
    T_MPLS,
)
from fabricscope.collectors.decode.read.kernels import be32, u8
from fabricscope.collectors.decode.tunnels.kernels import ethernet_at, ip_at


@kernel
def mpls(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a label stack and find out what is under it; returns the kind of that header.

    MPLS does not say what it carries. Over UDP the stack is believed only if something known
    follows, elsewhere the packet stays MPLS.
    """
    offset = fields[OFFSET]
    over_udp = fields[PROTOCOL] == P_UDP
    at = offset
    while True:
        if at + 4 > fields[LIMIT] and over_udp:
            return DONE
        if not has(fields, at + 4 - offset):
            return DONE
        entry = be32(view, at)
        at += 4
        if entry & 0x100 != 0:
            break
    kind = ip_at(view, fields, at)
    start = at
    if kind == DONE:
        start = pseudowire(view, fields, at)
        if start >= 0:
            kind = ETHERNET
    if kind == DONE:
        if not over_udp:
            fields[PROTOCOL] = P_MPLS
            fields[OFFSET] = at
        return DONE
    if not enter_tunnel(fields, T_MPLS, be32(view, offset) >> 12):
        return DONE
    fields[OFFSET] = start
    return kind


@kernel
def pseudowire(view: NDArray[np.uint8], fields: NDArray[np.int64], at: int) -> int:
    """Return where an Ethernet frame begins at or behind the control word at `at`, or -1."""
    if at >= fields[END] or at >= fields[LIMIT]:
        return -1
    if u8(view, at) >> 4 == 0 and ethernet_at(view, fields, at + 4):
        return at + 4
    if ethernet_at(view, fields, at):
        return at
    return -1
