"""Kernels of the flow-level engine: what happens next, and what follows from it.

The arguments are those of `state`: net (Network), run (Sharing), work (Work), todo (Schedule),
pairs (Pairs), queue (Queue), way (Way), settings (Settings). Times are ns, rates payload bytes/ns.
"""

import numpy as np
from numba import njit

from fabricscope.topology.flow_level.paths.kernels import rehash, settle
from fabricscope.topology.flow_level.queues.kernels import (
    drop_event,
    event_code,
    forget_finish,
    next_event,
    push_event,
    set_finish,
)
from fabricscope.topology.flow_level.sharing.kernels import (
    limits_others,
    link_flow,
    share_again,
    start_alone,
    unlink_flow,
)
from fabricscope.topology.flow_level.transport.kernels import (
    give_up_or_retry,
    lengthen,
    loses_tail,
    stall,
    wait_for_tail,
)

DONE = 0
"""`advance` has come to the moment that it was given."""

FULL = 1
"""`advance` needs more room for events; call it again with a grown queue."""

CLOSE_NS = 1e-3
_MANY = 2048


@njit(cache=True, nogil=True, _nrt=False)
def advance(net, run, work, todo, pairs, queue, way, settings, until_ns):
    """Let everything happen up to `until_ns`; return DONE or FULL."""
    transfers = len(todo.flow)
    while True:
        flow = -1
        now = np.inf
        if queue.sizes[0]:
            flow = queue.heap[0]
            now = queue.finish_ns[flow]
        lane, event_ns = next_event(queue)
        if event_ns < now:
            flow = -1
            now = event_ns
        if queue.sizes[3] and not queue.sizes[2]:
            now_shares = max(queue.clock[0], queue.clock[1])
            if now > now_shares:
                if now_shares > until_ns:
                    break
                queue.clock[0] = now_shares
                _settle_changes(net, run, work, pairs, queue, settings)
                continue
        if queue.sizes[2] and now > queue.clock[0] + CLOSE_NS:
            _settle_changes(net, run, work, pairs, queue, settings)
            continue
        if now > until_ns or now == np.inf:
            break
        queue.clock[0] = max(now, queue.clock[0])
        queue.clock[5] += 1
        if flow >= 0:
            _end_sending(run, todo, pairs, queue, settings, flow, now)
            continue
        code = event_code(queue, lane)
        if code < transfers:
            room = todo.successor_start[code + 1] - todo.successor_start[code] + 4
            if queue.sizes[1] + room > len(queue.event_ns):
                queue.clock[5] -= 1
                return FULL
        drop_event(queue, lane)
        if code < transfers:
            if todo.finish_ns[code] == now:
                _arrive(net, run, todo, pairs, queue, way, settings, code, now)
        elif code < 2 * transfers:
            release(net, run, todo, pairs, queue, way, settings, code - transfers, now)
        else:
            code -= 2 * transfers
            timed_out = code >= len(pairs.active)
            flow = code % len(pairs.active)
            _wake(net, run, todo, pairs, queue, way, settings, flow, now, timed_out)
    if until_ns < np.inf:
        queue.clock[0] = max(queue.clock[0], until_ns)
    return DONE


@njit(cache=True, nogil=True, _nrt=False)
def begin(net, run, todo, pairs, queue, way, settings):
    """Release what waits for nothing; the queue must have room for an event a transfer."""
    for transfer in range(len(todo.flow)):
        if todo.waits[transfer] == 0 and todo.released[transfer] == 0:
            if todo.delay_ns[transfer] > 0.0:
                code = transfer + len(todo.flow)
                push_event(queue, queue.clock[0] + todo.delay_ns[transfer], code)
            else:
                release(net, run, todo, pairs, queue, way, settings, transfer, queue.clock[0])


