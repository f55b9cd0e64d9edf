"""What crosses the borders between the packages: packet columns and table declarations.

Nothing here computes; dtypes of tables are strings so that no data-frame library is imported.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.tables import TABLES, Column

__all__ = ["BATCH_ROWS", "TABLES", "Column", "Packets", "allocate_packets", "slice_packets"]

BATCH_ROWS: Final = 16_384
"""Rows of one `Packets` batch: about 2.5 MB of columns, which stay in the cache between stages."""


_PAGE_BYTES: Final = 4_096
_STAGGER_BYTES: Final = 320


class Packets(NamedTuple):
    """Columns of decoded packets, one row a captured record; owned by the collector and reused.

    All arrays have the same length. Copy what must outlive the batch. Numba takes the tuple as
    one argument. A field that a packet does not have is 0. Addresses are 128 bits, high and low
    halves, IPv4 as ::ffff:a.b.c.d (also for InfiniBand and pure Ethernet frames, see below).

    The reader fills `time_ns` to `link_type`; the decoder fills the rest:

    - InfiniBand without GRH: `src_lo`/`dst_lo` hold the LIDs, `src_hi`/`dst_hi` are 0.
    - frames without an IP or IB network layer: `src_lo`/`dst_lo` hold the MAC addresses (48 bits)
      and `src_hi`/`dst_hi` are `MAC_ADDRESS_HI`; RoCE v1 and IB with GRH: the GIDs.
    - PFC and PAUSE: `payload_offset` is the byte after the MAC-control opcode.
    """

    time_ns: NDArray[np.int64]  # since the epoch
    frame: NDArray[np.int64]  # 1-based number of the record in its file, as Wireshark counts
    packet_offset: NDArray[np.int64]  # first captured byte, into the view
    wire_length: NDArray[np.uint32]  # bytes on the wire (or in the record's own claim)
    captured_length: NDArray[np.uint32]  # bytes present from packet_offset on
    tap: NDArray[np.uint16]  # which mirror source (file and interface)
    link_type: NDArray[np.uint16]  # LINKTYPE_* of the record

    payload_offset: NDArray[np.int64]  # first byte after the innermost decoded header
    payload_length: NDArray[np.uint32]  # payload bytes on the wire by the headers' own lengths,
    #                                     without padding and ICRC; may exceed what was captured
    src_hi: NDArray[np.uint64]
    src_lo: NDArray[np.uint64]
    dst_hi: NDArray[np.uint64]
    dst_lo: NDArray[np.uint64]
    src_port: NDArray[np.uint16]
    dst_port: NDArray[np.uint16]
    protocol: NDArray[np.uint8]  # index into PROTOCOLS: the innermost one recognised
    ip_protocol: NDArray[np.uint8]  # innermost IP protocol number (after extension headers)
    ethertype: NDArray[np.uint16]  # innermost Ethertype (also of raw IP: 0x0800 or 0x86dd)
    dscp: NDArray[np.uint8]
    ecn: NDArray[np.uint8]  # 0 not capable, 1 and 2 capable, 3 congestion experienced
    ttl: NDArray[np.uint8]
    ip_id: NDArray[np.uint32]  # IPv4 identification, or IPv6 flow label
    vlan: NDArray[np.uint16]  # innermost VLAN id seen outside any tunnel; NO_VLAN when untagged
    flags: NDArray[np.uint32]  # FLAG_* bits
    tunnel_kinds: NDArray[np.uint32]  # four indexes into TUNNELS, one a byte, outermost lowest
    tunnel_ids_low: NDArray[np.uint64]  # ids of the two outermost tunnels, outermost lowest
    tunnel_ids_high: NDArray[np.uint64]  # ids of the third and fourth
    outer_ip_offset: NDArray[np.uint16]  # outermost IP header from packet_offset; 0 if no tunnel
    tcp_flags: NDArray[np.uint8]
    tcp_seq: NDArray[np.uint32]
    tcp_ack: NDArray[np.uint32]
    opcode: NDArray[np.uint8]  # BTH
    dest_qp: NDArray[np.uint32]  # BTH
    psn: NDArray[np.uint32]  # BTH
    rdma_flags: NDArray[np.uint8]  # RDMA_* bits
    aeth: NDArray[np.uint32]  # syndrome << 24 | MSN
    dma_length: NDArray[np.uint32]  # RETH
    remote_address: NDArray[np.uint64]  # RETH or AtomicETH virtual address
    immediate: NDArray[np.uint32]  # ImmDt, or IETH R_Key
    source_qp: NDArray[np.uint32]  # DETH (UD) only


def allocate_packets(rows: int = BATCH_ROWS) -> Packets:
    """Return zeroed columns for `rows` packets.

    The columns lie in one block, each begun at another offset within its page: columns that all
    begin on a page boundary fall into the same few sets of the processor's first cache.
    """
    sizes = [rows * np.dtype(dtype).itemsize for _, dtype in PACKET_DTYPES]
    starts = []
    end = 0
    for place, size in enumerate(sizes):
        start = -(-end // _PAGE_BYTES) * _PAGE_BYTES + place * _STAGGER_BYTES % _PAGE_BYTES
        starts.append(start)
        end = start + size
    block = np.zeros(end, np.uint8)
    return Packets._make(
        block[start : start + size].view(dtype)
        for start, size, (_, dtype) in zip(starts, sizes, PACKET_DTYPES, strict=True)
    )


def slice_packets(packets: Packets, start: int, stop: int) -> Packets:
    """Return views on rows `start` to `stop` (excluded); nothing is copied."""
    return Packets._make(column[start:stop] for column in packets)


PACKET_DTYPES: Final = (
    ("time_ns", "int64"),
    ("frame", "int64"),
    ("packet_offset", "int64"),
    ("wire_length", "uint32"),
    ("captured_length", "uint32"),
    ("tap", "uint16"),
    ("link_type", "uint16"),
    ("payload_offset", "int64"),
    ("payload_length", "uint32"),
    ("src_hi", "uint64"),
    ("src_lo", "uint64"),
    ("dst_hi", "uint64"),
    ("dst_lo", "uint64"),
    ("src_port", "uint16"),
    ("dst_port", "uint16"),
    ("protocol", "uint8"),
    ("ip_protocol", "uint8"),
    ("ethertype", "uint16"),
    ("dscp", "uint8"),
    ("ecn", "uint8"),
    ("ttl", "uint8"),
    ("ip_id", "uint32"),
    ("vlan", "uint16"),
    ("flags", "uint32"),
    ("tunnel_kinds", "uint32"),
    ("tunnel_ids_low", "uint64"),
    ("tunnel_ids_high", "uint64"),
    ("outer_ip_offset", "uint16"),
    ("tcp_flags", "uint8"),
    ("tcp_seq", "uint32"),
    ("tcp_ack", "uint32"),
    ("opcode", "uint8"),
    ("dest_qp", "uint32"),
    ("psn", "uint32"),
    ("rdma_flags", "uint8"),
    ("aeth", "uint32"),
    ("dma_length", "uint32"),
    ("remote_address", "uint64"),
    ("immediate", "uint32"),
    ("source_qp", "uint32"),
)

# How much of the packet could be used -------------------------------------------------------
FLAG_TRUNCATED: Final = 1  # captured less than the wire length
FLAG_MALFORMED: Final = 2  # a header contradicts itself or its length; what preceded it is kept
FLAG_FRAGMENT: Final = 4  # part of a fragmented IP datagram
FLAG_LATER_FRAGMENT: Final = 8  # not the first part: no ports
FLAG_TOO_DEEP: Final = 16  # more nested headers than the decoder follows
FLAG_HEADER_CUT: Final = 32  # the snap length ended inside a header: later headers are unknown
FLAG_DUPLICATE: Final = 64  # the same packet was already seen at another tap
FLAG_EGRESS: Final = 128  # ERSPAN says: mirrored on the way out
FLAG_SLOW_PATH: Final = 256  # IPv4 options or IPv6 extension headers were present

RDMA_SOLICITED: Final = 1
RDMA_MIGRATION: Final = 2
RDMA_ACK_REQUEST: Final = 4
RDMA_FECN: Final = 8
RDMA_BECN: Final = 16
RDMA_PAD_SHIFT: Final = 5  # two bits: pad count, 0 to 3
RDMA_HAS_AETH: Final = 128

NO_VLAN: Final = 0xFFFF
MAC_ADDRESS_HI: Final = 0xFE00_0000_0000_0000  # marks a MAC address: reserved in IPv6
IPV4_PREFIX_LO: Final = 0x0000_FFFF_0000_0000  # ::ffff:0:0/96, upper half of the low 64 bits

PROTOCOLS: Final = (
    "other",
    "arp",
    "lldp",
    "lacp",
    "pause",
    "pfc",
    "icmp",
    "icmpv6",
    "igmp",
    "tcp",
    "udp",
    "sctp",
    "gre",
    "esp",
    "ah",
    "ospf",
    "pim",
    "vrrp",
    "ipv4",
    "ipv6",
    "roce_v1",
    "roce_v2",
    "infiniband",
    "stp",
    "ptp",
    "isis",
    "mac_control",
    "llc",
    "mpls",
)
"""What a packet is, innermost; `ipv4` and `ipv6` stand for any other protocol over them."""

TUNNELS: Final = (
    "none",
    "gre",
    "erspan",
    "vxlan",
    "vxlan_gpe",
    "geneve",
    "nsh",
    "gtp_u",
    "ipip",
    "mpls",
    "vntag",
    "gue",
    "l2tp",
    "ah",
)
"""Encapsulations. The id: GRE key, ERSPAN session, VNI, NSH path << 8 | index, TEID, MPLS top
label, VN-tag destination VIF, L2TP session; 0 where there is none."""
