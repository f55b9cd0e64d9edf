"""Pause time: sum over pause frames of min(quanta x 512 bit times, time to the next frame)."""

import numpy as np
from numba import njit

from fabricscope.records import FLAG_DUPLICATE, FLAG_HEADER_CUT, PROTOCOLS

_PAUSE = PROTOCOLS.index("pause")
_PFC = PROTOCOLS.index("pfc")
_CLASSIC = 8


@njit(cache=True, nogil=True)
def _settle(state, place, priority, now):
    """Add the pause under way to the total, as far as it lasted until `now`."""
    entry = state[place, priority]
    if entry.until_ns > entry.last_ns:
        entry.pause_ns += max(min(entry.until_ns, now) - entry.last_ns, 0)
    entry.until_ns = 0


@njit(cache=True, nogil=True)
def _apply(state, place, priority, now, quanta, bit_time_ns, frame):
    entry = state[place, priority]
    _settle(state, place, priority, now)
    if entry.frames == 0:
        entry.first_frame = frame
    entry.frames += 1
    entry.last_ns = now
    if quanta > 0:
        entry.xoff += 1
        entry.until_ns = now + np.int64(quanta * 512 * bit_time_ns)
    else:
        entry.xon += 1


@njit(cache=True, nogil=True)
def follow_pauses(view, packets, state, sources, counters, bit_time_ns):
    """Count the pause frames of a batch.

    view: uint8; state: records (sources, 9), the last column for classic PAUSE; sources: int64
    (n, 2) tap and MAC, counters int64: sources used, frames without a place; bit_time_ns float64.
    """
    for i in range(packets.time_ns.size):
        protocol = packets.protocol[i]
        if protocol != _PAUSE and protocol != _PFC:
            continue
        if packets.flags[i] & (FLAG_DUPLICATE | FLAG_HEADER_CUT):
            continue
        tap = np.int64(packets.tap[i])
        mac = np.int64(packets.src_lo[i])
        place = np.int64(-1)
        for k in range(counters[0]):
            if sources[k, 0] == tap and sources[k, 1] == mac:
                place = np.int64(k)
                break
        if place < 0:
            if counters[0] == sources.shape[0]:
                counters[1] += 1
                continue
            place = counters[0]
            counters[0] += 1
            sources[place, 0] = tap
            sources[place, 1] = mac
        now = packets.time_ns[i]
        frame = packets.frame[i]
        at = packets.payload_offset[i]
        left = packets.packet_offset[i] + np.int64(packets.captured_length[i]) - at
        if protocol == _PAUSE:
            if left >= 2:
                quanta = (np.int64(view[at]) << 8) | np.int64(view[at + 1])
                _apply(state, place, _CLASSIC, now, quanta, bit_time_ns, frame)
        elif left >= 18:
            enabled = np.int64(view[at + 1])
            for priority in range(8):
                if enabled & (1 << priority):
                    where = at + 2 + 2 * priority
                    quanta = (np.int64(view[where]) << 8) | np.int64(view[where + 1])
                    _apply(state, place, priority, now, quanta, bit_time_ns, frame)


@njit(cache=True, nogil=True)
def settle_pauses(state, used, now):
    """Close all pauses that are under way at the end of the capture."""
    for place in range(used):
        for priority in range(9):
            _settle(state, place, priority, now)
