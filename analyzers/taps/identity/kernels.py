"""Signatures of packets and the tap that each row was mirrored at.

A signature covers what no switch on the way changes: it leaves out TTL, DSCP, ECN, VLAN, MAC
addresses of routed packets, checksums and tunnels. Arrays belong to the caller.
"""

from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.analyzers.taps.layout import (
    KIND_PAYLOAD_CUT,
    KIND_RELIABLE,
    KIND_TCP,
    KIND_UNSURE,
)
from fabricscope.records import (
    FLAG_FRAGMENT,
    FLAG_HEADER_CUT,
    PROTOCOLS,
    RDMA_ACK_REQUEST,
    TUNNELS,
    Packets,
)

_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_FINISHER: Final = np.uint64(0xD6E8FEB86659FD93)
_SEED: Final = np.uint64(0x243F6A8885A308D3)
_SHIFT: Final = np.uint64(32)
_ERSPAN: Final = TUNNELS.index("erspan")
_ERSPAN_PRESENT: Final = np.uint64(1 << 16)

_ARP: Final = PROTOCOLS.index("arp")
_PTP: Final = PROTOCOLS.index("ptp")
_RDMA: Final = (
    PROTOCOLS.index("roce_v2"),
    PROTOCOLS.index("roce_v1"),
    PROTOCOLS.index("infiniband"),
)
_PER_LINK: Final = (
    PROTOCOLS.index("lldp"),
    PROTOCOLS.index("lacp"),
    PROTOCOLS.index("pause"),
    PROTOCOLS.index("pfc"),
    PROTOCOLS.index("stp"),
    PROTOCOLS.index("mac_control"),
)

_ARP_BYTES: Final = 28  # the whole of an ARP packet for IPv4
_PTP_BYTES: Final = 8  # up to the correction field, which transparent clocks change
_TCP: Final = 6
_TCP_SYN_FIN: Final = 3
_ACKNOWLEDGES: Final = (17, 18)  # BTH operations: opcode & 31
_RELIABLE: Final = (0, 5)  # BTH transport classes RC and XRC: opcode >> 5


@njit(cache=True, nogil=True, inline="always")
def mix(value: Any, word: Any) -> Any:
    """Fold the 64-bit `word` into the 64-bit hash `value` (both uint64)."""
    value = (value ^ word) * _MULTIPLIER
    return value ^ (value >> _SHIFT)


@njit(cache=True, nogil=True, inline="always")
def _is_per_link(protocol: Any, ip_protocol: Any) -> Any:
    """Whether a frame never leaves its link, so that two taps cannot see the same one."""
    return protocol in _PER_LINK or (protocol == _PTP and ip_protocol == 0)


@njit(cache=True, nogil=True)
def hash_bytes(view: Any, start: Any, count: Any, value: Any) -> Any:
    """Fold `count` bytes of `view` from `start` into `value`."""
    value = mix(value, np.uint64(count))
    word = np.uint64(0)
    for place in range(count):
        word = (word << np.uint64(8)) | np.uint64(view[start + place])
        if place & 7 == 7:
            value = mix(value, word)
            word = np.uint64(0)
    return mix(value, word)


