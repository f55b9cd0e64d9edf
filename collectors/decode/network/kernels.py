"""IPv4 and IPv6.

`view` is the captured bytes (uint8, 1-D, read only), `fields` the row of int64 slots of
`fabricscope.collectors.decode.layout`, owned by `decode`. Each kernel decodes the header at the
cursor and returns the kind of the next one.
"""

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import inlined, kernel
from fabricscope.collectors.decode.cursor.kernels import enter_tunnel, has, narrow, skip
from fabricscope.collectors.decode.layout import (
    DONE,
    DST_HI,
    DST_LO,
    DST_PORT,
    ETHERTYPE,
    EXCUSED,
    EXTENSION,
    FIRST_IP,
    FLAGS,
    IP_ID,
    IP_PROTOCOL,
    IP_PROTOCOL_KINDS,
    IP_PROTOCOL_NAMES,
    IPV4,
    IPV6,
    IPV6_EXTENSIONS,
    LIMIT,
    NEXT_PROTOCOL,
    OFFSET,
    P_IPV4,
    P_IPV6,
    P_OTHER,
    PROTOCOL,
    SRC_HI,
    SRC_LO,
    SRC_PORT,
    START,
    T_AH,
    T_IPIP,
    TRAFFIC_CLASS,
    TTL,
)
from fabricscope.collectors.decode.read.kernels import be16, be32, be64, u8
from fabricscope.records import (
    FLAG_FRAGMENT,
    FLAG_LATER_FRAGMENT,
    FLAG_MALFORMED,
    FLAG_SLOW_PATH,
    IPV4_PREFIX_LO,
)


