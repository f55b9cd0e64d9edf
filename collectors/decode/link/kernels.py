"""Ethernet and what may stand between it and the network layer.

`view` is the captured bytes (uint8, 1-D, read only), `fields` the row of int64 slots of
`fabricscope.collectors.decode.layout`, owned by `decode`. Each kernel decodes the header at the
cursor and returns the kind of the next one.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import inlined, kernel
from fabricscope.collectors.decode.cursor.kernels import enter_tunnel, fits, has
from fabricscope.collectors.decode.layout import (
    DONE,
    DST_HI,
    DST_LO,
    DST_PORT,
    ETHERTYPE,
    FLAGS,
    IP_ID,
    IP_PROTOCOL,
    IPV4,
    IPV6,
    LEVELS,
    LIMIT,
    LLC,
    MAC_HI,
    MPLS,
    NETWORK,
    NSH,
    OFFSET,
    P_ARP,
    P_ISIS,
    P_LACP,
    P_LLC,
    P_LLDP,
    P_MAC_CONTROL,
    P_OTHER,
    P_PAUSE,
    P_PFC,
    P_PTP,
    P_STP,
    PPPOE,
    PROTOCOL,
    ROCE_V1,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    T_VN_TAG,
    TRAFFIC_CLASS,
    TTL,
    TUNNEL_KINDS,
    VLAN,
    VN_TAG,
)
from fabricscope.collectors.decode.read.kernels import be16, be32, u8
from fabricscope.records import FLAG_MALFORMED


@inlined
def ethernet(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode destination, source and Ethertype; forgets an outer network layer."""
    if not has(fields, 14):
        return DONE
    offset = fields[OFFSET]
    fields[DST_LO] = (be32(view, offset) << 16) | be16(view, offset + 4)
    fields[SRC_LO] = (be16(view, offset + 6) << 32) | be32(view, offset + 8)
    fields[ETHERTYPE] = be16(view, offset + 12)
    fields[OFFSET] = offset + 14
    fields[SRC_HI] = MAC_HI
    fields[DST_HI] = MAC_HI
    fields[SRC_PORT] = 0
    fields[DST_PORT] = 0
    fields[PROTOCOL] = P_OTHER
    fields[IP_PROTOCOL] = 0
    fields[TRAFFIC_CLASS] = 0
    fields[TTL] = 0
    fields[IP_ID] = 0
    return next_by_ethertype(view, fields)


