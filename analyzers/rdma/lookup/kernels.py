"""Finding a packet's queue pair, and pairing the two directions of a connection."""

import numpy as np
from numba import njit

from fabricscope.analyzers.flows.identity.kernels import mix, tunnel_key_of
from fabricscope.analyzers.rdma.layout import (
    CURSOR_SLOTS,
    NO_MESSAGE,
    PAIR_PATIENCE,
    PAIR_SCAN,
    QUEUE_SCAN,
    WINDOW_PSNS,
)
from fabricscope.analyzers.rdma.messages.kernels import drop_oldest
from fabricscope.analyzers.rdma.sequence.kernels import find_hole, psn_distance

_UD = 3
_CNP = 0x81


@njit(cache=True, nogil=True, _nrt=False)
def _host_hash(src_hi, src_lo, dst_hi, dst_lo, tunnel_key):
    return mix(mix(mix(mix(src_hi, src_lo), dst_hi), dst_lo), tunnel_key)


@njit(cache=True, nogil=True, _nrt=False)
def _same_hosts(qp, src_hi, src_lo, dst_hi, dst_lo, tunnel_key):
    return (
        qp.src_lo == src_lo
        and qp.dst_lo == dst_lo
        and qp.src_hi == src_hi
        and qp.dst_hi == dst_hi
        and qp.tunnel_key == tunnel_key
    )


@njit(cache=True, nogil=True, _nrt=False)
def _head_of(state, src_hi, src_lo, dst_hi, dst_lo, tunnel_key):
    """Return the place in `pairs` of these two hosts: theirs, or the empty one to use."""
    mask = np.int64(state.pairs.size - 1)
    hashed = _host_hash(src_hi, src_lo, dst_hi, dst_lo, tunnel_key)
    place = np.int64(hashed & np.uint64(mask))
    while state.pairs[place] != 0:
        qp = state.qps[state.pairs[place] - 1]
        if _same_hosts(qp, src_hi, src_lo, dst_hi, dst_lo, tunnel_key):
            break
        place = (place + 1) & mask
    return place


@njit(cache=True, nogil=True, _nrt=False)
def _open(state, packets, i, tunnel_key, source_qp, flow):
    slot = state.cursor[CURSOR_SLOTS]
    if slot >= state.qps.size:
        state.counters[0] += 1
        return np.int64(-1)
    state.cursor[CURSOR_SLOTS] = slot + 1
    qp = state.qps[slot]
    qp.src_hi = packets.src_hi[i]
    qp.src_lo = packets.src_lo[i]
    qp.dst_hi = packets.dst_hi[i]
    qp.dst_lo = packets.dst_lo[i]
    qp.tunnel_key = tunnel_key
    qp.dest_qp = packets.dest_qp[i]
    qp.source_qp = source_qp
    qp.paired = -1
    qp.first_ns = packets.time_ns[i]
    qp.service = 255 if packets.opcode[i] == _CNP else packets.opcode[i] >> 5
    qp.transport = packets.protocol[i]
    qp.open_operation = NO_MESSAGE
    qp.head = -1
    qp.tail = -1
    qp.first_frame = packets.frame[i]
    qp.flow = flow
    qp.udp_port = packets.src_port[i]
    qp.tap = packets.tap[i]
    place = _head_of(state, qp.src_hi, qp.src_lo, qp.dst_hi, qp.dst_lo, tunnel_key)
    qp.pair_next = state.pairs[place] - 1
    state.pairs[place] = slot + 1
    return slot


@njit(cache=True, nogil=True, _nrt=False)
def _key_hash(hosts, source_qp, dest_qp):
    return mix(hosts, (np.uint64(source_qp) << np.uint64(32)) | np.uint64(dest_qp))


@njit(cache=True, nogil=True, _nrt=False)
def move_slots(state, moved):
    """Move each direction to its new slot, forget those without one, and fill the empty indexes.

    moved: (slots) int64, the new slot of each, which is none behind its own; -1: forgotten.
    """
    kept = np.int64(0)
    for slot in range(state.cursor[CURSOR_SLOTS]):
        qp = state.qps[slot]
        new = moved[slot]
        if new < 0:
            while qp.head >= 0:
                drop_oldest(qp, state.queue, state.queue_free, state.cursor)
            continue
        kept = new + 1
        if qp.paired >= 0:
            qp.paired = moved[qp.paired]
        if new != slot:
            state.qps[new] = state.qps[slot]
            state.trackers[2 * new] = state.trackers[2 * slot]
            state.trackers[2 * new + 1] = state.trackers[2 * slot + 1]
    state.cursor[CURSOR_SLOTS] = kept
    mask = np.int64(state.index.size - 1)
    for slot in range(kept):
        qp = state.qps[slot]
        place = _head_of(state, qp.src_hi, qp.src_lo, qp.dst_hi, qp.dst_lo, qp.tunnel_key)
        qp.pair_next = state.pairs[place] - 1
        state.pairs[place] = slot + 1
        hosts = _host_hash(qp.src_hi, qp.src_lo, qp.dst_hi, qp.dst_lo, qp.tunnel_key)
        place = np.int64(_key_hash(hosts, qp.source_qp, qp.dest_qp) & np.uint64(mask))
        while state.index[place] != 0:
            place = (place + 1) & mask
        state.index[place] = slot + 1


