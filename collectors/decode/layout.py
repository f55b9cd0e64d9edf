"""Numbers that the decoding kernels share: slots of the row under construction and header kinds.

The kernels of one packet hand each other a row of int64 slots instead of forty values: a slot
for each column to fill, and a few for the position in the packet. What a slot means for an
analyzer is said in `fabricscope.records`; nothing here is visible outside the decoder.
"""

from typing import Final

import numpy as np

from fabricscope import records

BLOCK_ROWS: Final = 32
"""Rows decoded before their columns are written; their slots lie side by side in the L1 cache."""

# Position in the packet ---------------------------------------------------------------------
START: Final = 0 * BLOCK_ROWS  # first captured byte of the record, index into the view
END: Final = 1 * BLOCK_ROWS  # one past the last captured byte
OFFSET: Final = 2 * BLOCK_ROWS  # the next header
LIMIT: Final = 3 * BLOCK_ROWS  # one past the packet by its headers' own lengths; may lie behind END
FIRST_IP: Final = 4 * BLOCK_ROWS  # the outermost IP header, -1 before one is seen
OUTER_IP: Final = 5 * BLOCK_ROWS  # the same once a tunnel header followed it, -1 before
LEVELS: Final = 6 * BLOCK_ROWS  # tunnel headers passed
EXCUSED: Final = 7 * BLOCK_ROWS  # 1 where an inner length may exceed the outer one
NEXT_PROTOCOL: Final = 8 * BLOCK_ROWS  # what an extension header says follows it

# Columns of the same name -------------------------------------------------------------------
SRC_HI: Final = 9 * BLOCK_ROWS
SRC_LO: Final = 10 * BLOCK_ROWS
DST_HI: Final = 11 * BLOCK_ROWS
DST_LO: Final = 12 * BLOCK_ROWS
SRC_PORT: Final = 13 * BLOCK_ROWS
DST_PORT: Final = 14 * BLOCK_ROWS
PROTOCOL: Final = 15 * BLOCK_ROWS
IP_PROTOCOL: Final = 16 * BLOCK_ROWS
ETHERTYPE: Final = 17 * BLOCK_ROWS
TRAFFIC_CLASS: Final = 18 * BLOCK_ROWS  # dscp << 2 | ecn
TTL: Final = 19 * BLOCK_ROWS
IP_ID: Final = 20 * BLOCK_ROWS
VLAN: Final = 21 * BLOCK_ROWS
FLAGS: Final = 22 * BLOCK_ROWS
TUNNEL_KINDS: Final = 23 * BLOCK_ROWS
TUNNEL_IDS_LOW: Final = 24 * BLOCK_ROWS
TUNNEL_IDS_HIGH: Final = 25 * BLOCK_ROWS
TCP_FLAGS: Final = 26 * BLOCK_ROWS
TCP_SEQ: Final = 27 * BLOCK_ROWS
TCP_ACK: Final = 28 * BLOCK_ROWS
OPCODE: Final = 29 * BLOCK_ROWS
DEST_QP: Final = 30 * BLOCK_ROWS
PSN: Final = 31 * BLOCK_ROWS
RDMA_FLAGS: Final = 32 * BLOCK_ROWS
AETH: Final = 33 * BLOCK_ROWS
DMA_LENGTH: Final = 34 * BLOCK_ROWS
REMOTE_ADDRESS: Final = 35 * BLOCK_ROWS
IMMEDIATE: Final = 36 * BLOCK_ROWS
SOURCE_QP: Final = 37 * BLOCK_ROWS
PAYLOAD_LENGTH: Final = 38 * BLOCK_ROWS
DSCP: Final = 39 * BLOCK_ROWS
ECN: Final = 40 * BLOCK_ROWS
SCRATCH_SIZE: Final = 41 * BLOCK_ROWS

MAX_HEADERS: Final = 64
"""Headers that one packet may have, tags and extension headers each counted."""
MAX_LEVELS: Final = 8
"""Nested tunnels that are followed; four of them have room in the columns."""

MAC_HI: Final = records.MAC_ADDRESS_HI - (1 << 64)
"""`MAC_ADDRESS_HI` as the int64 of the same bits."""