@kernel
def next_by_ethertype(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Return the kind of header that the Ethertype slot announces at the cursor.

    VLAN tags are passed here, however many are stacked.
    """
    ethertype = fields[ETHERTYPE]
    while ethertype == 0x8100 or ethertype == 0x88A8 or ethertype == 0x9100 or ethertype == 0x9200:
        if not has(fields, 4):
            return DONE
        offset = fields[OFFSET]
        if fields[LEVELS] == 0 or (fields[LEVELS] == 1 and fields[TUNNEL_KINDS] == T_VN_TAG):
            fields[VLAN] = be16(view, offset) & 0xFFF
        ethertype = be16(view, offset + 2)
        fields[ETHERTYPE] = ethertype
        fields[OFFSET] = offset + 4
    if ethertype == 0x0800:
        return IPV4
    if ethertype == 0x86DD:
        return IPV6
    if ethertype <= 1500:
        limit = fields[OFFSET] + ethertype
        if limit > fields[LIMIT]:
            fields[FLAGS] |= FLAG_MALFORMED
        else:
            fields[LIMIT] = limit
        fields[ETHERTYPE] = 0
        return LLC
    return rare_ethertype(view, fields, ethertype)


@kernel
def rare_ethertype(view: NDArray[np.uint8], fields: NDArray[np.int64], ethertype: int) -> int:
    """Return the next header kind for Ethertypes other than IP; name what ends here."""
    if ethertype == 0x8915:
        return ROCE_V1
    if ethertype == 0x8847 or ethertype == 0x8848:
        return MPLS
    if ethertype == 0x8926:
        return VN_TAG
    if ethertype == 0x894F:
        return NSH
    if ethertype == 0x8864:
        return PPPOE
    if ethertype == 0x0806:
        return address_resolution(view, fields)
    if ethertype == 0x8808:
        return mac_control(view, fields)
    if ethertype == 0x88CC:
        fields[PROTOCOL] = P_LLDP
    elif ethertype == 0x8809:
        if fits(fields, 1) and u8(view, fields[OFFSET]) == 1:
            fields[PROTOCOL] = P_LACP
    elif ethertype == 0x88F7:
        fields[PROTOCOL] = P_PTP
        if fits(fields, 4):
            trim(fields, be16(view, fields[OFFSET] + 2))
    return DONE


@kernel
def trim(fields: NDArray[np.int64], size_bytes: int) -> None:
    """Drop the padding behind a message of `size_bytes` at the cursor, if it is so short."""
    limit = fields[OFFSET] + size_bytes
    if limit < fields[LIMIT]:
        fields[LIMIT] = limit


@kernel
def address_resolution(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Name ARP; its message is the payload, without the padding of a short frame."""
    fields[PROTOCOL] = P_ARP
    if not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    size_bytes = 8 + 2 * (u8(view, offset + 4) + u8(view, offset + 5))
    if offset + size_bytes > fields[LIMIT]:
        fields[FLAGS] |= FLAG_MALFORMED
    trim(fields, size_bytes)
    return DONE


@kernel
def mac_control(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the opcode of PAUSE, PFC and other MAC control frames (IEEE 802.3, 31)."""
    fields[PROTOCOL] = P_MAC_CONTROL
    if not has(fields, 2):
        return DONE
    opcode = be16(view, fields[OFFSET])
    fields[OFFSET] += 2
    if opcode == 0x0001:
        fields[PROTOCOL] = P_PAUSE
        trim(fields, 2)
    elif opcode == 0x0101:
        fields[PROTOCOL] = P_PFC
        trim(fields, 18)
    return DONE


@kernel
def llc(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode LLC and SNAP: spanning tree, IS-IS, or an Ethertype behind SNAP."""
    fields[PROTOCOL] = P_LLC
    if not has(fields, 3):
        return DONE
    offset = fields[OFFSET]
    service_access_points = be16(view, offset)
    if service_access_points == 0x4242:
        fields[PROTOCOL] = P_STP
        fields[OFFSET] = offset + 3
    elif service_access_points == 0xFEFE:
        fields[PROTOCOL] = P_ISIS
        fields[OFFSET] = offset + 3
    elif service_access_points == 0xAAAA and u8(view, offset + 2) == 3:
        return snap(view, fields)
    elif service_access_points != 0xFFFF:
        # 0xFFFF is IPX without LLC: there is no header to pass.
        control = u8(view, offset + 2)
        fields[OFFSET] = offset + 3
        if control & 3 != 3:
            if not has(fields, 1):
                return DONE
            fields[OFFSET] = offset + 4
    return DONE


@kernel
def snap(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the SNAP header at the cursor, LLC included."""
    if not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    organization = (be16(view, offset + 3) << 8) | u8(view, offset + 5)
    protocol = be16(view, offset + 6)
    fields[OFFSET] = offset + 8
    if organization == 0x00000C and protocol == 0x010B:
        fields[PROTOCOL] = P_STP
        return DONE
    if (organization == 0 or organization == 0x0000F8) and protocol > 1500:
        fields[PROTOCOL] = P_OTHER
        fields[ETHERTYPE] = protocol
        return NETWORK
    return DONE


@kernel
def vn_tag(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode a VN-tag (IEEE 802.1BR's ancestor): its destination is the tunnel id."""
    if not has(fields, 6):
        return DONE
    offset = fields[OFFSET]
    if not enter_tunnel(fields, T_VN_TAG, be16(view, offset) & 0x3FFF):
        return DONE
    fields[ETHERTYPE] = be16(view, offset + 4)
    fields[OFFSET] = offset + 6
    return NETWORK
