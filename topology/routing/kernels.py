"""Kernels of routing: distances, next hops, and the choice of a path by hash.

Arrays are those of `routes.Routes` and `routes.RouteState`; nothing is allocated while a path is
chosen, so that the engines can call `choose_channel` for each packet.
"""

import numpy as np
from numba import njit

MAX_HOPS = 8
UNREACHABLE = 255


@njit(cache=True, nogil=True)
def find_distances(first, peers, member_start, members):
    """Return (groups, switches) uint8 hops from each switch to the nearest switch of a group.

    first, peers: the switches' neighbours as a compressed row list; member_start, members: the
    switches of each group likewise. 255: unreachable.
    """
    switches = len(first) - 1
    groups = len(member_start) - 1
    distance = np.full((groups, switches), UNREACHABLE, np.uint8)
    queue = np.empty(switches, np.int64)
    for group in range(groups):
        tail = 0
        for place in range(member_start[group], member_start[group + 1]):
            if distance[group, members[place]] != 0:
                distance[group, members[place]] = 0
                queue[tail] = members[place]
                tail += 1
        head = 0
        while head < tail:
            switch = queue[head]
            head += 1
            next_distance = distance[group, switch] + 1
            for place in range(first[switch], first[switch + 1]):
                peer = peers[place]
                if distance[group, peer] == UNREACHABLE and next_distance < UNREACHABLE:
                    distance[group, peer] = next_distance
                    queue[tail] = peer
                    tail += 1
    return distance