# What the next header is: the frequent ones, the link layers, then all others ---------------
DONE: Final = 0
ETHERNET: Final = 1
IPV4: Final = 2
IPV6: Final = 3
UDP: Final = 4
TCP: Final = 5
ROCE_V2: Final = 6
VXLAN: Final = 7
NETWORK: Final = 8  # whatever the Ethertype in its slot says
ROCE_V1: Final = 9
INFINIBAND: Final = 10
LLC: Final = 11
VERSION: Final = 12  # IPv4 or IPv6 by the first four bits
COOKED_1: Final = 13
COOKED_2: Final = 14
LOOPBACK: Final = 15
PPP: Final = 16
PPPOE: Final = 17
HDLC: Final = 18
VN_TAG: Final = 19
LAST_LINK_KIND: Final = VN_TAG
GRE: Final = 20
ERSPAN_2: Final = 21
ERSPAN_3: Final = 22
GENEVE: Final = 23
MPLS: Final = 24
EXTENSION: Final = 25  # of IPv6, its number in NEXT_PROTOCOL
IP_IN_IP: Final = 26
GTP_U: Final = 27
VXLAN_GPE: Final = 28
NSH: Final = 29
AUTHENTICATION: Final = 30
GUE: Final = 31
L2TP_IP: Final = 32
L2TP_UDP: Final = 33
SCTP: Final = 34

# Protocols and tunnels by their index in the record declarations ----------------------------
P_OTHER: Final = records.PROTOCOLS.index("other")
P_ARP: Final = records.PROTOCOLS.index("arp")
P_LLDP: Final = records.PROTOCOLS.index("lldp")
P_LACP: Final = records.PROTOCOLS.index("lacp")
P_PAUSE: Final = records.PROTOCOLS.index("pause")
P_PFC: Final = records.PROTOCOLS.index("pfc")
P_IPV4: Final = records.PROTOCOLS.index("ipv4")
P_IPV6: Final = records.PROTOCOLS.index("ipv6")
P_UDP: Final = records.PROTOCOLS.index("udp")
P_ROCE_V1: Final = records.PROTOCOLS.index("roce_v1")
P_ROCE_V2: Final = records.PROTOCOLS.index("roce_v2")
P_INFINIBAND: Final = records.PROTOCOLS.index("infiniband")
P_STP: Final = records.PROTOCOLS.index("stp")
P_PTP: Final = records.PROTOCOLS.index("ptp")
P_ISIS: Final = records.PROTOCOLS.index("isis")
P_MAC_CONTROL: Final = records.PROTOCOLS.index("mac_control")
P_LLC: Final = records.PROTOCOLS.index("llc")
P_MPLS: Final = records.PROTOCOLS.index("mpls")

# As np.int64, since Numba compiles a function anew for each literal it is called with.
T_GRE: Final = np.int64(records.TUNNELS.index("gre"))
T_ERSPAN: Final = np.int64(records.TUNNELS.index("erspan"))
T_VXLAN: Final = np.int64(records.TUNNELS.index("vxlan"))
T_VXLAN_GPE: Final = np.int64(records.TUNNELS.index("vxlan_gpe"))
T_GENEVE: Final = np.int64(records.TUNNELS.index("geneve"))
T_NSH: Final = np.int64(records.TUNNELS.index("nsh"))
T_GTP_U: Final = np.int64(records.TUNNELS.index("gtp_u"))
T_IPIP: Final = np.int64(records.TUNNELS.index("ipip"))
T_MPLS: Final = np.int64(records.TUNNELS.index("mpls"))
T_VN_TAG: Final = np.int64(records.TUNNELS.index("vntag"))
T_GUE: Final = np.int64(records.TUNNELS.index("gue"))
T_L2TP: Final = np.int64(records.TUNNELS.index("l2tp"))
T_AH: Final = np.int64(records.TUNNELS.index("ah"))


