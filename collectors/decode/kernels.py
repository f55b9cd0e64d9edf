"""The decoder's one loop: each record's headers one after the other, then its row of columns."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode import layout
from fabricscope.collectors.decode.compiled import inlined, kernel
from fabricscope.collectors.decode.framing.kernels import (
    cooked_v1,
    cooked_v2,
    hdlc,
    loopback,
    ppp,
    pppoe,
)
from fabricscope.collectors.decode.gre.kernels import erspan_2, erspan_3, gre
from fabricscope.collectors.decode.labels.kernels import mpls
from fabricscope.collectors.decode.layout import (
    AUTHENTICATION,
    BLOCK_ROWS,
    COOKED_1,
    COOKED_2,
    DONE,
    DSCP,
    ECN,
    END,
    ERSPAN_2,
    ERSPAN_3,
    ETHERNET,
    EXTENSION,
    FIRST_IP,
    FLAGS,
    GENEVE,
    GRE,
    GTP_U,
    GUE,
    HDLC,
    INFINIBAND,
    IP_IN_IP,
    IPV4,
    IPV6,
    L2TP_IP,
    L2TP_UDP,
    LAST_LINK_KIND,
    LIMIT,
    LLC,
    LOOPBACK,
    MAX_HEADERS,
    MPLS,
    NETWORK,
    NSH,
    OFFSET,
    OUTER_IP,
    PAYLOAD_LENGTH,
    PPP,
    PPPOE,
    ROCE_V1,
    ROCE_V2,
    SCRATCH_SIZE,
    START,
    TCP,
    TRAFFIC_CLASS,
    UDP,
    VERSION,
    VLAN,
    VXLAN,
    VXLAN_GPE,
)
from fabricscope.collectors.decode.link.kernels import ethernet, llc, next_by_ethertype, vn_tag
from fabricscope.collectors.decode.network.kernels import (
    authentication,
    ip_by_version,
    ip_in_ip,
    ipv4,
    ipv6,
    ipv6_extension,
)
from fabricscope.collectors.decode.rdma.kernels import infiniband, roce_v1, roce_v2
from fabricscope.collectors.decode.transport.kernels import sctp, tcp, udp
from fabricscope.collectors.decode.tunnels.kernels import (
    geneve,
    gtp_u,
    gue,
    l2tp_session,
    l2tp_udp,
    nsh,
    vxlan,
    vxlan_gpe,
)
from fabricscope.records import FLAG_TOO_DEEP, FLAG_TRUNCATED, NO_VLAN, Packets


def decode(view: NDArray[np.uint8], packets: Packets) -> None:
    """Decode every record of a batch in place.

    `view` is the captured bytes (uint8, 1-D, may be read only), `packets` the columns of
    `fabricscope.records.Packets`, both owned by the caller. Every row's record columns must be
    filled, with `packet_offset` and `captured_length` inside `view`; all other columns of every
    row are written. No byte outside a row's record is read.
    """
    # Not compiled: the kernels are compiled without the means to allocate.
    decode_blocks(view, packets, np.zeros(SCRATCH_SIZE, np.int64))


@kernel
def decode_blocks(view: NDArray[np.uint8], packets: Packets, block: NDArray[np.int64]) -> None:
    """Decode a batch, a block of rows at a time, in the scratch space `block`."""
    rows = packets.time_ns.size
    for first in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - first)
        block[:] = 0
        for at in range(count):
            row = first + at
            start = packets.packet_offset[row]
            captured = np.int64(packets.captured_length[row])
            wire = np.int64(packets.wire_length[row])
            fields = block[at:]
            fields[START] = start
            fields[OFFSET] = start
            fields[END] = start + captured
            fields[LIMIT] = start + (wire if wire > captured else captured)
            fields[FIRST_IP] = -1
            fields[OUTER_IP] = -1
            fields[VLAN] = NO_VLAN
            if captured < wire:
                fields[FLAGS] = FLAG_TRUNCATED
            walk(view, fields, first_header(np.int64(packets.link_type[row])))
            finish(fields)
        write_block(block, packets, first, count)


@inlined
def finish(fields: NDArray[np.int64]) -> None:
    """Turn the position slots and the traffic class into what their columns hold."""
    payload_length = fields[LIMIT] - fields[OFFSET]
    fields[PAYLOAD_LENGTH] = payload_length if payload_length > 0 else 0
    if fields[OUTER_IP] < 0:
        fields[OUTER_IP] = 0
    traffic_class = fields[TRAFFIC_CLASS]
    fields[DSCP] = traffic_class >> 2
    fields[ECN] = traffic_class & 3


@kernel
def first_header(link_type: int | np.int64) -> int:
    """Return the header kind that a record of `link_type` (LINKTYPE_*) begins with."""
    if link_type == 1:
        return ETHERNET
    if link_type == 113:
        return COOKED_1
    if link_type == 276:
        return COOKED_2
    if link_type == 12 or link_type == 14 or link_type == 101:
        return VERSION
    if link_type == 228:
        return IPV4
    if link_type == 229:
        return IPV6
    if link_type == 0 or link_type == 108:
        return LOOPBACK
    if link_type == 247:
        return INFINIBAND
    if link_type == 9 or link_type == 50:
        return PPP
    if link_type == 104:
        return HDLC
    return DONE


@inlined
def walk(view: NDArray[np.uint8], fields: NDArray[np.int64], kind: int) -> None:
    """Decode header after header from `kind` on, until nothing known follows."""
    for _ in range(MAX_HEADERS):
        if kind == ETHERNET:
            kind = ethernet(view, fields)
        elif kind == IPV4:
            kind = ipv4(view, fields)
        elif kind == IPV6:
            kind = ipv6(view, fields)
        elif kind == UDP:
            kind = udp(view, fields)
        elif kind == ROCE_V2:
            kind = roce_v2(view, fields)
        elif kind == TCP:
            kind = tcp(view, fields)
        elif kind == VXLAN:
            kind = vxlan(view, fields)
        elif kind == DONE:
            return
        elif kind <= LAST_LINK_KIND:
            kind = link_header(view, fields, kind)
        else:
            kind = inner_header(view, fields, kind)
    fields[FLAGS] |= FLAG_TOO_DEEP


@kernel
def link_header(view: NDArray[np.uint8], fields: NDArray[np.int64], kind: int) -> int:
    """Decode one of the rarer headers below the network layer."""
    if kind == NETWORK:
        return next_by_ethertype(view, fields)
    if kind == ROCE_V1:
        return roce_v1(view, fields)
    if kind == INFINIBAND:
        return infiniband(view, fields)
    if kind == LLC:
        return llc(view, fields)
    if kind == VERSION:
        return ip_by_version(view, fields)
    if kind == COOKED_1:
        return cooked_v1(view, fields)
    if kind == COOKED_2:
        return cooked_v2(view, fields)
    if kind == LOOPBACK:
        return loopback(view, fields)
    if kind == PPP:
        return ppp(view, fields)
    if kind == PPPOE:
        return pppoe(view, fields)
    if kind == HDLC:
        return hdlc(view, fields)
    return vn_tag(view, fields)


@kernel
def inner_header(view: NDArray[np.uint8], fields: NDArray[np.int64], kind: int) -> int:
    """Decode one of the rarer headers above the network layer."""
    if kind == GRE:
        return gre(view, fields)
    if kind == ERSPAN_2:
        return erspan_2(view, fields)
    if kind == ERSPAN_3:
        return erspan_3(view, fields)
    if kind == GENEVE:
        return geneve(view, fields)
    if kind == MPLS:
        return mpls(view, fields)
    if kind == EXTENSION:
        return ipv6_extension(view, fields)
    if kind == IP_IN_IP:
        return ip_in_ip(fields)
    if kind == GTP_U:
        return gtp_u(view, fields)
    if kind == VXLAN_GPE:
        return vxlan_gpe(view, fields)
    if kind == NSH:
        return nsh(view, fields)
    if kind == AUTHENTICATION:
        return authentication(view, fields)
    if kind == GUE:
        return gue(view, fields)
    if kind == L2TP_IP:
        return l2tp_session(view, fields)
    if kind == L2TP_UDP:
        return l2tp_udp(view, fields)
    return sctp(view, fields)


@kernel
def write_column(
    column: NDArray[Any], block: NDArray[np.int64], slot: int, first: int, count: int
) -> None:
    """Copy `slot` of the first `count` rows of `block` to `column` from row `first` on."""
    values = block[slot : slot + count]
    rows = column[first : first + count]
    for at in range(count):
        rows[at] = values[at]


@inlined
def write_block(block: NDArray[np.int64], packets: Packets, first: int, count: int) -> None:
    """Write the decoder's columns of rows `first` to `first + count` from the block's slots.

    Column after column and not row after row: columns begin on page boundaries, so the same row
    of all of them falls into one set of the cache, which has room for only a few.
    """
    write_column(packets.payload_offset, block, OFFSET, first, count)
    write_column(packets.payload_length, block, PAYLOAD_LENGTH, first, count)
    write_column(packets.src_hi, block, layout.SRC_HI, first, count)
    write_column(packets.src_lo, block, layout.SRC_LO, first, count)
    write_column(packets.dst_hi, block, layout.DST_HI, first, count)
    write_column(packets.dst_lo, block, layout.DST_LO, first, count)
    write_column(packets.src_port, block, layout.SRC_PORT, first, count)
    write_column(packets.dst_port, block, layout.DST_PORT, first, count)
    write_column(packets.protocol, block, layout.PROTOCOL, first, count)
    write_column(packets.ip_protocol, block, layout.IP_PROTOCOL, first, count)
    write_column(packets.ethertype, block, layout.ETHERTYPE, first, count)
    write_column(packets.dscp, block, DSCP, first, count)
    write_column(packets.ecn, block, ECN, first, count)
    write_column(packets.ttl, block, layout.TTL, first, count)
    write_column(packets.ip_id, block, layout.IP_ID, first, count)
    write_column(packets.vlan, block, layout.VLAN, first, count)
    write_column(packets.flags, block, layout.FLAGS, first, count)
    write_column(packets.tunnel_kinds, block, layout.TUNNEL_KINDS, first, count)
    write_column(packets.tunnel_ids_low, block, layout.TUNNEL_IDS_LOW, first, count)
    write_column(packets.tunnel_ids_high, block, layout.TUNNEL_IDS_HIGH, first, count)
    write_column(packets.outer_ip_offset, block, OUTER_IP, first, count)
    write_column(packets.tcp_flags, block, layout.TCP_FLAGS, first, count)
    write_column(packets.tcp_seq, block, layout.TCP_SEQ, first, count)
    write_column(packets.tcp_ack, block, layout.TCP_ACK, first, count)
    write_column(packets.opcode, block, layout.OPCODE, first, count)
    write_column(packets.dest_qp, block, layout.DEST_QP, first, count)
    write_column(packets.psn, block, layout.PSN, first, count)
    write_column(packets.rdma_flags, block, layout.RDMA_FLAGS, first, count)
    write_column(packets.aeth, block, layout.AETH, first, count)
    write_column(packets.dma_length, block, layout.DMA_LENGTH, first, count)
    write_column(packets.remote_address, block, layout.REMOTE_ADDRESS, first, count)
    write_column(packets.immediate, block, layout.IMMEDIATE, first, count)
    write_column(packets.source_qp, block, layout.SOURCE_QP, first, count)