@kernel
def ip_by_version(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Tell IPv4 from IPv6 by the first four bits, where nothing before said which."""
    if not has(fields, 1):
        return DONE
    version = u8(view, fields[OFFSET]) >> 4
    if version == 4:
        fields[ETHERTYPE] = 0x0800
        return IPV4
    if version == 6:
        fields[ETHERTYPE] = 0x86DD
        return IPV6
    return DONE


@kernel
def next_by_protocol(fields: NDArray[np.int64], protocol: int, unnamed: int) -> int:
    """Name the IP protocol, `unnamed` if it has no name, and return the next header kind."""
    fields[IP_PROTOCOL] = protocol
    name = IP_PROTOCOL_NAMES[protocol]
    fields[PROTOCOL] = name if name != P_OTHER else unnamed
    kind: int = IP_PROTOCOL_KINDS[protocol]
    return kind


@inlined
def ipv4(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode an IPv4 header (RFC 791), options skipped."""
    if not has(fields, 20):
        return DONE
    offset = fields[OFFSET]
    first = u8(view, offset)
    if first >> 4 != 4:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    header_size = (first & 15) * 4
    total = be16(view, offset + 2)
    fragment = be16(view, offset + 6)
    fields[SRC_HI] = 0
    fields[SRC_LO] = IPV4_PREFIX_LO | be32(view, offset + 12)
    fields[DST_HI] = 0
    fields[DST_LO] = IPV4_PREFIX_LO | be32(view, offset + 16)
    fields[SRC_PORT] = 0
    fields[DST_PORT] = 0
    fields[ETHERTYPE] = 0x0800
    fields[TRAFFIC_CLASS] = u8(view, offset + 1)
    fields[TTL] = u8(view, offset + 8)
    fields[IP_ID] = be16(view, offset + 4)
    if fields[FIRST_IP] < 0:
        fields[FIRST_IP] = offset - fields[START]
    kind = next_by_protocol(fields, u8(view, offset + 9), P_IPV4)
    if header_size < 20:
        fields[FLAGS] |= FLAG_MALFORMED
        fields[OFFSET] = offset + 20
        return DONE
    # A total length of 0 is left by segmentation offload and by packets beyond 64 KiB.
    if total != 0:
        if total < header_size:
            fields[FLAGS] |= FLAG_MALFORMED
            fields[OFFSET] = offset + 20
            fields[LIMIT] = offset + 20
            return DONE
        narrow(fields, offset + total)
    if header_size == 20:
        fields[OFFSET] = offset + 20
    else:
        fields[FLAGS] |= FLAG_SLOW_PATH
        if not skip(fields, header_size):
            return DONE
    if fragment & 0x3FFF != 0:
        return ip_fragment(fields, fragment & 0x1FFF, kind)
    return kind


@kernel
def ip_fragment(fields: NDArray[np.int64], position: int, kind: int) -> int:
    """Flag a fragment; only the one at `position` 0 goes on to `kind`."""
    fields[FLAGS] |= FLAG_FRAGMENT
    fields[EXCUSED] = 1
    if position != 0:
        fields[FLAGS] |= FLAG_LATER_FRAGMENT
        return DONE
    return kind


@kernel
def ipv6(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode the fixed header of IPv6 (RFC 8200)."""
    if not has(fields, 40):
        return DONE
    offset = fields[OFFSET]
    first = be32(view, offset)
    if first >> 28 != 6:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    payload_length = be16(view, offset + 4)
    protocol = u8(view, offset + 6)
    fields[SRC_HI] = be64(view, offset + 8)
    fields[SRC_LO] = be64(view, offset + 16)
    fields[DST_HI] = be64(view, offset + 24)
    fields[DST_LO] = be64(view, offset + 32)
    fields[SRC_PORT] = 0
    fields[DST_PORT] = 0
    fields[ETHERTYPE] = 0x86DD
    fields[TRAFFIC_CLASS] = (first >> 20) & 0xFF
    fields[TTL] = u8(view, offset + 7)
    fields[IP_ID] = first & 0xFFFFF
    fields[OFFSET] = offset + 40
    if fields[FIRST_IP] < 0:
        fields[FIRST_IP] = offset - fields[START]
    # Length 0: a jumbogram says it in an option, segmentation offload nowhere.
    if payload_length != 0:
        narrow(fields, offset + 40 + payload_length)
    elif protocol == 59:
        fields[LIMIT] = offset + 40
    if IPV6_EXTENSIONS[protocol]:
        fields[FLAGS] |= FLAG_SLOW_PATH
        fields[NEXT_PROTOCOL] = protocol
        fields[IP_PROTOCOL] = protocol
        fields[PROTOCOL] = P_IPV6
        return EXTENSION
    return next_by_protocol(fields, protocol, P_IPV6)


@kernel
def ipv6_extension(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode one extension header of IPv6, the one that NEXT_PROTOCOL names."""
    if not has(fields, 8):
        return DONE
    offset = fields[OFFSET]
    this = fields[NEXT_PROTOCOL]
    following = u8(view, offset)
    fields[IP_PROTOCOL] = following
    if this == 44:
        position = be16(view, offset + 2)
        fields[OFFSET] = offset + 8
        # An atomic fragment (RFC 6946) is a whole packet.
        if position & 0xFFF9 != 0 and ip_fragment(fields, position >> 3, EXTENSION) == DONE:
            next_by_protocol(fields, following, P_IPV6)
            return DONE
    else:
        size_bytes = 8 + 8 * u8(view, offset + 1)
        if this == 0 and be16(view, offset + 2) == 0xC204:
            jumbo = be32(view, offset + 4)
            if jumbo >= size_bytes:
                narrow(fields, offset + jumbo)
        if not skip(fields, size_bytes):
            return DONE
    if IPV6_EXTENSIONS[following]:
        fields[NEXT_PROTOCOL] = following
        return EXTENSION
    return next_by_protocol(fields, following, P_IPV6)


@kernel
def ip_in_ip(fields: NDArray[np.int64]) -> int:
    """Enter IP in IP (RFC 2003, 2473, 4213); which version the protocol number has said."""
    if not enter_tunnel(fields, T_IPIP, 0):
        return DONE
    return IPV4 if fields[IP_PROTOCOL] == 4 else IPV6


@kernel
def authentication(view: NDArray[np.uint8], fields: NDArray[np.int64]) -> int:
    """Decode AH (RFC 4302), which hides nothing; around another IP header it is a tunnel."""
    if not has(fields, 12):
        return DONE
    offset = fields[OFFSET]
    following = u8(view, offset)
    size_bytes = (u8(view, offset + 1) + 2) * 4
    if size_bytes < 12:
        fields[FLAGS] |= FLAG_MALFORMED
        return DONE
    fields[FLAGS] |= FLAG_SLOW_PATH
    if not skip(fields, size_bytes):
        return DONE
    if following == 4 or following == 41:
        fields[IP_PROTOCOL] = following
        if not enter_tunnel(fields, T_AH, 0):
            return DONE
        return IPV4 if following == 4 else IPV6
    is_version_6 = fields[ETHERTYPE] == 0x86DD
    if is_version_6 and IPV6_EXTENSIONS[following]:
        fields[NEXT_PROTOCOL] = following
        fields[IP_PROTOCOL] = following
        return EXTENSION
    return next_by_protocol(fields, following, P_IPV6 if is_version_6 else P_IPV4)
