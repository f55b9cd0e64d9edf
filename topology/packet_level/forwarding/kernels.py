"""Kernels that choose the port a packet leaves on: routes, fault tables and the cache of both."""

import numpy as np
from numba import njit

from fabricscope.topology.packet_level.layout import (
    CACHED_HOPS,
    DATA,
    INNER,
    SAMPLED,
)
from fabricscope.topology.routing.kernels import (
    choose_channel,
    mix,
)

REVERSE = np.uint64(0xA0761D6478BD642F)
"""Makes another flow hash of the way back."""


@njit(cache=True, nogil=True, _nrt=False)
def find_alternative(net, device, destination, flow_hash, channel):
    """Return the port for a flow if `channel` were withdrawn, -1 for none."""
    before = net.state.withdrawn[channel]
    net.state.withdrawn[channel] = 1
    other = choose_channel(net.routes, net.state, net.seeds, device, destination, flow_hash)
    net.state.withdrawn[channel] = before
    return other


@njit(cache=True, nogil=True, _nrt=False)
def has_fault(net, device, destination, channel):
    """Return whether `device`'s fault table says to avoid `channel` for a destination."""
    if net.rules[0]["plane"] != SAMPLED or net.devices[device]["entries"] == 0:
        return False
    column = np.int64(net.fault_columns[destination])
    if column < 0:
        return False
    row = np.int64(net.routes.row[device])
    fault = net.faults[row * len(net.fault_columns) + column]
    return fault["state"] != 0 and fault["channel"] == channel


@njit(cache=True, nogil=True, _nrt=False)
def find_channel(net, device, queue_pair, forward):
    """Return the port for a queue pair's packets by the present routes, -1 for none.

    forward: towards the receiver.
    """
    pair = net.queue_pairs[queue_pair]
    destination = np.int64(pair["destination"] if forward else pair["source"])
    if net.devices[device]["kind"] == INNER:
        return np.int64(net.routes.nvlink[destination]) ^ 1
    flow_hash = pair["flow_hash"] if forward else mix(pair["flow_hash"] ^ REVERSE)
    channel = choose_channel(net.routes, net.state, net.seeds, device, destination, flow_hash)
    if channel >= 0 and has_fault(net, device, destination, channel):
        other = find_alternative(net, device, destination, flow_hash, channel)
        if other >= 0:
            return other
    return channel


@njit(cache=True, nogil=True, _nrt=False)
def spray_channel(net, device, queue_pair, forward, psn, first):
    """Return the port for one packet of a queue pair that is spread over all next hops.

    first: at the first switch, where the packets take turns; behind it the turns would always
    lead the same way, and packets are spread by hash.
    """
    pair = net.queue_pairs[queue_pair]
    destination = np.int64(pair["destination"] if forward else pair["source"])
    row = np.int64(net.routes.row[device])
    group = np.int64(net.routes.group[destination])
    if row < 0 or net.routes.distance[group, row] == 0:
        return find_channel(net, device, queue_pair, forward)
    entry = row * net.routes.distance.shape[0] + group
    begin = net.routes.start[entry]
    end = net.routes.start[entry + 1]
    left = 0
    avoided = np.int64(-1)
    for place in range(begin, end):
        channel = np.int64(net.routes.channels[place])
        if net.state.excluded[place] or net.state.withdrawn[channel]:
            continue
        if has_fault(net, device, destination, channel):
            avoided = channel
        else:
            left += 1
    if left == 0:
        return avoided
    turn = mix(pair["flow_hash"] ^ net.seeds[device])
    turn = turn + np.uint64(psn) if first else mix(turn + np.uint64(psn))
    skip = np.int64(turn % np.uint64(left))
    for place in range(begin, end):
        channel = np.int64(net.routes.channels[place])
        if net.state.excluded[place] or net.state.withdrawn[channel]:
            continue
        if has_fault(net, device, destination, channel):
            continue
        if skip == 0:
            return channel
        skip -= 1
    return avoided


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def choose_port(net, device, number):
    """Return the channel that `device` sends a packet on; the cache holds until routes change."""
    packet = net.packets[number]
    forward = packet["kind"] == DATA
    hop = np.int64(packet["hop"])
    place = (np.int64(packet["qp"]) * 2 + (0 if forward else 1)) * CACHED_HOPS + hop
    epoch = net.clock[0]["epoch"]
    channel = np.int64(-1)
    if hop < CACHED_HOPS and net.cache[place] >> 24 == epoch:
        channel = net.cache[place] & 0xFFFFFF
        if net.ports[channel]["source"] != device:
            channel = np.int64(-1)
    if channel < 0:
        queue_pair = np.int64(packet["qp"])
        if net.rules[0]["spray"] and hop > 0:
            psn = np.int64(packet["psn"])
            channel = spray_channel(net, device, queue_pair, forward, psn, hop == 1)
        else:
            channel = find_channel(net, device, queue_pair, forward)
            if hop < CACHED_HOPS and channel >= 0:
                net.cache[place] = (epoch << 24) | channel
    return channel


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def home_port(net, number):
    """Return the NIC port that a queue pair sends on, -1 for none."""
    place = np.int64(number) * 2 * CACHED_HOPS
    epoch = net.clock[0]["epoch"]
    if net.cache[place] >> 24 == epoch:
        return net.cache[place] & 0xFFFFFF
    source = np.int64(net.queue_pairs[number]["source"])
    channel = find_channel(net, source, number, True)
    if channel >= 0:
        net.cache[place] = (epoch << 24) | channel
    return channel


@njit(cache=True, nogil=True, _nrt=False)
def forget_routes(net, number):
    """Let a queue pair choose its paths anew."""
    for place in range(number * 2 * CACHED_HOPS, (number + 1) * 2 * CACHED_HOPS):
        net.cache[place] = -1


@njit(cache=True, nogil=True, _nrt=False)
def cannot_reach(net, device, group):
    """Return whether a switch has no port left for a destination group."""
    row = np.int64(net.routes.row[device])
    distance = net.routes.distance[group, row]
    if distance == 255:
        return True
    if distance == 0:
        endpoint = np.int64(net.lonely[group])
        if endpoint < 0:
            return False
        first = net.routes.uplink_start[endpoint]
        for place in range(first, net.routes.uplink_start[endpoint + 1]):
            channel = np.int64(net.routes.uplinks[place]) ^ 1
            out = net.state.withdrawn[channel] or net.ports[channel]["faulty"]
            if net.ports[channel]["source"] == device and not out:
                return False
        return True
    entry = row * net.routes.distance.shape[0] + group
    for place in range(net.routes.start[entry], net.routes.start[entry + 1]):
        channel = np.int64(net.routes.channels[place])
        out = net.state.excluded[place] or net.state.withdrawn[channel]
        if not out and not net.ports[channel]["faulty"]:
            return False
    return True
