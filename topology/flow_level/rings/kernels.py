"""Kernel of one ring: when each rank has sent its chunk of each step.

A rank begins a step when it has sent its last chunk and has the one before it: the ends of a step
follow from those of the step before by sums and maxima. Once a step has shifted all ends by the
same time, so will every later one until a rate changes, and they are skipped at once; so are whole
iterations. Where some packets are lost, chance decides which chunks lose their last one.

Arrays are (epochs, flows): rate in bytes/ns (0: nothing arrives), latency_ns, reach_ns (from the
source to what is dead), step_ns (a chunk at that rate, inf for none), loss (share of packets).
bounds_ns: (epochs + 1) where epochs begin and the last one ends (inf).
"""

import numpy as np
from numba import njit

from fabricscope.topology.routing.kernels import mix

_SAME_NS = 1e-6
_FEW = 16


@njit(cache=True, nogil=True)
def run_ring(ring, first, ranks, epochs, settings, lossy, ends_ns, sent, outages, totals):
    """Run one ring; `first` is its first rank's flow.

    ring: (steps, iterations, chunk_bytes, compute_ns, start_ns). epochs: (bounds_ns, rate,
    latency_ns, reach_ns, step_ns, loss). lossy: the ring's ranks that lose some packets in some
    epoch. Fills ends_ns: (iterations); sent: (epochs, flows) chunks begun before an epoch;
    outages: (flows) 0 none, 1 round trip, 2 time-out, 3 given up; adds to totals: chunks worked
    out one by one, bytes lost, first loss, last loss.
    """
    steps, iterations, chunk_bytes, compute_ns, start_ns = ring
    bounds_ns, _, latency_ns, reach_ns, step_ns, loss = epochs
    end = np.full(ranks, start_ns)
    new = np.zeros(ranks)
    before = np.zeros(ranks)
    epoch = np.zeros(ranks, np.int64)
    cuts = np.zeros(ranks + 1, np.int64)
    runs = _cut(epoch, cuts)
    reach_most_ns = reach_ns.max()
    total = 0
    pace_ns = 0.0
    iteration = 0
    while iteration < iterations:
        if iteration > 0:
            _miss_tails(end, epochs, epoch, lossy, first, ring, settings, total, True, outages)
        _gather(end, new, latency_ns, epoch, first, ranks, iteration > 0, compute_ns)
        end, new = new, end
        step = 0
        changed = runs > 1
        safe = 0
        while step < steps and end[0] < np.inf:
            if (
                step > 0
                and len(lossy)
                and _miss_tails(
                    end, epochs, epoch, lossy, first, ring, settings, total, False, outages
                )
            ):
                safe = 0
            for run in range(runs):
                begin, stop = cuts[run], cuts[run + 1]
                now = epoch[begin]
                _walk(end, new, step_ns[now], latency_ns, epoch, first, begin, stop, step == 0)
            safe -= 1
            if safe < 0:
                most_safe = min(step, _FEW)
                safe = _count_safe(new, cuts, runs, epoch, first, epochs, reach_most_ns, most_safe)
                if safe < 0:
                    changed = True
                    work = (steps - step) * chunk_bytes
                    _follow_changes(
                        end, new, epochs, epoch, first, step == 0, chunk_bytes, work, pace_ns,
                        reach_most_ns, settings, total, sent, outages, totals,
                    )  # fmt: skip
                    runs = _cut(epoch, cuts)
                    if new.max() == np.inf:
                        # Sooner or later the whole ring waits for that rank.
                        new[:] = np.inf
                elif runs == 1:
                    least, most, last = _shift(end, new)
                    pace_ns = most
                    even = step > 0 and most - least <= _SAME_NS + 1e-12 * last
                    if even and not _loses(loss[epoch[0]], lossy, first):
                        skip = steps - step - 1
                        limit_ns = bounds_ns[epoch[0] + 1] - reach_most_ns
                        if limit_ns < np.inf:
                            skip = min(skip, int((limit_ns - last) / most))
                        for rank in range(ranks):
                            new[rank] += skip * most
                        step += skip
                        total += skip
                        safe = 0
            end, new = new, end
            step += 1
            total += 1
            totals[0] += ranks
        if iteration == iterations - 1 and len(lossy):
            _wait_for_tails(end, epochs, epoch, lossy, first, settings, total, outages)
        last = 0.0
        for rank in range(ranks):
            last = max(last, end[rank] + latency_ns[epoch[rank], first + rank])
        ends_ns[iteration] = last
        iteration += 1
        if not changed and not _loses(loss[epoch[0]], lossy, first) and iteration > 1:
            # An iteration that has shifted all ends alike repeats itself.
            least, most, latest = _shift(before, end)
            if most - least <= _SAME_NS + 1e-12 * latest:
                skip = iterations - iteration
                limit_ns = bounds_ns[epoch[0] + 1] - reach_most_ns
                if limit_ns < np.inf:
                    skip = max(min(skip, int((limit_ns - last) / most) - 1), 0)
                for more in range(skip):
                    ends_ns[iteration + more] = last + (more + 1) * most
                end += skip * most
                iteration += skip
                total += skip * steps
        before[:] = end
    for rank in range(ranks):
        for later in range(epoch[rank] + 1, len(sent)):
            sent[later, first + rank] = total


