"""Kernels that give flows new paths, and tell flows that their path died or works again.

The arguments are those of `state`.
"""

import numpy as np
from numba import njit

from fabricscope.topology.flow_level.kernels import mark_path, touch
from fabricscope.topology.flow_level.paths.kernels import flush_flow, inspect_path, settle
from fabricscope.topology.flow_level.queues.kernels import forget_finish
from fabricscope.topology.flow_level.sharing.kernels import limits_others, unlink_flow
from fabricscope.topology.flow_level.transport.kernels import restore, stall


@njit(cache=True, nogil=True, _nrt=False)
def flush(net, run, pairs, class_sent, sent_into, now):
    """Add what all flows have sent to `sent_into` (channels), and begin to count anew.

    class_sent: (classes) scratch.
    """
    class_sent[:] = 0.0
    for flow in range(len(pairs.active)):
        flush_flow(net, run, pairs, class_sent, sent_into, flow, now)
    for of in range(len(class_sent)):
        for place in range(net.class_start[of], net.class_start[of + 1]):
            sent_into[net.class_channels[place]] += class_sent[of] * net.class_weights[place]


@njit(cache=True, nogil=True, _nrt=False)
def flush_flows(net, run, pairs, sent_into, flows, now):
    """Do the same for `flows` that are not sprayed."""
    for flow in flows:
        flush_flow(net, run, pairs, sent_into[:0], sent_into, flow, now)


@njit(cache=True, nogil=True, _nrt=False)
def release_paths(net, run, pairs, queue, flows, now):
    """Take the active ones of `flows` off their channels; those that share them gain."""
    for flow in flows:
        if not run.linked[flow]:
            continue
        if pairs.active[flow]:
            settle(run, pairs, flow, now)
            pairs.blind_rate[flow] = run.rate[flow]
        forget_finish(queue, flow)
        others = limits_others(net, run, flow)
        unlink_flow(net, run, flow)
        if others:
            mark_path(net, queue, run, flow)


@njit(cache=True, nogil=True, _nrt=False)
def follow_paths(todo, pairs, queue, settings, flows, bad, reach_ns, now):
    """Go on with `flows` (released before) on the paths that they have now.

    bad: (flows) 1 where no packet arrives any more. reach_ns: (flows) from the source to the dead
    channel on the path that was used so far.
    """
    for place in range(len(flows)):
        flow = flows[place]
        was_bad = pairs.bad[flow]
        pairs.bad[flow] = bad[place]
        if pairs.joins[flow]:
            continue
        if bad[place]:
            if pairs.stalled[flow]:
                pairs.wake_ns[flow] = np.inf
            else:
                _cut(todo, pairs, queue, settings, flow, reach_ns[place], now)
        elif pairs.active[flow]:
            touch(queue, flow)
        elif pairs.stalled[flow] and was_bad and pairs.recovered[flow] != 3:
            restore(todo, pairs, queue, settings, flow, now)


@njit(cache=True, nogil=True, _nrt=False)
def _cut(todo, pairs, queue, settings, flow, reach_ns, now):
    """Lose what `flow` has on its way to a dead channel; it stalls if that is anything."""
    head = todo.head[flow]
    rate = pairs.line_rate[flow]
    unseen = 0.0
    if pairs.active[flow]:
        rate = pairs.blind_rate[flow] if pairs.blind_rate[flow] > 0.0 else rate
        size = todo.size_bytes[todo.queue[head]]
        unseen = min(rate * reach_ns, size - pairs.remaining[flow])
        pairs.remaining[flow] += unseen
    lost_before = False
    while head > todo.queue_start[flow]:
        transfer = todo.queue[head - 1]
        left_ns = todo.finish_ns[transfer] - pairs.latency_ns[flow] + reach_ns - now
        if not (todo.finish_ns[transfer] > now and left_ns > 0.0):
            break
        # The end of an earlier transfer is lost too: it counts as not sent, and all behind it.
        if pairs.active[flow] and not lost_before:
            unseen = todo.size_bytes[todo.queue[head]] - (pairs.remaining[flow] - unseen)
        tail = min(todo.size_bytes[transfer], left_ns * rate)
        unseen += tail
        lost_before = True
        head -= 1
        todo.finish_ns[transfer] = np.nan
        pairs.remaining[flow] = tail
    todo.head[flow] = head
    if pairs.active[flow] or lost_before:
        if pairs.active[flow]:
            pairs.active[flow] = 0
            touch(queue, flow)
        stall(todo, pairs, queue, settings, flow, now, rate, unseen)


@njit(cache=True, nogil=True, _nrt=False)
def inspect_paths(net, pairs, flows, bad, reach_ns):
    """Inspect the own channels of `flows`; see `inspect_path`."""
    for place in range(len(flows)):
        bad[place], reach_ns[place] = inspect_path(net, pairs, flows[place])