def _ip_protocols() -> tuple[np.ndarray, np.ndarray]:
    """Return, by IP protocol number, the protocol's index over IPv4 and the next header kind."""
    names = np.zeros(256, np.int64)
    kinds = np.zeros(256, np.int64)
    known = {
        1: "icmp",
        2: "igmp",
        6: "tcp",
        17: "udp",
        47: "gre",
        50: "esp",
        51: "ah",
        58: "icmpv6",
        89: "ospf",
        103: "pim",
        112: "vrrp",
        132: "sctp",
    }
    for number, name in known.items():
        names[number] = records.PROTOCOLS.index(name)
    next_kinds = {
        4: IP_IN_IP,
        6: TCP,
        17: UDP,
        41: IP_IN_IP,
        47: GRE,
        51: AUTHENTICATION,
        115: L2TP_IP,
        132: SCTP,
        137: MPLS,
    }
    for number, kind in next_kinds.items():
        kinds[number] = kind
    return names, kinds


IP_PROTOCOL_NAMES, IP_PROTOCOL_KINDS = _ip_protocols()

IPV6_EXTENSIONS: Final = np.zeros(256, np.bool_)
"""Which protocol numbers are extension headers of IPv6 with a next-header field (RFC 8200)."""
IPV6_EXTENSIONS[[0, 43, 44, 60, 135, 139, 140]] = True

# Headers after the BTH, in wire order, as bits of BTH_LAYOUT --------------------------------
HAS_RDETH: Final = 1
HAS_DETH: Final = 2
HAS_XRCETH: Final = 4
HAS_RETH: Final = 8
HAS_ATOMIC: Final = 16
HAS_AETH: Final = 32
HAS_ATOMIC_ACK: Final = 64
HAS_IMMEDIATE: Final = 128
HAS_IETH: Final = 256
KNOWN_OPCODE: Final = 512
IS_CNP: Final = 1024

RC: Final = 0x00
UC: Final = 0x20
RD: Final = 0x40
UD: Final = 0x60
XRC: Final = 0xA0
CNP: Final = 0x81

BTH_SIZE: Final = 12
CNP_RESERVED_SIZE: Final = 16
ICRC_SIZE: Final = 4


def _bth_layout() -> tuple[np.ndarray, np.ndarray]:
    """Return, by BTH opcode, the bits of the headers that follow and their length in bytes."""
    operations = {
        **dict.fromkeys((0, 1, 2, 4), 0),
        **dict.fromkeys((3, 5), HAS_IMMEDIATE),
        **dict.fromkeys((6, 10), HAS_RETH),
        **dict.fromkeys((7, 8), 0),
        9: HAS_IMMEDIATE,
        11: HAS_RETH | HAS_IMMEDIATE,
        12: HAS_RETH,
        **dict.fromkeys((13, 15, 16, 17), HAS_AETH),
        14: 0,
        18: HAS_AETH | HAS_ATOMIC_ACK,
        **dict.fromkeys((19, 20), HAS_ATOMIC),
        **dict.fromkeys((22, 23), HAS_IETH),
    }
    responses = range(13, 19)
    layout = np.zeros(256, np.int64)
    for operation, headers in operations.items():
        is_response = operation in responses
        layout[RC | operation] = headers | KNOWN_OPCODE
        layout[XRC | operation] = headers | KNOWN_OPCODE | (0 if is_response else HAS_XRCETH)
        if operation <= 11:
            layout[UC | operation] = headers | KNOWN_OPCODE
        if operation <= 20:
            request = HAS_RDETH if is_response else HAS_RDETH | HAS_DETH
            layout[RD | operation] = headers | KNOWN_OPCODE | request
    layout[RD | 21] = KNOWN_OPCODE | HAS_RDETH | HAS_DETH  # RESYNC
    layout[UD | 4] = KNOWN_OPCODE | HAS_DETH
    layout[UD | 5] = KNOWN_OPCODE | HAS_DETH | HAS_IMMEDIATE
    layout[CNP] = KNOWN_OPCODE | IS_CNP
    sizes = {
        HAS_RDETH: 4,
        HAS_DETH: 8,
        HAS_XRCETH: 4,
        HAS_RETH: 16,
        HAS_ATOMIC: 28,
        HAS_AETH: 4,
        HAS_ATOMIC_ACK: 8,
        HAS_IMMEDIATE: 4,
        HAS_IETH: 4,
        IS_CNP: CNP_RESERVED_SIZE,
    }
    length = np.array([sum(s for bit, s in sizes.items() if bits & bit) for bits in layout])
    return layout, length


BTH_LAYOUT, BTH_EXTENSION_SIZE = _bth_layout()
