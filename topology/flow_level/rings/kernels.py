"""Kernel of one ring: when each rank has sent its chunk of each step.

A rank begins a step when it has sent its last chunk and has the one before it: the ends of a step
follow from those of the step before by sums and maxima. Once a step has shifted all ends by the
same time, so will every later one until a rate changes, and they are skipped at once.

Arrays are (epochs, flows): rate in bytes/ns (0: nothing arrives), latency_ns, reach_ns (from the
source to what is dead), step_ns (a chunk at that rate, inf for none). bounds_ns: (epochs + 1)
where epochs begin and the last one ends (inf).
"""

import numpy as np
from numba import njit

_SAME_NS = 1e-6


@njit(cache=True, nogil=True)
def run_ring(ring, first, ranks, epochs, settings, ends_ns, sent, outages, totals):
    """Run one ring; `first` is its first rank's flow.

    ring: (steps, iterations, chunk_bytes, compute_ns). epochs: (bounds_ns, rate, latency_ns,
    reach_ns, step_ns). Fills ends_ns: (iterations); sent: (epochs, flows) chunks begun
    before an epoch; outages: (flows) 0 none, 1 round trip, 2 time-out, 3 given up; adds to
    totals: chunks worked out one by one, bytes lost, first loss, last loss.
    """
    steps, iterations, chunk_bytes, compute_ns = ring
    bounds_ns, _, latency_ns, reach_ns, step_ns = epochs
    end = np.zeros(ranks)
    new = np.zeros(ranks)
    epoch = np.zeros(ranks, np.int64)
    reach_most_ns = reach_ns.max()
    total = 0
    pace_ns = 0.0
    together = True
    for iteration in range(iterations):
        _gather(end, new, latency_ns, epoch, first, ranks, iteration > 0, compute_ns)
        end, new = new, end
        step = 0
        while step < steps and end[0] < np.inf:
            done = False
            if together:
                now = epoch[0]
                limit_ns = bounds_ns[now + 1] - reach_most_ns
                least, most, last = _walk(
                    end, new, step_ns[now], latency_ns[now], first, ranks, step == 0
                )
                done = last <= limit_ns and last < np.inf
            if done:
                pace_ns = most
                if step > 0 and most - least <= _SAME_NS + 1e-12 * last:
                    skip = steps - step - 1
                    if limit_ns < np.inf:
                        skip = min(skip, int((limit_ns - last) / most))
                    for rank in range(ranks):
                        new[rank] += skip * most
                    step += skip
                    total += skip
            else:
                if step > 0:
                    _gather(end, new, latency_ns, epoch, first, ranks, True, 0.0)
                else:
                    new[:] = end
                work = (steps - step) * chunk_bytes
                for rank in range(ranks):
                    begin_ns = new[rank]
                    while bounds_ns[epoch[rank] + 1] <= begin_ns and begin_ns < np.inf:
                        epoch[rank] += 1
                        sent[epoch[rank], first + rank] = total
                    new[rank] = _send(
                        epochs,
                        settings,
                        first + rank,
                        epoch[rank],
                        begin_ns,
                        chunk_bytes,
                        work,
                        pace_ns,
                        outages,
                        totals,
                    )
                if new.max() == np.inf:
                    # Sooner or later the whole ring waits for that rank.
                    new[:] = np.inf
                together = epoch.min() == epoch.max()
            end, new = new, end
            step += 1
            total += 1
            totals[0] += ranks
        last = 0.0
        for rank in range(ranks):
            last = max(last, end[rank] + latency_ns[epoch[rank], first + rank])
        ends_ns[iteration] = last
    for rank in range(ranks):
        for later in range(epoch[rank] + 1, len(sent)):
            sent[later, first + rank] = total