@njit(cache=True, nogil=True, _nrt=False)
def release(net, run, todo, pairs, queue, way, settings, transfer, now):
    """Nothing is missing for `transfer` any more: send it if it is its flow's turn."""
    flow = todo.flow[transfer]
    todo.released[transfer] = 1
    if pairs.joins[flow]:
        todo.finish_ns[transfer] = now
        push_event(queue, now, np.int64(transfer))
    elif pairs.stalled[flow]:
        lengthen(todo, pairs, queue, settings, flow, todo.size_bytes[transfer], now)
    elif not pairs.active[flow] and todo.queue[todo.head[flow]] == transfer:
        pairs.remaining[flow] = todo.size_bytes[transfer]
        paused = settings.flowlet_ns >= 0.0
        paused &= now - pairs.idle_ns[flow] >= settings.flowlet_ns
        if paused:
            if run.linked[flow]:
                unlink_flow(net, run, flow)
            rehash(net, run, pairs, way, flow, now)
        if pairs.bad[flow]:
            stall(todo, pairs, queue, settings, flow, now, pairs.line_rate[flow], 0.0)
        else:
            _activate(pairs, queue, flow, now)


@njit(cache=True, nogil=True, _nrt=False)
def _activate(pairs, queue, flow, now):
    pairs.active[flow] = 1
    pairs.since_ns[flow] = now
    touch(queue, flow)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def touch(queue, flow):
    """Note that `flow` began or ended to send."""
    if not queue.is_touched[flow]:
        queue.is_touched[flow] = 1
        queue.touched[queue.sizes[2]] = flow
        queue.sizes[2] += 1


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def mark_dirty(queue, channel):
    """Note that the shares of `channel` are to be made again."""
    if not queue.is_dirty[channel]:
        queue.is_dirty[channel] = 1
        queue.dirty[queue.sizes[3]] = channel
        queue.sizes[3] += 1


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _end_sending(run, todo, pairs, queue, settings, flow, now):
    """Go on with the flow's next transfer, or stop: the last byte of this one has left."""
    pairs.sent[flow] += run.rate[flow] * (now - pairs.since_ns[flow])
    pairs.since_ns[flow] = now
    transfer = todo.queue[todo.head[flow]]
    if pairs.loss[flow] > 0.0:
        if loses_tail(todo, pairs, settings, flow, transfer):
            wait_for_tail(todo, pairs, queue, settings, flow, now)
            pairs.idle_ns[flow] = now
            forget_finish(queue, flow)
            touch(queue, flow)
            return
        pairs.retries[flow] = 0
    todo.head[flow] += 1
    arrival = now + pairs.latency_ns[flow]
    todo.finish_ns[transfer] = arrival
    push_event(queue, arrival, np.int64(transfer))
    pairs.remaining[flow] = 0.0
    if todo.head[flow] < todo.queue_start[flow + 1]:
        following = todo.queue[todo.head[flow]]
        if todo.released[following]:
            pairs.remaining[flow] = todo.size_bytes[following]
            step_ns = np.inf
            if run.rate[flow] > 0.0:
                step_ns = pairs.remaining[flow] / (run.rate[flow] * pairs.progress[flow])
            set_finish(queue, flow, now + step_ns)
            return
    pairs.active[flow] = 0
    pairs.idle_ns[flow] = now
    forget_finish(queue, flow)
    touch(queue, flow)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _arrive(net, run, todo, pairs, queue, way, settings, transfer, now):
    queue.clock[6] += 1
    if not pairs.joins[todo.flow[transfer]]:
        queue.clock[7] += np.ceil(todo.size_bytes[transfer] / settings.packet_bytes)
    for place in range(todo.successor_start[transfer], todo.successor_start[transfer + 1]):
        following = todo.successors[place]
        todo.waits[following] -= 1
        if todo.waits[following] == 0:
            if todo.delay_ns[following] > 0.0:
                code = np.int64(following) + len(todo.flow)
                push_event(queue, now + todo.delay_ns[following], code)
            else:
                release(net, run, todo, pairs, queue, way, settings, following, now)