@njit(cache=True, nogil=True)
def find_next_hops(first, peers, channels, distance):
    """Return where each switch's next hops for each group begin, and their channels.

    channels: the channel of each entry of `peers`; distance: as of `find_distances`.
    """
    groups, switches = distance.shape
    start = np.zeros(switches * groups + 1, np.int64)
    for fill in range(2):
        if fill:
            hops = np.empty(start[-1], np.int32)
        place_out = 0
        for switch in range(switches):
            for group in range(groups):
                here = distance[group, switch]
                start[switch * groups + group] = place_out
                if here == 0 or here == UNREACHABLE:
                    continue
                for place in range(first[switch], first[switch + 1]):
                    if distance[group, peers[place]] == here - 1:
                        if fill:
                            hops[place_out] = channels[place]
                        place_out += 1
        start[switches * groups] = place_out
    return start, hops


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def mix(value):
    """Return a uint64 in which each bit of the uint64 `value` counts (SplitMix64's finish)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def remainder(value, count):
    """Return the uint64 `value` modulo `count`; a division costs more than the rest of a hop."""
    if count & (count - 1) == 0:
        return np.int64(value & np.uint64(count - 1))
    return np.int64(value % np.uint64(count))


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def choose_channel(routes, state, seeds, device, destination, flow_hash):
    """Return the channel (int64) that `device` sends a flow to `destination` on; -1: none left.

    The hash picks among all members; only if that one is excluded, it picks again among those
    that are left (resilient hashing: flows on healthy members stay where they are).
    """
    value = mix(flow_hash ^ seeds[device])
    if routes.row[device] < 0:
        return _choose_uplink(routes, state, device, destination, value)
    groups = routes.distance.shape[0]
    group = np.int64(routes.group[destination])
    if routes.distance[group, routes.row[device]] == 0:
        return _find_downlink(routes, state, device, destination)
    entry = np.int64(routes.row[device]) * groups + group
    start = routes.start[entry]
    members = routes.start[entry + 1] - start
    if members == 0:
        return np.int64(-1)
    place = start + remainder(value, members)
    if not (state.excluded[place] or state.withdrawn[routes.channels[place]]):
        return np.int64(routes.channels[place])
    left = 0
    for place in range(start, start + members):
        if not (state.excluded[place] or state.withdrawn[routes.channels[place]]):
            left += 1
    if left == 0:
        return np.int64(-1)
    skip = np.int64(mix(value) % np.uint64(left))
    for place in range(start, start + members):
        if not (state.excluded[place] or state.withdrawn[routes.channels[place]]):
            if skip == 0:
                return np.int64(routes.channels[place])
            skip -= 1
    return np.int64(-1)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _choose_uplink(routes, state, device, destination, value):
    """Return the channel that endpoint `device` sends to `destination` on, -1 for none."""
    same_server = routes.server[device] >= 0 and routes.server[device] == routes.server[destination]
    if same_server and routes.nvlink[device] >= 0 and routes.nvlink[destination] >= 0:
        return np.int64(routes.nvlink[device])
    first = np.int64(routes.uplink_start[device])
    if routes.uplink_start[device + 1] == first + 1:
        channel = np.int64(routes.uplinks[first])
        return np.int64(-1) if state.withdrawn[channel] else channel
    group = np.int64(routes.group[destination])
    nearest = np.int64(UNREACHABLE)
    left = 0
    for place in range(routes.uplink_start[device], routes.uplink_start[device + 1]):
        channel = routes.uplinks[place]
        if state.withdrawn[channel]:
            continue
        hops = np.int64(routes.distance[group, routes.row[routes.target[channel]]])
        if hops < nearest:
            nearest = hops
            left = 0
        left += hops == nearest
    if nearest == UNREACHABLE:
        return np.int64(-1)
    skip = np.int64(value % np.uint64(left))
    for place in range(routes.uplink_start[device], routes.uplink_start[device + 1]):
        channel = routes.uplinks[place]
        if state.withdrawn[channel]:
            continue
        if np.int64(routes.distance[group, routes.row[routes.target[channel]]]) == nearest:
            if skip == 0:
                return np.int64(channel)
            skip -= 1
    return np.int64(-1)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _find_downlink(routes, state, switch, destination):
    """Return the channel from `switch` to the endpoint that hangs on it, -1 for none."""
    for place in range(routes.uplink_start[destination], routes.uplink_start[destination + 1]):
        channel = np.int64(routes.uplinks[place])
        if routes.target[channel] == switch and not state.withdrawn[channel ^ 1]:
            return channel ^ 1
    return np.int64(-1)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def trace_path(routes, state, seeds, source, destination, flow_hash, paths, row):
    """Fill a row of `paths` with a flow's channels, -1 behind the last; return how many.

    0: there is no usable path, or the flow leads to its own source.
    """
    device = np.int64(source)
    hops = 0
    width = paths.shape[1]
    for hop in range(width):
        paths[row, hop] = -1
    while device != destination:
        if hops == 1 and paths[row, 0] == routes.nvlink[source]:
            channel = np.int64(routes.nvlink[destination] ^ 1)
        elif hops < width:
            channel = choose_channel(routes, state, seeds, device, destination, flow_hash)
        else:
            channel = np.int64(-1)
        if channel < 0:
            paths[row, 0] = -1
            return 0
        paths[row, hops] = channel
        hops += 1
        device = np.int64(routes.target[channel])
    return hops


@njit(cache=True, nogil=True, _nrt=False)
def find_paths(routes, state, seeds, sources, destinations, hashes, paths):
    """Fill the rows of `paths` (flows, at most MAX_HOPS) int32 with each flow's channels."""
    for flow in range(len(sources)):
        source = np.int64(sources[flow])
        destination = np.int64(destinations[flow])
        trace_path(routes, state, seeds, source, destination, hashes[flow], paths, flow)


@njit(cache=True, nogil=True)
def pin_hashes(routes, state, seeds, sources, destinations, hashes, rate, tries):
    """Return for each flow in turn a hash whose path has the least loaded worst channel so far.

    Tries the flow's own hash and `tries` - 1 that follow from it. rate: (channels).
    """
    chosen = hashes.copy()
    flows = np.zeros(len(rate), np.int64)
    path = np.full((1, MAX_HOPS), -1, np.int32)
    best_path = np.full(MAX_HOPS, -1, np.int32)
    for flow in range(len(sources)):
        value = hashes[flow]
        best = np.inf
        best_path[:] = -1
        for attempt in range(tries):
            source = np.int64(sources[flow])
            destination = np.int64(destinations[flow])
            hops = trace_path(routes, state, seeds, source, destination, value, path, 0)
            worst = 0.0
            for hop in range(hops):
                channel = path[0, hop]
                worst = max(worst, (flows[channel] + 1) / rate[channel])
            if worst < best and hops > 0:
                best = worst
                chosen[flow] = value
                best_path[:] = path[0]
            value = mix(value + np.uint64(attempt + 1))
        for hop in range(MAX_HOPS):
            if best_path[hop] >= 0:
                flows[best_path[hop]] += 1
    return chosen
