"""The decoder's one loop: each record's headers one after the other, then its row of columns."""

import numpy as np
from numba import njit

from fabricscope.collectors.decode import layout
from fabricscope.collectors.decode.layout import (
    BLOCK_ROWS,
    COOKED_1,
    COOKED_2,
    DONE,
    DSCP,
    ECN,
    END,
    ETHERNET,
    EXTENSION,
    FIRST_IP,
    FLAGS,
    INFINIBAND,
    IPV4,
    IPV6,
    LIMIT,
    LLC,
    LOOPBACK,
    MAX_HEADERS,
    NETWORK,
    OFFSET,
    OUTER_IP,
    PAYLOAD_LENGTH,
    ROCE_V1,
    ROCE_V2,
    SCTP,
    SLOTS,
    START,
    TCP,
    TRAFFIC_CLASS,
    UDP,
    VERSION,
    VLAN,
)
from fabricscope.collectors.decode.link.kernels import (
    cooked,
    ethernet,
    llc,
    loopback,
    next_by_ethertype,
)
from fabricscope.collectors.decode.network.kernels import (
    ip_by_version,
    ipv4,
    ipv6,
    ipv6_extension,
)
from fabricscope.collectors.decode.rdma.kernels import infiniband, roce_v1, roce_v2
from fabricscope.collectors.decode.transport.kernels import sctp, tcp, udp
from fabricscope.records import FLAG_TOO_DEEP, FLAG_TRUNCATED, NO_VLAN


@njit(cache=True, nogil=True)
def decode(view, packets):
    """Decode every record of a batch in place.

    `view` is the captured bytes (uint8, 1-D, may be read only), `packets` the columns of
    `fabricscope.records.Packets`, both owned by the caller. Every row's record columns must be
    filled, with `packet_offset` and `captured_length` inside `view`; all other columns of every
    row are written. No byte outside a row's record is read.
    """
    decode_blocks(view, packets, np.zeros((BLOCK_ROWS, SLOTS), np.int64))


@njit(cache=True, nogil=True, _nrt=False)
def decode_blocks(view, packets, block):
    """Decode a batch, a block of rows at a time, in the scratch space `block`."""
    rows = packets.time_ns.size
    for first in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - first)
        for at in range(count):
            row = first + at
            start = packets.packet_offset[row]
            captured = np.int64(packets.captured_length[row])
            wire = np.int64(packets.wire_length[row])
            fields = block[at]
            fields[:] = 0
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


@njit(cache=True, nogil=True, _nrt=False)
def finish(fields):
    """Turn the position slots and the traffic class into what their columns hold."""
    payload_length = fields[LIMIT] - fields[OFFSET]
    fields[PAYLOAD_LENGTH] = payload_length if payload_length > 0 else 0
    if fields[OUTER_IP] < 0:
        fields[OUTER_IP] = 0
    traffic_class = fields[TRAFFIC_CLASS]
    fields[DSCP] = traffic_class >> 2
    fields[ECN] = traffic_class & 3


@njit(cache=True, nogil=True, _nrt=False)
def first_header(link_type):
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
    return DONE


@njit(cache=True, nogil=True, _nrt=False)
def walk(view, fields, kind):
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
        elif kind == DONE:
            return
        elif kind == SCTP:
            kind = sctp(view, fields)
        elif kind == NETWORK:
            kind = next_by_ethertype(view, fields)
        elif kind == ROCE_V1:
            kind = roce_v1(view, fields)
        elif kind == INFINIBAND:
            kind = infiniband(view, fields)
        elif kind == EXTENSION:
            kind = ipv6_extension(view, fields)
        elif kind == LLC:
            kind = llc(view, fields)
        elif kind == VERSION:
            kind = ip_by_version(view, fields)
        elif kind == COOKED_1:
            kind = cooked(view, fields, 1)
        elif kind == COOKED_2:
            kind = cooked(view, fields, 2)
        elif kind == LOOPBACK:
            kind = loopback(view, fields)
        else:
            return
    fields[FLAGS] |= FLAG_TOO_DEEP


@njit(cache=True, nogil=True, _nrt=False)
def write_column(column, block, slot, first, count):
    """Copy `slot` of the first `count` rows of `block` to `column` from row `first` on."""
    for at in range(count):
        column[first + at] = block[at, slot]


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def write_block(block, packets, first, count):
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