@njit(cache=True, nogil=True, _nrt=False)
def _count_safe(new, cuts, runs, epoch, first, epochs, reach_most_ns, most_safe):
    """Return how many more steps no rank can leave its epoch in; -1 if one just did.

    At most `most_safe`, so that a pace that has become even is noticed soon.
    """
    bounds_ns, _, latency_ns, _, step_ns = epochs[:5]
    latest = -np.inf
    soonest_ns = np.inf
    slowest_ns = 0.0
    for run in range(runs):
        now = epoch[cuts[run]]
        limit_ns = bounds_ns[now + 1] - reach_most_ns
        last = -np.inf
        for rank in range(cuts[run], cuts[run + 1]):
            last = max(last, new[rank])
            slowest_ns = max(slowest_ns, step_ns[now, first + rank] + latency_ns[now, first + rank])
        if not last <= limit_ns or last == np.inf:
            return -1
        latest = max(latest, last)
        soonest_ns = min(soonest_ns, limit_ns)
    if slowest_ns == np.inf:
        return 0
    if soonest_ns == np.inf:
        return most_safe
    # A step ends after the last end by at most the longest way and the slowest chunk.
    return max(min(int((soonest_ns - latest) / (2.0 * slowest_ns)), most_safe), 0)


@njit(cache=True, nogil=True, _nrt=False)
def _cut(epoch, cuts):
    """Fill `cuts` with where runs of ranks in the same epoch begin and end; return how many."""
    runs = 0
    cuts[0] = 0
    for rank in range(1, len(epoch)):
        if epoch[rank] != epoch[rank - 1]:
            runs += 1
            cuts[runs] = rank
    cuts[runs + 1] = len(epoch)
    return runs + 1


@njit(cache=True, nogil=True)
def _loses(loss, lossy, first):
    """Return whether a rank of `lossy` loses packets now; loss: (flows)."""
    return (loss[lossy + first] > 0.0).any()


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
def _walk(end, new, step_ns, latency_ns, epoch, first, begin, stop, begins):
    """Fill `new[begin:stop]`, ranks of one epoch, with the ends of the next step."""
    if begins:
        for rank in range(begin, stop):
            new[rank] = end[rank] + step_ns[first + rank]
        return
    before = begin - 1 if begin else len(end) - 1
    came_ns = end[before] + latency_ns[epoch[before], first + before]
    new[begin] = max(came_ns, end[begin]) + step_ns[first + begin]
    # Slices of one length let the compiler work on several ranks at once.
    _follow(
        end[begin : stop - 1],
        end[begin + 1 : stop],
        latency_ns[epoch[begin], first + begin : first + stop - 1],
        step_ns[first + begin + 1 : first + stop],
        new[begin + 1 : stop],
    )


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _follow(before, own, latency_ns, step_ns, new):
    for rank in range(len(new)):
        came_ns = before[rank] + latency_ns[rank]
        begin_ns = came_ns if came_ns > own[rank] else own[rank]
        new[rank] = begin_ns + step_ns[rank]


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _shift(end, new):
    """Return the least and the most that `new` is later than `end`, and the last of `new`."""
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
def _follow_changes(
    end, new, epochs, epoch, first, begins, chunk_bytes, work_bytes, period_ns, reach_most_ns,
    settings, total, sent, outages, totals,
):  # fmt: skip
    """Work out anew the ends in `new` that lie beyond their epoch, and move those ranks on."""
    bounds_ns, _, latency_ns = epochs[:3]
    ranks = len(end)
    before = ranks - 1
    came_ns = end[before] + latency_ns[epoch[before], first + before]
    for rank in range(ranks):
        begin_ns = end[rank] if begins else max(end[rank], came_ns)
        came_ns = end[rank] + latency_ns[epoch[rank], first + rank]
        if new[rank] <= bounds_ns[epoch[rank] + 1] - reach_most_ns and new[rank] < np.inf:
            continue
        while bounds_ns[epoch[rank] + 1] <= begin_ns and begin_ns < np.inf:
            epoch[rank] += 1
            sent[epoch[rank], first + rank] = total
        new[rank] = _send(
            epochs, settings, first + rank, epoch[rank], begin_ns, chunk_bytes, work_bytes,
            period_ns, outages, totals,
        )  # fmt: skip


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _misses(settings, flow, total, retries, loss):
    """Return whether a chunk's last packet is lost: chance decides, with probability `loss`."""
    value = mix(np.uint64(flow) ^ mix(np.uint64(settings.seed)))
    value = mix(value + np.uint64(total) * np.uint64(64) + np.uint64(retries))
    return np.float64(value >> np.uint64(11)) * 2.0**-53 < loss


