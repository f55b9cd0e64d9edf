"""Kernel of per-packet spraying: the share of a flow's packets that each channel carries.

`routes` and `state` are those of `routing.routes`.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def spread(routes, state, alive, sources, groups, aware):
    """Return how packets from each of `sources` to its destination group spread over the fabric.

    Each switch sends the same share to each of its next hops. alive: (channels) 0 where packets
    vanish. aware: senders know that, and use the paths that are left in equal parts.
    Returns (classes + 1) starts, channels and shares between the switches; the same three for the
    (device, share) that arrives at the group's switches; and the (classes) share lost. The hop
    from the source to its switches is not among them.
    """
    classes = len(sources)
    devices = len(routes.row)
    start = np.zeros(classes + 1, np.int64)
    ends = np.zeros(classes + 1, np.int64)
    channels = np.empty(1024, np.int32)
    shares = np.empty(1024)
    end_device = np.empty(1024, np.int32)
    end_share = np.empty(1024)
    lost = np.zeros(classes)
    amount = np.zeros(devices)
    works = np.zeros(devices)
    queue = np.empty(devices, np.int64)
    size = 0
    end_size = 0
    for of in range(classes):
        tail = _enter(routes, state, sources[of], groups[of], amount, queue)
        lost[of] = 0.0 if tail else 1.0
        head = 0
        while head < tail:
            device = queue[head]
            head += 1
            first, last, members = _members(routes, state, device, groups[of])
            if members == 0:
                lost[of] += amount[device] * (first >= 0)
                continue
            if size + last - first > len(channels):
                channels = np.concatenate((channels, np.empty(2 * len(channels), np.int32)))
                shares = np.concatenate((shares, np.empty(2 * len(shares))))
            share = amount[device] / members
            for place in range(first, last):
                channel = routes.channels[place]
                if state.excluded[place] or state.withdrawn[channel]:
                    continue
                channels[size] = channel
                shares[size] = share
                size += 1
                if not alive[channel]:
                    lost[of] += share
                    continue
                target = routes.target[channel]
                if amount[target] == 0.0:
                    queue[tail] = target
                    tail += 1
                amount[target] += share
        total = 1.0
        if aware and lost[of] > 1e-12 and lost[of] < 1.0 - 1e-12:
            total = _weigh(routes, state, alive, groups[of], queue, tail, works, amount)
            lost[of] = 0.0
            size = start[of]
            for place in range(tail):
                device = queue[place]
                first, last, members = _members(routes, state, device, groups[of])
                for hop in range(first, last):
                    channel = routes.channels[hop]
                    if state.excluded[hop] or state.withdrawn[channel] or not alive[channel]:
                        continue
                    share = amount[device] / members * works[routes.target[channel]] / total
                    if share > 0.0:
                        channels[size] = channel
                        shares[size] = share
                        size += 1
        for place in range(tail):
            device = queue[place]
            if routes.distance[groups[of], routes.row[device]] == 0:
                if end_size == len(end_device):
                    more = np.empty(len(end_device), np.int32)
                    end_device = np.concatenate((end_device, more))
                    end_share = np.concatenate((end_share, np.empty(len(end_share))))
                end_device[end_size] = device
                end_share[end_size] = amount[device] / total
                end_size += 1
            amount[device] = 0.0
        start[of + 1] = size
        ends[of + 1] = end_size
    return (
        (start, channels[:size].copy(), shares[:size].copy()),
        (ends, end_device[:end_size].copy(), end_share[:end_size].copy()),
        lost,
    )


@njit(cache=True, nogil=True, _nrt=False)
def _enter(routes, state, source, group, amount, queue):
    """Spread packets over the source's nearest switches; return how many those are."""
    nearest = 255
    links = 0
    for place in range(routes.uplink_start[source], routes.uplink_start[source + 1]):
        channel = routes.uplinks[place]
        if state.withdrawn[channel]:
            continue
        hops = np.int64(routes.distance[group, routes.row[routes.target[channel]]])
        if hops < nearest:
            nearest = hops
            links = 0
        links += hops == nearest and nearest < 255
    tail = 0
    for place in range(routes.uplink_start[source], routes.uplink_start[source + 1]):
        channel = routes.uplinks[place]
        target = np.int64(routes.target[channel])
        if state.withdrawn[channel] or routes.distance[group, routes.row[target]] != nearest:
            continue
        if links:
            if amount[target] == 0.0:
                queue[tail] = target
                tail += 1
            amount[target] += 1.0 / links
    return tail


