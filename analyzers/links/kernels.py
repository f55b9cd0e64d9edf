"""Adds packets to the access links of the hosts that sent and receive them.

State arrays are those of `layout.LinkState`. A packet seen at a second tap is not added again.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.links.layout import BIN_NS, BINS, DOWN, UP
from fabricscope.records import FLAG_DUPLICATE, FLAG_MALFORMED, MAC_ADDRESS_HI, PROTOCOLS

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)
_ROCE_V1 = PROTOCOLS.index("roce_v1")
_INFINIBAND = PROTOCOLS.index("infiniband")
_CNP = 0x81
_UNKNOWN = -1
_NO_LINK = -2
"""What `flow_hosts` holds, less one: not looked up yet; a group, which has no link of its own."""
_MARKED = 3


@njit(cache=True, nogil=True, _nrt=False)
def is_station(hi, lo, rdma):
    """Return whether an address is one host's: neither a group's, nor all hosts', nor none.

    A link-local address is a second one of a host that is known by another; RoCE v1 and InfiniBand
    ports may have no other.
    """
    if hi >> np.uint64(56) == np.uint64(0xFF):
        return False
    if hi >> np.uint64(54) == np.uint64(0xFE80 >> 6):
        return rdma
    if hi != np.uint64(0):
        return True
    if lo >> np.uint64(32) == np.uint64(0xFFFF):
        address = lo & np.uint64(0xFFFFFFFF)
        return address != np.uint64(0) and address < np.uint64(0xE0000000)
    # A LID from 0xC000 on is a group's; the unspecified IPv6 address is 0 as LID 0 is.
    return lo != np.uint64(0) and (lo < np.uint64(0xC000) or lo > np.uint64(0xFFFF))


@njit(cache=True, nogil=True, _nrt=False)
def _first_place(hi, lo, mask):
    value = (hi ^ (lo * _MULTIPLIER)) * _MULTIPLIER
    return (value ^ (value >> _SHIFT)) & mask


@njit(cache=True, nogil=True, _nrt=False)
def add_hosts(state):
    """Enter the hosts that are kept into an empty hash table."""
    mask = np.uint64(state.table.shape[0] - 1)
    for link in range(state.cursor[0]):
        place = _first_place(state.hosts[link, 0], state.hosts[link, 1], mask)
        while state.table[place]:
            place = (place + np.uint64(1)) & mask
        state.table[place] = link + 1


@njit(cache=True, nogil=True, _nrt=False)
def find_link(state, hi, lo, rdma):
    """Return the number of the host's link, made if it is new.

    _UNKNOWN when there is no room, _NO_LINK for an address that is not one host's.
    """
    if not is_station(hi, lo, rdma):
        return np.int64(_NO_LINK)
    mask = np.uint64(state.table.shape[0] - 1)
    place = _first_place(hi, lo, mask)
    while state.table[place]:
        link = np.int64(state.table[place]) - 1
        if state.hosts[link, 0] == hi and state.hosts[link, 1] == lo:
            return link
        place = (place + np.uint64(1)) & mask
    link = state.cursor[0]
    if link >= state.hosts.shape[0]:
        return np.int64(_UNKNOWN)
    state.cursor[0] = link + 1
    state.hosts[link, 0] = hi
    state.hosts[link, 1] = lo
    state.table[place] = link + 1
    return link


@njit(cache=True, nogil=True, _nrt=False)
def count_links(state, packets, flow, side):
    """Add the packets of a batch. Frames without an address count for no link.

    What goes to a group counts for its sender alone.
    """
    for row in range(packets.time_ns.shape[0]):
        if packets.flags[row] & (FLAG_DUPLICATE | FLAG_MALFORMED):
            continue
        if packets.src_hi[row] == MAC_ADDRESS_HI or flow[row] < 0:
            state.cursor[2] += 1
            continue
        key = 2 * flow[row] + np.int64(side[row])
        protocol = packets.protocol[row]
        rdma = protocol >= _ROCE_V1 and protocol <= _INFINIBAND
        up = np.int64(state.flow_hosts[key]) - 1
        down = np.int64(state.flow_hosts[key ^ 1]) - 1
        if up == _UNKNOWN or down == _UNKNOWN:
            up = find_link(state, packets.src_hi[row], packets.src_lo[row], rdma)
            down = find_link(state, packets.dst_hi[row], packets.dst_lo[row], rdma)
            if up == _UNKNOWN or down == _UNKNOWN:
                # There may be room soon; until then the end that has a link counts alone.
                state.cursor[3] += 1
                if up < 0 and down < 0:
                    state.cursor[2] += 1
                    continue
            else:
                state.flow_hosts[key] = up + 1
                state.flow_hosts[key ^ 1] = down + 1
        size = np.int64(packets.wire_length[row])
        bin_number = (packets.time_ns[row] - state.cursor[1]) // BIN_NS
        bin_number = min(max(bin_number, 0), BINS - 1)
        for direction in range(2):
            link = up if direction == UP else down
            if link < 0:
                continue
            count = state.counts[link, direction]
            count.packets += 1
            count.bytes += size
            count.ecn_capable += packets.ecn[row] != 0
            count.ecn_marked += packets.ecn[row] == _MARKED
            if rdma:
                count.rdma_packets += 1
                if direction == DOWN and packets.opcode[row] == _CNP:
                    count.cnps += 1
            state.bins[link, direction, bin_number] += size