@njit(cache=True, nogil=True)
def _miss_tails(
    end, epochs, epoch, lossy, first, ring, settings, total, between, outages
):  # fmt: skip
    """Delay the ends in `end` of chunks whose last packet is lost; return whether there were any.

    Nobody misses it before the next chunk of the queue pair arrives, unless that is under way
    already; it draws a NAK a round trip after it has begun. between: it begins an iteration.
    """
    _, rate, latency_ns, _, _, loss = epochs
    wait_ns = settings.rto_ns if settings.relabel_ns < 0.0 else settings.relabel_ns
    missed = False
    for rank in lossy:
        flow = first + rank
        now = epoch[rank]
        if loss[now, flow] <= 0.0 or rate[now, flow] <= 0.0:
            continue
        before = rank - 1 if rank else len(end) - 1
        came_ns = end[before] + latency_ns[epoch[before], first + before]
        if came_ns <= end[rank] or not _misses(settings, flow, total, 0, loss[now, flow]):
            continue
        rtt_ns = settings.rtt_ns if settings.rtt_ns >= 0.0 else 2.0 * latency_ns[now, flow]
        heard_ns = came_ns + rtt_ns
        if between:
            heard_ns += ring[3]
        silent_ns = end[rank] + wait_ns
        slow = silent_ns < heard_ns and settings.relabel_ns < 0.0
        outages[flow] = max(outages[flow], 2 if slow else 1)
        tail_ns = min(settings.packet_bytes, ring[2]) / rate[now, flow]
        end[rank] = min(silent_ns, heard_ns) + tail_ns
        missed = True
    return missed


@njit(cache=True, nogil=True)
def _wait_for_tails(end, epochs, epoch, lossy, first, settings, total, outages):
    """Delay the last chunks of all whose last packet is lost: only time-outs repeat it."""
    bounds_ns, rate, _, _, _, loss = epochs
    for rank in lossy:
        flow = first + rank
        now = epoch[rank]
        wait_ns = settings.rto_ns if settings.relabel_ns < 0.0 else settings.relabel_ns
        retries = 0
        while end[rank] < np.inf:
            dead = rate[now, flow] <= 0.0 and retries > 0
            if not dead and not _misses(settings, flow, total, retries, loss[now, flow]):
                break
            retries += 1
            if settings.relabel_ns < 0.0 and 0 <= settings.retry_count < retries:
                outages[flow] = 3
                end[rank] = np.inf
                break
            outages[flow] = max(outages[flow], 2 if settings.relabel_ns < 0.0 else 1)
            end[rank] += wait_ns
            if settings.doubling:
                wait_ns *= 2.0
            while bounds_ns[now + 1] <= end[rank]:
                now += 1


@njit(cache=True, nogil=True)
def _send(
    epochs, settings, flow, epoch, begin_ns, chunk_bytes, work_bytes, period_ns, outages, totals
):
    """Return when a chunk begun at `begin_ns` is sent, through changes of rate and outages."""
    bounds_ns, rate, latency_ns, reach_ns = epochs[:4]
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
