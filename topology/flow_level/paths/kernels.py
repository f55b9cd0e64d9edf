"""Kernels that look at one flow's path, and count what it carried.

The arguments are those of `flow_level.state` and `routing.routes`.
"""

import numpy as np
from numba import njit

from fabricscope.topology.routing.kernels import mix, trace_path


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def settle(run, pairs, flow, now):
    """Account for what `flow` has sent since its rate was last set."""
    passed = now - pairs.since_ns[flow]
    pairs.sent[flow] += run.rate[flow] * passed
    left = pairs.remaining[flow] - run.rate[flow] * pairs.progress[flow] * passed
    pairs.remaining[flow] = max(left, 0.0)
    pairs.since_ns[flow] = now


@njit(cache=True, nogil=True, _nrt=False)
def flush_flow(net, run, pairs, class_sent, sent_into, flow, now):
    """Add what `flow` has sent to `sent_into`, and to `class_sent` where it is sprayed."""
    if pairs.active[flow] and run.linked[flow]:
        settle(run, pairs, flow, now)
    sent = pairs.sent[flow]
    pairs.sent[flow] = 0.0
    if sent == 0.0:
        return
    for hop in range(net.entries.shape[1]):
        channel = net.entries[flow, hop]
        if channel < 0:
            break
        sent_into[channel] += sent * net.weights[flow * net.stride, hop]
    if net.class_of[flow] >= 0:
        class_sent[net.class_of[flow]] += sent


@njit(cache=True, nogil=True, _nrt=False)
def inspect_path(net, pairs, flow):
    """Return 1 if a channel of its own is dead or there is none, and how far (ns) that one is.

    Sets the flow's line rate; where it is not sprayed, its latency and share of lost packets too.
    """
    latency_ns = 0.0
    reach_ns = 0.0
    line_rate = np.inf
    kept = 1.0
    bad = np.uint8(net.entries[flow, 0] < 0)
    for hop in range(net.entries.shape[1]):
        channel = net.entries[flow, hop]
        if channel < 0:
            break
        if not net.alive[channel]:
            if not bad:
                reach_ns = latency_ns
            bad = np.uint8(1)
        latency_ns += net.delay_ns[channel]
        kept *= 1.0 - net.loss[channel]
        line_rate = min(line_rate, net.capacity[channel])
    if net.class_of[flow] < 0 and net.entries[flow, 0] >= 0:
        # The first packet's serialisation is part of the sending, not of the latency.
        pairs.latency_ns[flow] = latency_ns - net.packet_ns[net.entries[flow, 0]]
        pairs.loss[flow] = 1.0 - kept
    if line_rate < np.inf:
        pairs.line_rate[flow] = line_rate
    return bad, reach_ns


@njit(cache=True, nogil=True, _nrt=False)
def rehash(net, run, pairs, way, flow, now):
    """Give `flow`, which does not send, another hash and the path that follows from it."""
    flush_flow(net, run, pairs, way.sent_into[:0], way.sent_into, flow, now)
    path = way.path
    pairs.hashes[flow] = mix(pairs.hashes[flow] + np.uint64(flow + 1))
    source = np.int64(pairs.source[flow])
    destination = np.int64(pairs.destination[flow])
    trace_path(way.routes, way.state, way.seeds, source, destination, pairs.hashes[flow], path, 0)
    for hop in range(net.entries.shape[1]):
        net.entries[flow, hop] = path[0, hop]
    pairs.bad[flow], _ = inspect_path(net, pairs, flow)
