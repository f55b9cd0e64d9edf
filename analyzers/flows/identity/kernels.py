"""Kernels of a packet's identity: addresses, ports and tunnels, folded into one hash."""

import numpy as np
from numba import njit

from fabricscope.analyzers.flows.layout import FRAGMENT_SLOTS
from fabricscope.records import FLAG_LATER_FRAGMENT

_ERSPAN = np.uint64(2)
_MULTIPLIER_A = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_B = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def mix(value, word):
    """Fold the 64-bit `word` into the 64-bit hash `value` (both uint64)."""
    value = (value ^ word) * _MULTIPLIER_A
    return value ^ (value >> _SHIFT)


@njit(cache=True, nogil=True, _nrt=False)
def tunnel_key_of(kinds, ids_low, ids_high):
    """Return a 64-bit key of the tunnels a packet is in, 0 for none; mirrors (ERSPAN) left out."""
    key = np.uint64(0)
    for level in range(4):
        kind = np.uint64((np.uint64(kinds) >> np.uint64(8 * level)) & np.uint64(0xFF))
        if kind == 0 or kind == _ERSPAN:
            continue
        ids = ids_low if level < 2 else ids_high
        number = (np.uint64(ids) >> np.uint64(32 * (level & 1))) & np.uint64(0xFFFFFFFF)
        key = mix(key ^ _MULTIPLIER_B, (kind << _SHIFT) | number)
    return key


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def flow_hash(src_hi, src_lo, src_port, dst_hi, dst_lo, dst_port, ip_protocol, tunnel_key):
    """Return the same 64-bit hash for both directions of a flow (arguments uint64)."""
    one = mix(mix(src_hi * _MULTIPLIER_B, src_lo), src_port)
    other = mix(mix(dst_hi * _MULTIPLIER_B, dst_lo), dst_port)
    return mix(mix(one + other, ip_protocol ^ (one ^ other)), tunnel_key)


@njit(cache=True, nogil=True, _nrt=False)
def fragment_ports(state, packets, i):
    """Remember the ports of first fragments and return (source, destination) for later ones."""
    key = mix(mix(packets.src_lo[i], packets.dst_lo[i]), np.uint64(packets.ip_id[i]))
    key = mix(mix(key, packets.src_hi[i]), packets.dst_hi[i])
    key = mix(key, np.uint64(packets.ip_protocol[i]))
    place = np.int64(key & np.uint64(FRAGMENT_SLOTS - 1))
    ports = (np.uint64(packets.src_port[i]) << np.uint64(16)) | np.uint64(packets.dst_port[i])
    if packets.flags[i] & FLAG_LATER_FRAGMENT == 0:
        state.fragments[0, place] = key
        state.fragments[1, place] = ports
    elif state.fragments[0, place] == key:
        ports = state.fragments[1, place]
    return np.uint16(ports >> np.uint64(16)), np.uint16(ports & np.uint64(0xFFFF))
