"""Base transport header and its extensions, under UDP, Ethernet and InfiniBand's own link.

`view` is the captured bytes (uint8, 1-D, read only), `fields` the row of int64 slots of
`fabricscope.collectors.decode.layout`, owned by `decode`. Each kernel decodes the header at the
cursor and returns the kind of the next one. Formats: InfiniBand Architecture, volume 1, and its
annexes A16 (RoCE) and A17 (RoCE v2).
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import inlined, kernel
from fabricscope.collectors.decode.cursor.kernels import has, narrow
from fabricscope.collectors.decode.layout import (
    AETH,
    BTH_EXTENSION_SIZE,
    BTH_LAYOUT,
    BTH_SIZE,
    DEST_QP,
    DMA_LENGTH,
    DONE,
    DST_HI,
    DST_LO,
    END,
    ETHERTYPE,
    FLAGS,
    HAS_AETH,
    HAS_ATOMIC,
    HAS_ATOMIC_ACK,
    HAS_DETH,
    HAS_IETH,
    HAS_IMMEDIATE,
    HAS_RDETH,
    HAS_RETH,
    HAS_XRCETH,
    ICRC_SIZE,
    IMMEDIATE,
    IP_ID,
    IPV6,
    KNOWN_OPCODE,
    LIMIT,
    NETWORK,
    OFFSET,
    OPCODE,
    P_INFINIBAND,
    P_ROCE_V1,
    P_ROCE_V2,
    PROTOCOL,
    PSN,
    RDMA_FLAGS,
    REMOTE_ADDRESS,
    SOURCE_QP,
    SRC_HI,
    SRC_LO,
    TRAFFIC_CLASS,
    TTL,
)
from fabricscope.collectors.decode.read.kernels import be16, be32, be64, u8
from fabricscope.records import (
    FLAG_HEADER_CUT,
    FLAG_MALFORMED,
    RDMA_ACK_REQUEST,
    RDMA_BECN,
    RDMA_FECN,
    RDMA_HAS_AETH,
    RDMA_MIGRATION,
    RDMA_PAD_SHIFT,
    RDMA_SOLICITED,
)


@inlined
def roce_v2(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode RoCE v2 at the cursor behind UDP port 4791, unless the bytes cannot be a BTH.

    Another program may own the port. The transport version and the opcode must be known and the
    headers that the opcode asks for must fit. A switch or NIC may use reserved bits, and a
    fabric may use its own partition keys: only both together are taken for something else.
    """
    if fields[LIMIT] - fields[OFFSET] < BTH_SIZE or not has(fields, BTH_SIZE):
        return DONE
    offset = fields[OFFSET]
    opcode = u8(view, offset)
    if BTH_LAYOUT[opcode] == 0 or u8(view, offset + 1) & 0x0F != 0:
        return DONE
    if BTH_SIZE + BTH_EXTENSION_SIZE[opcode] > fields[LIMIT] - offset:
        return DONE
    reserved = (u8(view, offset + 4) & 0x3F) | (u8(view, offset + 8) & 0x7F)
    if reserved != 0 and be16(view, offset + 2) & 0x7FFF != 0x7FFF:
        return DONE
    fields[PROTOCOL] = P_ROCE_V2
    return base_transport(view, fields)


