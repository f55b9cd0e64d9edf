"""Kernel of max-min fair shares for all flows at once, without the lists that changes need."""

import numpy as np
from numba import njit

from fabricscope.topology.flow_level.sharing.kernels import (
    drop_share,
    push_share,
    replace_share,
    share_of,
)


@njit(cache=True, nogil=True)
def share_all(net, run, work, source, destination):
    """Return the max-min fair rate (bytes/ns) of every flow; 0 without a path, inf for joins.

    net, run and work are those of `state`; of `run` only the sums are used, not the lists.
    source, destination: (flows).
    """
    flows, hops = net.entries.shape
    channels = len(net.capacity)
    classes = len(net.class_start) - 1
    start = np.zeros(channels + classes + 1, np.int64)
    rates = np.full(flows, -1.0)
    work.weight[:] = 0.0
    # A byte a flow stays in the cache where its rate would not.
    fixed = np.zeros(flows, np.uint8)
    left = 0
    for flow in range(flows):
        if net.entries[flow, 0] < 0:
            rates[flow] = np.inf if source[flow] == destination[flow] else 0.0
            continue
        left += 1
        for hop in range(hops):
            channel = net.entries[flow, hop]
            if channel < 0:
                break
            start[channel + 1] += 1
            work.weight[channel] += net.weights[flow * net.stride, hop]
        if net.class_of[flow] >= 0:
            start[channels + net.class_of[flow] + 1] += 1
    for head in range(channels + classes):
        start[head + 1] += start[head]
    members = np.empty(start[-1], np.int32)
    place_of = start[:-1].copy()
    for flow in range(flows):
        if rates[flow] >= 0.0:
            fixed[flow] = 1
            continue
        for hop in range(hops):
            channel = net.entries[flow, hop]
            if channel < 0:
                break
            members[place_of[channel]] = flow
            place_of[channel] += 1
        of = net.class_of[flow]
        if of >= 0:
            members[place_of[channels + of]] = flow
            place_of[channels + of] += 1
    for of in range(classes):
        run.class_count[of] = start[channels + of + 1] - start[channels + of]
        work.class_left[of] = run.class_count[of]
    size = 0
    for channel in range(channels):
        share = share_of(net, run, work, channel)
        if share >= 0.0:
            size = push_share(work, size, share, channel)
    while left > 0 and size > 0:
        level = work.heap_share[0]
        channel = work.heap_channel[0]
        share = share_of(net, run, work, channel)
        if share < 0.0:
            size = drop_share(work, size)
            continue
        if share > level * (1.0 + 1e-12) and size > 1:
            replace_share(work, size, share, channel)
            continue
        size = drop_share(work, size)
        left -= _freeze_all(net, run, work, rates, fixed, members, start, channel, share)
        for place in range(net.channel_start[channel], net.channel_start[channel + 1]):
            head = channels + net.channel_classes[place]
            left -= _freeze_all(net, run, work, rates, fixed, members, start, head, share)
    return rates


@njit(cache=True, nogil=True, _nrt=False)
def _freeze_all(net, run, work, rates, fixed, members, start, head, rate):
    """Fix the rates of the flows on a channel or in a class; return how many that were."""
    frozen = 0
    for place in range(start[head], start[head + 1]):
        flow = members[place]
        if fixed[flow]:
            continue
        rates[flow] = rate
        fixed[flow] = 1
        frozen += 1
        for hop in range(net.entries.shape[1]):
            channel = net.entries[flow, hop]
            if channel < 0:
                break
            weight = net.weights[flow * net.stride, hop]
            work.weight[channel] -= weight
            run.used[channel] += rate * weight
        of = net.class_of[flow]
        if of >= 0:
            work.class_left[of] -= 1
            run.class_rate[of] += rate
    return frozen


@njit(cache=True, nogil=True)
def finish_all(net, paths, rates, queue_pair, size_bytes, delay_ns):
    """Return when each transfer arrives (nan: never), and the bytes sent into each channel.

    paths: (flows, hops) of a packet of each flow, for the latency. rates: as of `share_all`.
    queue_pair, size_bytes, delay_ns: (transfers).
    """
    finish_ns = np.empty(len(queue_pair))
    sent = np.zeros(len(net.capacity))
    class_sent = np.zeros(len(net.class_start) - 1)
    for transfer in range(len(queue_pair)):
        flow = np.int64(queue_pair[transfer])
        if rates[flow] == 0.0:
            finish_ns[transfer] = np.nan
            continue
        moment_ns = delay_ns[transfer] + size_bytes[transfer] / rates[flow]
        for hop in range(paths.shape[1]):
            channel = paths[flow, hop]
            if channel < 0:
                break
            moment_ns += net.delay_ns[channel]
            if hop == 0:
                moment_ns -= net.packet_ns[channel]
        finish_ns[transfer] = moment_ns
        for hop in range(net.entries.shape[1]):
            channel = net.entries[flow, hop]
            if channel < 0:
                break
            sent[channel] += size_bytes[transfer] * net.weights[flow * net.stride, hop]
        if net.class_of[flow] >= 0:
            class_sent[net.class_of[flow]] += size_bytes[transfer]
    for of in range(len(class_sent)):
        for place in range(net.class_start[of], net.class_start[of + 1]):
            sent[net.class_channels[place]] += class_sent[of] * net.class_weights[place]
    return finish_ns, sent