@njit(cache=True, nogil=True, _nrt=False)
def _wake(net, run, todo, pairs, queue, way, settings, flow, now, timed_out):
    """Let a stalled flow send again after its NAK or time-out, or stall for longer."""
    moment = pairs.timer_ns[flow] if timed_out else pairs.wake_ns[flow]
    if not pairs.stalled[flow] or moment != now:
        return
    if pairs.bad[flow] and timed_out and settings.relabel_ns >= 0.0 and net.class_of[flow] < 0:
        rehash(net, run, pairs, way, flow, now)
    if pairs.bad[flow]:
        if timed_out:
            give_up_or_retry(todo, pairs, queue, settings, flow, now)
        return
    pairs.stalled[flow] = 0
    how = 2 if timed_out and settings.relabel_ns < 0.0 else 1
    pairs.recovered[flow] = max(pairs.recovered[flow], how)
    pairs.wake_ns[flow] = np.inf
    pairs.timer_ns[flow] = np.inf
    _activate(pairs, queue, flow, now)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _set_rate(run, pairs, queue, settings, flow, rate, now):
    """Let `flow` (settled) send at `rate` from `now` on."""
    run.rate[flow] = rate
    progress = 1.0
    if pairs.loss[flow] > 0.0:
        # Go-back-N sends a whole round trip again for each loss (Bertsekas and Gallager,
        # Data Networks, section 2.4); selective repeat sends the lost packet only.
        progress = 1.0 - pairs.loss[flow]
        if not settings.selective:
            rtt_ns = settings.rtt_ns if settings.rtt_ns >= 0.0 else 2.0 * pairs.latency_ns[flow]
            flying = min(settings.window_bytes, rate * rtt_ns) / settings.packet_bytes
            progress /= progress + pairs.loss[flow] * max(flying, 1.0)
    pairs.progress[flow] = progress
    if pairs.remaining[flow] <= 0.0:
        set_finish(queue, flow, now)
    elif rate * progress > 0.0:
        set_finish(queue, flow, now + pairs.remaining[flow] / (rate * progress))
    else:
        set_finish(queue, flow, np.inf)


@njit(cache=True, nogil=True, _nrt=False)
def _settle_changes(net, run, work, pairs, queue, settings):
    """Give new rates to the flows that began, and to those whose shares changed by that."""
    now = queue.clock[0]
    count = queue.sizes[2]
    for place in range(count):
        flow = queue.touched[place]
        if run.linked[flow] and not pairs.active[flow]:
            forget_finish(queue, flow)
            if settings.at_once or not limits_others(net, run, flow):
                run.parked[flow] = 1
            else:
                unlink_flow(net, run, flow)
                mark_path(net, queue, run, flow)
    for place in range(count):
        flow = queue.touched[place]
        queue.is_touched[flow] = 0
        if not pairs.active[flow]:
            continue
        if run.linked[flow]:
            run.parked[flow] = 0
            _set_rate(run, pairs, queue, settings, flow, run.rate[flow], now)
            continue
        link_flow(net, run, flow)
        if count <= 4 * _MANY and start_alone(net, run, flow):
            _set_rate(run, pairs, queue, settings, flow, run.rate[flow], now)
        else:
            set_finish(queue, flow, np.inf)
            mark_dirty(queue, net.entries[flow, 0])
    queue.sizes[2] = 0
    if queue.sizes[3] and now >= queue.clock[1]:
        _share_dirty(net, run, work, pairs, queue, settings)


@njit(cache=True, nogil=True, _nrt=False)
def mark_path(net, queue, run, flow):
    """Mark the channels of a flow that ended, as far as they limit others."""
    for hop in range(net.entries.shape[1]):
        channel = net.entries[flow, hop]
        if channel < 0:
            break
        if run.bound[channel]:
            mark_dirty(queue, channel)
    of = net.class_of[flow]
    if of >= 0:
        for place in range(net.class_start[of], net.class_start[of + 1]):
            if run.bound[net.class_channels[place]]:
                mark_dirty(queue, net.class_channels[place])


@njit(cache=True, nogil=True, _nrt=False)
def _share_dirty(net, run, work, pairs, queue, settings):
    now = queue.clock[0]
    for place in range(queue.sizes[3]):
        queue.is_dirty[queue.dirty[place]] = 0
    flows = share_again(net, run, work, queue.dirty, queue.sizes[3])
    queue.sizes[3] = 0
    left_ns = 0.0
    for place in range(flows):
        flow = work.flows[place]
        rate = work.rate[flow]
        if abs(rate - run.rate[flow]) > 1e-12 * rate or queue.finish_ns[flow] == np.inf:
            settle(run, pairs, flow, now)
            _set_rate(run, pairs, queue, settings, flow, rate, now)
        if rate > 0.0:
            left_ns += pairs.remaining[flow] / rate
    queue.clock[1] = -np.inf
    if flows > _MANY and not settings.at_once:
        # So many flows are shared again at intervals only, or each end would cost milliseconds.
        queue.clock[1] = now + settings.share_again * left_ns / flows