@njit(cache=True, nogil=True, _nrt=False)
def _members(routes, state, device, group):
    """Return where next hops begin and end, and how many are used; -1, -1, 0 at the group."""
    if routes.distance[group, routes.row[device]] == 0:
        return np.int64(-1), np.int64(-1), np.int64(0)
    entry = np.int64(routes.row[device]) * routes.distance.shape[0] + np.int64(group)
    members = np.int64(0)
    for place in range(routes.start[entry], routes.start[entry + 1]):
        members += not (state.excluded[place] or state.withdrawn[routes.channels[place]])
    return routes.start[entry], routes.start[entry + 1], members


@njit(cache=True, nogil=True, _nrt=False)
def _weigh(routes, state, alive, group, queue, tail, works, amount):
    """Fill `works` with the share of packets that arrive from each device; return that of all."""
    for back in range(tail):
        device = queue[tail - 1 - back]
        first, last, members = _members(routes, state, device, group)
        works[device] = 1.0 if first < 0 else 0.0
        for place in range(first, last):
            channel = routes.channels[place]
            if not (state.excluded[place] or state.withdrawn[channel]) and alive[channel]:
                works[device] += works[routes.target[channel]] / members
    total = 0.0
    for place in range(tail):
        if routes.distance[group, routes.row[queue[place]]] == 0:
            total += amount[queue[place]]
    return total


@njit(cache=True, nogil=True)
def spread_access(
    routes, state, alive, sources, destinations, class_of, ends, hops, aware, weighted
):
    """Return the first and last channels of sprayed flows: (flows, hops) channels and shares.

    weighted: whether any endpoint has several links; else the shares are one row of ones.
    ends: starts, devices and shares of arrivals, as of `spread`. Flows with class -1 are left
    out. Third: the (flows) share lost on them.
    """
    flows = len(sources)
    entries = np.full((flows, hops), -1, np.int32)
    weights = np.ones((flows if weighted else 1, hops))
    lost = np.zeros(flows)
    for flow in range(flows):
        if class_of[flow] < 0:
            continue
        group = routes.group[destinations[flow]]
        size = 0
        links = 0
        nearest = 255
        for place in range(
            routes.uplink_start[sources[flow]], routes.uplink_start[sources[flow] + 1]
        ):
            channel = routes.uplinks[place]
            far = np.int64(routes.distance[group, routes.row[routes.target[channel]]])
            if state.withdrawn[channel] or far > nearest or (aware and not alive[channel]):
                continue
            if far < nearest:
                nearest = far
                size = 0
            entries[flow, size] = channel
            size += 1
        links = size
        for place in range(links):
            if weighted:
                weights[flow, place] = 1.0 / links
            lost[flow] += (1.0 - alive[entries[flow, place]]) / links
        for place in range(ends[0][class_of[flow]], ends[0][class_of[flow] + 1]):
            down = _down(routes, ends[1][place], destinations[flow])
            entries[flow, size] = down
            if weighted:
                weights[flow, size] = ends[2][place]
            lost[flow] += (1.0 - alive[down]) * ends[2][place]
            size += 1
        for place in range(size, hops):
            entries[flow, place] = -1
    return entries, weights, lost


@njit(cache=True, nogil=True, _nrt=False)
def _down(routes, switch, destination):
    for place in range(routes.uplink_start[destination], routes.uplink_start[destination + 1]):
        if routes.target[routes.uplinks[place]] == switch:
            return np.int64(routes.uplinks[place]) ^ 1
    return np.int64(-1)
