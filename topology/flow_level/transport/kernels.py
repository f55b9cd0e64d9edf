"""Kernels of the queue pairs' transport around an outage: window, NAK, time-out, retries.

A reliable queue pair whose packets vanish goes on sending until its window (or what it has to
send) is used up. If it still sends when the path works again, the receiver sees a hole in the
sequence and asks for the rest: about one round trip. If it has fallen silent, only the time-out
(4.096 us times a power of two) makes it send again, or a further transfer that it may still send.
The arguments are those of `state`.
"""

import numpy as np
from numba import njit

from fabricscope.topology.flow_level.queues.kernels import push_event
from fabricscope.topology.routing.kernels import mix


@njit(cache=True, nogil=True, _nrt=False)
def stall(todo, pairs, queue, settings, flow, now, rate, unseen_bytes):
    """Packets of `flow`, which sends at `rate`, vanish from `now` on.

    unseen_bytes: what is counted in `pairs.remaining` but was sent before `now`, and is lost.
    """
    pairs.stalled[flow] = 1
    pairs.affected[flow] = 1
    pairs.stall_ns[flow] = now
    pairs.retries[flow] = 0
    pairs.wake_ns[flow] = np.inf
    pairs.blind_rate[flow] = rate
    ready = _ready_bytes(todo, pairs, settings, flow)
    blind = min(settings.window_bytes, ready)
    pairs.credit[flow] = settings.window_bytes - blind
    pairs.blind_bytes[flow] = blind
    pairs.blind_end_ns[flow] = now + max(blind - unseen_bytes, 0.0) / pairs.blind_rate[flow]
    queue.clock[2] = min(queue.clock[2], now)
    wait_ns = settings.rto_ns if settings.relabel_ns < 0.0 else settings.relabel_ns
    _set_timer(todo, pairs, queue, flow, now + wait_ns)


@njit(cache=True, nogil=True, _nrt=False)
def _set_timer(todo, pairs, queue, flow, moment_ns):
    pairs.timer_ns[flow] = moment_ns
    push_event(queue, moment_ns, 2 * len(todo.flow) + len(pairs.active) + np.int64(flow))


@njit(cache=True, nogil=True, _nrt=False)
def _ready_bytes(todo, pairs, settings, flow):
    """Return what `flow` may send without hearing anything, up to its window and a transfer."""
    ready = pairs.remaining[flow]
    for place in range(todo.head[flow] + 1, todo.queue_start[flow + 1]):
        transfer = todo.queue[place]
        if ready >= settings.window_bytes or not todo.released[transfer]:
            break
        ready += todo.size_bytes[transfer]
    return ready


@njit(cache=True, nogil=True, _nrt=False)
def lengthen(todo, pairs, queue, settings, flow, size_bytes, now):
    """One more transfer of a stalled flow may be sent."""
    more = min(pairs.credit[flow], size_bytes)
    if more <= 0.0:
        return
    pairs.credit[flow] -= more
    if not pairs.bad[flow]:
        # The path works again: these packets arrive, and draw the NAK that was missing.
        if pairs.wake_ns[flow] == np.inf:
            _wake_after_round_trip(todo, pairs, queue, settings, flow, now)
        return
    pairs.blind_bytes[flow] += more
    begin_ns = max(pairs.blind_end_ns[flow], now)
    pairs.blind_end_ns[flow] = begin_ns + more / pairs.blind_rate[flow]


@njit(cache=True, nogil=True, _nrt=False)
def _wake_after_round_trip(todo, pairs, queue, settings, flow, now):
    rtt_ns = settings.rtt_ns if settings.rtt_ns >= 0.0 else 2.0 * pairs.latency_ns[flow]
    pairs.wake_ns[flow] = now + rtt_ns
    push_event(queue, now + rtt_ns, 2 * len(todo.flow) + np.int64(flow))