@njit(cache=True, nogil=True, _nrt=False)
def find_queue_pair(state, packets, i, flow, side):
    """Return the slot of packet `i`'s direction, opened if it is new; -1 when the table is full.

    flow, side: what the flow table found; the queue pair seen there last is tried first.
    """
    dest_qp = packets.dest_qp[i]
    source_qp = np.uint32(0)
    if packets.opcode[i] >> 5 == _UD:
        source_qp = packets.source_qp[i]
    tunnel_key = np.uint64(0)
    if packets.tunnel_kinds[i] != 0:
        tunnel_key = tunnel_key_of(
            packets.tunnel_kinds[i], packets.tunnel_ids_low[i], packets.tunnel_ids_high[i]
        )
    src_hi = packets.src_hi[i]
    src_lo = packets.src_lo[i]
    dst_hi = packets.dst_hi[i]
    dst_lo = packets.dst_lo[i]
    hint = np.int64(2 * flow + side)
    if flow >= 0:
        slot = np.int64(state.hints[hint]) - 1
        if slot >= 0:
            qp = state.qps[slot]
            if (
                qp.dest_qp == dest_qp
                and qp.source_qp == source_qp
                and _same_hosts(qp, src_hi, src_lo, dst_hi, dst_lo, tunnel_key)
            ):
                return slot
    mask = np.int64(state.index.size - 1)
    hashed = _host_hash(src_hi, src_lo, dst_hi, dst_lo, tunnel_key)
    place = np.int64(_key_hash(hashed, source_qp, dest_qp) & np.uint64(mask))
    while state.index[place] != 0:
        slot = np.int64(state.index[place]) - 1
        qp = state.qps[slot]
        if (
            qp.dest_qp == dest_qp
            and qp.source_qp == source_qp
            and _same_hosts(qp, src_hi, src_lo, dst_hi, dst_lo, tunnel_key)
        ):
            if flow >= 0:
                state.hints[hint] = slot + 1
            return slot
        place = (place + 1) & mask
    slot = _open(state, packets, i, tunnel_key, source_qp, flow)
    if slot >= 0:
        state.index[place] = slot + 1
        if flow >= 0:
            state.hints[hint] = slot + 1
    return slot


@njit(cache=True, nogil=True, _nrt=False)
def _expects(qp, tracker, queue, psn, nak):
    """Return how well an answer with `psn` fits direction `qp`, and since when it waits.

    2: it awaits an answer to just this PSN (or misses it, for a NAK); 1: the PSN was sent and not
    acknowledged yet; 0: it has nothing to do with it.
    """
    behind = -psn_distance(psn, tracker.next)
    sent = 0 < behind <= WINDOW_PSNS and (qp.acked_any == 0 or psn_distance(psn, qp.last_acked) > 0)
    if nak:
        if find_hole(tracker, psn) >= 0:
            return 2, qp.last_data_ns
        return (1, qp.last_data_ns) if sent else (0, np.int64(0))
    entry = np.int64(qp.head)
    for _ in range(QUEUE_SCAN):
        if entry < 0:
            break
        waiting = queue[entry]
        if waiting.psn == psn:
            return 2, waiting.time_ns
        entry = np.int64(waiting.next)
    return (1, qp.last_data_ns) if sent and qp.queued > 0 else (0, np.int64(0))


@njit(cache=True, nogil=True, _nrt=False)
def pair_directions(state, one, other):
    """Declare two slots to be the two directions of one connection."""
    state.qps[one].paired = other
    state.qps[other].paired = one


@njit(cache=True, nogil=True, _nrt=False)
def answered_direction(state, slot, psn, nak):
    """Return the slot whose data an answer with `psn` seen on `slot` is about, -1 if unknown.

    A known pair is used. Else the unpaired directions between the same hosts the other way are
    tried: the only one that fits best makes a pair; of several the one that has waited longest is
    used for this answer only. Where nothing ever fits, fewer and fewer answers are tried.
    """
    qp = state.qps[slot]
    if qp.paired >= 0:
        return np.int64(qp.paired)
    if qp.acks_unmatched > PAIR_PATIENCE and qp.acks_unmatched & (PAIR_PATIENCE - 1) != 0:
        return np.int64(-1)
    place = _head_of(state, qp.dst_hi, qp.dst_lo, qp.src_hi, qp.src_lo, qp.tunnel_key)
    candidate = np.int64(state.pairs[place]) - 1
    best = np.int64(-1)
    best_fit = 0
    best_ns = np.int64(0)
    matches = 0
    for _ in range(PAIR_SCAN):
        if candidate < 0:
            break
        other = state.qps[candidate]
        if other.paired < 0:
            fit, since = _expects(other, state.trackers[2 * candidate], state.queue, psn, nak)
            if fit > best_fit:
                matches = 0
                best = np.int64(-1)
                best_fit = fit
            if fit == best_fit and fit > 0:
                matches += 1
                if best < 0 or since < best_ns:
                    best = candidate
                    best_ns = since
        candidate = np.int64(other.pair_next)
    if matches == 1:
        pair_directions(state, slot, best)
    elif matches > 1:
        state.counters[2] += 1
    return best