@njit(cache=True, nogil=True)
def packet_signatures(
    view: Any,
    packets: Packets,
    payload_bytes: int,
    keys: NDArray[np.uint64],
    variants: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    flows: NDArray[np.uint64],
) -> None:
    """Fill four columns of as many rows as `packets`.

    `keys`: equal for a packet at every tap and for its retransmissions; 0: a frame of one link.
    `variants`: with the key, equal at every tap and different in most retransmissions.
    `kinds`: KIND_* bits. `flows`: hash of addresses, ports and protocol of one direction, not 0.
    `payload_bytes`: bytes hashed where no sequence number tells packets apart.
    """
    for row in range(packets.time_ns.size):
        protocol = np.int64(packets.protocol[row])
        ip_protocol = np.int64(packets.ip_protocol[row])
        kind = KIND_UNSURE if packets.flags[row] & FLAG_HEADER_CUT else 0
        value = mix(_SEED, packets.src_hi[row])
        value = mix(value, packets.src_lo[row])
        value = mix(value, packets.dst_hi[row] * _FINISHER)
        value = mix(value, packets.dst_lo[row])
        ports = (np.uint64(packets.src_port[row]) << np.uint64(16)) | np.uint64(
            packets.dst_port[row]
        )
        value = mix(value, (ports << np.uint64(8)) | np.uint64(ip_protocol))
        flows[row] = value | np.uint64(1)
        value = mix(
            value, (np.uint64(packets.ethertype[row]) << np.uint64(8)) | np.uint64(protocol)
        )
        length = np.uint64(packets.payload_length[row])
        ip_id = np.uint64(packets.ip_id[row])
        variant = np.uint64(0)
        if _is_per_link(protocol, ip_protocol):
            keys[row] = 0
            variants[row] = 0
            kinds[row] = kind
            continue
        wanted = 0
        if protocol in _RDMA:
            opcode = np.int64(packets.opcode[row])
            asks = np.uint64(packets.rdma_flags[row] & RDMA_ACK_REQUEST)
            value = mix(value, (np.uint64(packets.psn[row]) << _SHIFT) | length)
            value = mix(
                value, (np.uint64(packets.dest_qp[row]) << np.uint64(8)) | np.uint64(opcode)
            )
            variant = mix(mix(_FINISHER, asks), (ip_id << _SHIFT) | np.uint64(packets.aeth[row]))
            if (opcode >> 5) in _RELIABLE and (opcode & 31) not in _ACKNOWLEDGES:
                kind |= KIND_RELIABLE
        elif ip_protocol == _TCP:
            kind |= KIND_TCP
            tcp_flags = np.uint64(packets.tcp_flags[row])
            handshake = tcp_flags & np.uint64(_TCP_SYN_FIN)
            value = mix(value, (np.uint64(packets.tcp_seq[row]) << _SHIFT) | length)
            value = mix(value, handshake)
            variant = mix(_FINISHER, (ip_id << _SHIFT) | np.uint64(packets.tcp_ack[row]))
            variant = mix(variant, tcp_flags)
            if length > 0 or handshake != 0:
                kind |= KIND_RELIABLE
        elif ip_protocol == 0 and protocol == _ARP:
            wanted = _ARP_BYTES
        else:
            # Frames that are not IP have no length of their own: padding may differ by tap.
            if ip_protocol != 0:
                value = mix(value, (length << _SHIFT) | ip_id)
            wanted = min(payload_bytes, _PTP_BYTES) if protocol == _PTP else payload_bytes
        if packets.flags[row] & FLAG_FRAGMENT:
            # The fragments of a datagram share their headers: only the bytes differ.
            wanted = payload_bytes
        if wanted > 0:
            count: Any = min(wanted, np.int64(length))
            start = packets.payload_offset[row]
            end = packets.packet_offset[row] + np.int64(packets.captured_length[row])
            if start < 0 or start + count > end or end > view.size:
                kind |= KIND_PAYLOAD_CUT
            elif count > 0:
                value = hash_bytes(view, start, count, value)
        if not kind & KIND_RELIABLE:
            # Nothing sends these again: whatever differs makes another packet.
            value = mix(value, variant)
            variant = np.uint64(0)
        value *= _FINISHER
        value ^= value >> _SHIFT
        keys[row] = value if value != 0 else np.uint64(1)
        variants[row] = variant & np.uint64(0xFFFFFFFF)
        kinds[row] = kind


@njit(cache=True, nogil=True)
def mirror_source(view: NDArray[np.uint8], start: Any, end: Any) -> Any:
    """Return a 32-bit hash of the source address of the IP header at `start`, 0 without one."""
    end = min(end, np.int64(view.size))
    if start < 0 or start >= end:
        return np.uint64(0)
    version = view[start] >> 4
    first = start + 12 if version == 4 else start + 8
    length = 4 if version == 4 else 16
    if (version != 4 and version != 6) or first + length > end:
        return np.uint64(0)
    return hash_bytes(view, first, length, _SEED) >> _SHIFT


@njit(cache=True, nogil=True, inline="always")
def mirror_session(kinds: Any, ids_low: Any, ids_high: Any) -> Any:
    """Return the outermost ERSPAN session, -1 without one."""
    for level in range(4):
        if (kinds >> (8 * level)) & 255 == _ERSPAN:
            ids = ids_low if level < 2 else ids_high
            return np.int64((np.uint64(ids) >> np.uint64(32 * (level & 1))) & np.uint64(0x7FFF))
    return np.int64(-1)


@njit(cache=True, nogil=True)
def resolve_taps(
    view: NDArray[np.uint8],
    packets: Packets,
    start: int,
    keys: NDArray[np.uint64],
    known: int,
    taps: NDArray[np.uint16],
) -> int:
    """Write the index of each row's tap to `taps` from row `start` on.

    The first `known` of `keys` are the keys of the taps, in order: the source, and the ERSPAN
    session and its switch if any. Returns the first row whose key is not among them, with that
    key in the last place of `keys`, or the number of rows.
    """
    last = 0
    for row in range(start, packets.time_ns.size):
        key = np.uint64(packets.tap[row])
        kinds = np.int64(packets.tunnel_kinds[row])
        if kinds != 0:
            session = mirror_session(
                kinds, packets.tunnel_ids_low[row], packets.tunnel_ids_high[row]
            )
            if session >= 0:
                key |= _ERSPAN_PRESENT | (np.uint64(session) << np.uint64(17))
                first = packets.packet_offset[row]
                end = first + np.int64(packets.captured_length[row])
                outer = np.int64(packets.outer_ip_offset[row])
                if outer > 0:
                    key |= mirror_source(view, first + outer, end) << _SHIFT
        if last >= known or keys[last] != key:
            last = 0
            while last < known and keys[last] != key:
                last += 1
            if last == known:
                keys[keys.size - 1] = key
                return row
        taps[row] = last
    return packets.time_ns.size