@njit(cache=True, nogil=True, _nrt=False)
def count_blind(pairs, queue, flow, now):
    """Count what `flow` lost up to `now`; return whether it is still sending."""
    later = max(pairs.blind_end_ns[flow] - now, 0.0)
    lost = max(pairs.blind_bytes[flow] - later * pairs.blind_rate[flow], 0.0)
    queue.clock[4] += lost
    queue.clock[3] = max(queue.clock[3], min(now, pairs.blind_end_ns[flow]))
    pairs.blind_bytes[flow] = 0.0
    return later > 0.0


@njit(cache=True, nogil=True, _nrt=False)
def restore(todo, pairs, queue, settings, flow, now):
    """Note that the path of the stalled `flow` works again."""
    if count_blind(pairs, queue, flow, now):
        _wake_after_round_trip(todo, pairs, queue, settings, flow, now)


@njit(cache=True, nogil=True, _nrt=False)
def give_up_or_retry(todo, pairs, queue, settings, flow, now):
    """Send the window once more after a time-out, and lose it: the path is still bad."""
    count_blind(pairs, queue, flow, now)
    pairs.retries[flow] += 1
    if settings.relabel_ns >= 0.0:
        _set_timer(todo, pairs, queue, flow, now + settings.relabel_ns)
        return
    if settings.retry_count >= 0 and pairs.retries[flow] > settings.retry_count:
        pairs.recovered[flow] = 3
        pairs.timer_ns[flow] = np.inf
        pairs.credit[flow] = 0.0
        return
    blind = min(settings.window_bytes, _ready_bytes(todo, pairs, settings, flow))
    pairs.credit[flow] = settings.window_bytes - blind
    pairs.blind_bytes[flow] = blind
    pairs.blind_end_ns[flow] = now + blind / pairs.blind_rate[flow]
    wait_ns = settings.rto_ns
    if settings.doubling:
        wait_ns *= 2.0 ** pairs.retries[flow]
    _set_timer(todo, pairs, queue, flow, now + wait_ns)


@njit(cache=True, nogil=True, _nrt=False)
def loses_tail(todo, pairs, settings, flow, transfer):
    """Return whether the last packet of `transfer` is lost, where `flow` loses some of them.

    Nobody misses what comes last: only a packet behind it would show the receiver the hole.
    """
    behind = todo.head[flow] + 1
    if behind < todo.queue_start[flow + 1] and todo.released[todo.queue[behind]]:
        return False
    value = mix(np.uint64(transfer) ^ mix(np.uint64(settings.seed)))
    value = mix(value + np.uint64(pairs.retries[flow]))
    return np.float64(value >> np.uint64(11)) * 2.0**-53 < pairs.loss[flow]


@njit(cache=True, nogil=True, _nrt=False)
def wait_for_tail(todo, pairs, queue, settings, flow, now):
    """Let `flow`, whose last packet was lost, fall silent until its time-out."""
    pairs.active[flow] = 0
    pairs.stalled[flow] = 1
    pairs.affected[flow] = 1
    pairs.wake_ns[flow] = np.inf
    tail_bytes = min(settings.packet_bytes, todo.size_bytes[todo.queue[todo.head[flow]]])
    pairs.remaining[flow] = tail_bytes
    pairs.blind_rate[flow] = pairs.line_rate[flow]
    pairs.blind_bytes[flow] = 0.0
    pairs.blind_end_ns[flow] = now
    pairs.credit[flow] = max(settings.window_bytes - tail_bytes, 0.0)
    pairs.retries[flow] += 1
    if settings.relabel_ns < 0.0 and 0 <= settings.retry_count < pairs.retries[flow]:
        pairs.recovered[flow] = 3
        pairs.timer_ns[flow] = np.inf
        pairs.credit[flow] = 0.0
        return
    wait_ns = settings.rto_ns if settings.relabel_ns < 0.0 else settings.relabel_ns
    if settings.doubling:
        wait_ns *= 2.0 ** (pairs.retries[flow] - 1)
    _set_timer(todo, pairs, queue, flow, now + wait_ns)