@njit(cache=True, nogil=True, _nrt=False)
def _gather(end, new, latency_ns, epoch, first, ranks, waits, compute_ns):
    """Fill `new` with when each rank begins: it has sent, and has what the one before it sent."""
    before = ranks - 1
    for rank in range(ranks):
        begin_ns = end[rank]
        if waits:
            came_ns = end[before] + latency_ns[epoch[before], first + before]
            begin_ns = max(begin_ns, came_ns)
        new[rank] = begin_ns + compute_ns
        before = rank


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _walk(end, new, step_ns, latency_ns, first, ranks, begins):
    """Fill `new` with the ends of the next step; return its least and most shift, and the last."""
    if begins:
        for rank in range(ranks):
            new[rank] = end[rank] + step_ns[first + rank]
    else:
        came_ns = end[ranks - 1] + latency_ns[first + ranks - 1]
        new[0] = max(came_ns, end[0]) + step_ns[first]
        # Slices of one length let the compiler work on several ranks at once.
        _follow(
            end[: ranks - 1],
            end[1:],
            latency_ns[first : first + ranks - 1],
            step_ns[first + 1 : first + ranks],
            new[1:],
        )
    return _shift(end, new)


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _follow(before, own, latency_ns, step_ns, new):
    for rank in range(len(new)):
        came_ns = before[rank] + latency_ns[rank]
        begin_ns = came_ns if came_ns > own[rank] else own[rank]
        new[rank] = begin_ns + step_ns[rank]


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _shift(end, new):
    least = np.inf
    most = -np.inf
    last = -np.inf
    for rank in range(len(new)):
        shift = new[rank] - end[rank]
        least = shift if shift < least else least
        most = shift if shift > most else most
        last = new[rank] if new[rank] > last else last
    return least, most, last


@njit(cache=True, nogil=True)
def _send(
    epochs, settings, flow, epoch, begin_ns, chunk_bytes, work_bytes, period_ns, outages, totals
):
    """Return when a chunk begun at `begin_ns` is sent, through changes of rate and outages."""
    bounds_ns, rate, latency_ns, reach_ns, _ = epochs
    now = begin_ns
    left = chunk_bytes
    while True:
        if now == np.inf:
            return np.inf
        if rate[epoch, flow] <= 0.0:
            begin_out_ns = max(bounds_ns[epoch] - reach_ns[epoch, flow], begin_ns)
            works = epoch
            while works < len(rate) and rate[works, flow] <= 0.0:
                works += 1
            line = rate[0, flow] if rate[0, flow] > 0.0 else 1.0
            now = _resume(
                settings,
                flow,
                begin_out_ns,
                bounds_ns[works] if works < len(rate) else np.inf,
                max(period_ns, chunk_bytes / line) / chunk_bytes,
                work_bytes,
                2.0 * latency_ns[epoch, flow],
                outages,
                totals,
            )
            epoch = min(works, len(rate) - 1)
            while now < np.inf and bounds_ns[epoch + 1] <= now:
                epoch += 1
            continue
        moment_ns = now + left / rate[epoch, flow]
        limit_ns = bounds_ns[epoch + 1]
        if epoch + 1 < len(rate) and rate[epoch + 1, flow] <= 0.0:
            # What leaves later than this is on its way when the channel dies.
            limit_ns -= reach_ns[epoch + 1, flow]
        if moment_ns <= limit_ns:
            return moment_ns
        left -= max(limit_ns - now, 0.0) * rate[epoch, flow]
        now = max(now, limit_ns)
        epoch += 1


@njit(cache=True, nogil=True)
def _resume(settings, flow, out_ns, works_ns, ns_per_byte, work_bytes, rtt_ns, outages, totals):
    """Return when a flow that lost everything from `out_ns` on sends again.

    works_ns: when its path works again. ns_per_byte: how fast it had something to send.
    """
    blind = min(settings.window_bytes, work_bytes)
    silent_ns = out_ns + blind * ns_per_byte
    totals[1] += min(blind, max(works_ns - out_ns, 0.0) / ns_per_byte)
    totals[2] = min(totals[2], out_ns)
    totals[3] = max(totals[3], min(works_ns, silent_ns))
    if settings.relabel_ns >= 0.0:
        outages[flow] = max(outages[flow], 1)
        return works_ns
    if silent_ns > works_ns:
        outages[flow] = max(outages[flow], 1)
        return works_ns + (settings.rtt_ns if settings.rtt_ns >= 0.0 else rtt_ns)
    wait_ns = settings.rto_ns
    now = out_ns + wait_ns
    retries = 0
    while now < works_ns:
        retries += 1
        if works_ns == np.inf or (settings.retry_count >= 0 and retries > settings.retry_count):
            outages[flow] = 3
            return np.inf
        if settings.doubling:
            wait_ns *= 2.0
        now += wait_ns
    outages[flow] = max(outages[flow], 2)
    return now