@inlined
def base_transport(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the BTH at the cursor, already known to fit, and the extensions of its opcode.

    Leaves the cursor at the payload and the limit at its end: without ICRC and padding.
    """
    offset = fields[OFFSET]
    opcode = u8(view, offset)
    bits = u8(view, offset + 1)
    queue = be32(view, offset + 4)
    sequence = be32(view, offset + 8)
    pad_size = (bits >> 4) & 3
    flags = pad_size << RDMA_PAD_SHIFT
    if bits & 0x80 != 0:
        flags |= RDMA_SOLICITED
    if bits & 0x40 != 0:
        flags |= RDMA_MIGRATION
    if sequence >> 31 != 0:
        flags |= RDMA_ACK_REQUEST
    if queue >> 31 != 0:
        flags |= RDMA_FECN
    if queue & 0x40000000 != 0:
        flags |= RDMA_BECN
    layout = BTH_LAYOUT[opcode]
    if layout & HAS_AETH != 0:
        flags |= RDMA_HAS_AETH
    fields[OPCODE] = opcode
    fields[DEST_QP] = queue & 0xFFFFFF
    fields[PSN] = sequence & 0xFFFFFF
    fields[RDMA_FLAGS] = flags
    if layout == 0 or bits & 0x0F != 0:
        fields[FLAGS] |= FLAG_MALFORMED
    at = offset + BTH_SIZE
    payload = at + BTH_EXTENSION_SIZE[opcode]
    payload_length = fields[LIMIT] - payload - pad_size - ICRC_SIZE
    if payload_length < 0:
        fields[FLAGS] |= FLAG_MALFORMED
        payload_length = 0
    end = fields[END]
    if layout & ~KNOWN_OPCODE != 0 and at < end:
        extensions(view, fields, layout, at)
    if payload > end:
        if payload <= fields[LIMIT]:
            fields[FLAGS] |= FLAG_HEADER_CUT
        payload = end
    fields[OFFSET] = payload
    fields[LIMIT] = payload + payload_length
    return DONE


@kernel
def extensions(view: NDArray[np.uint8], fields: NDArray[np.int64], layout: int, at: int) -> None:
    """Decode the extension headers from index `at` on, as far as they were captured."""
    end = fields[END] if fields[END] < fields[LIMIT] else fields[LIMIT]
    if layout & HAS_RDETH != 0:
        at += 4
    if layout & HAS_DETH != 0:
        if at + 8 <= end:
            fields[SOURCE_QP] = be32(view, at + 4) & 0xFFFFFF
        at += 8
    if layout & HAS_XRCETH != 0:
        at += 4
    if layout & HAS_RETH != 0:
        if at + 16 <= end:
            fields[REMOTE_ADDRESS] = be64(view, at)
            fields[DMA_LENGTH] = be32(view, at + 12)
        at += 16
    if layout & HAS_ATOMIC != 0:
        if at + 28 <= end:
            fields[REMOTE_ADDRESS] = be64(view, at)
        at += 28
    if layout & HAS_AETH != 0:
        if at + 4 <= end:
            fields[AETH] = be32(view, at)
        at += 4
    if layout & HAS_ATOMIC_ACK != 0:
        at += 8
    if layout & (HAS_IMMEDIATE | HAS_IETH) != 0 and at + 4 <= end:
        fields[IMMEDIATE] = be32(view, at)


@kernel
def global_route(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> bool:
    """Decode a GRH, which has the shape of an IPv6 header; returns whether it was one."""
    if not has(fields, 40):
        return False
    offset = fields[OFFSET]
    first = be32(view, offset)
    if first >> 28 != 6:
        fields[FLAGS] |= FLAG_MALFORMED
        return False
    fields[SRC_HI] = be64(view, offset + 8)
    fields[SRC_LO] = be64(view, offset + 16)
    fields[DST_HI] = be64(view, offset + 24)
    fields[DST_LO] = be64(view, offset + 32)
    fields[TRAFFIC_CLASS] = (first >> 20) & 0xFF
    fields[TTL] = u8(view, offset + 7)
    fields[IP_ID] = first & 0xFFFFF
    fields[OFFSET] = offset + 40
    narrow(fields, offset + 40 + be16(view, offset + 4))
    if u8(view, offset + 6) != 0x1B:
        fields[FLAGS] |= FLAG_MALFORMED
        return False
    return True


@kernel
def roce_v1(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode RoCE v1: a GRH, then the BTH."""
    fields[PROTOCOL] = P_ROCE_V1
    if not global_route(view, fields):
        return DONE
    if not has(fields, BTH_SIZE):
        return DONE
    return base_transport(view, fields)


@kernel
def infiniband(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a local route header and what its LNH field says comes next."""
    if not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    fields[PROTOCOL] = P_INFINIBAND
    next_header = u8(view, offset + 1) & 3
    fields[DST_LO] = be16(view, offset + 2)
    fields[SRC_LO] = be16(view, offset + 6)
    fields[OFFSET] = offset + 8
    # The length is in words of 4 bytes, LRH and ICRC counted, the VCRC not.
    words = be16(view, offset + 4) & 0x7FF
    if words < 2:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    narrow(fields, offset + 4 * words)
    if next_header == 0:
        if not has(fields, 4):
            return DONE
        fields[ETHERTYPE] = be16(view, offset + 10)
        fields[OFFSET] = offset + 12
        return NETWORK
    if next_header == 1:
        return IPV6
    if next_header == 3 and not global_route(view, fields):
        return DONE
    if not has(fields, BTH_SIZE):
        return DONE
    return base_transport(view, fields)
