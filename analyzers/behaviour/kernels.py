"""The kernel of behaviour: one pass over a batch that advances each flow's activity.

State arrays are those of `layout.ActivityState`. Only packets with payload count: acknowledgements
follow the data. What is not here: features and verdicts, which are worked out at the end.
"""

import numpy as np
from numba import njit

from fabricscope.analyzers.behaviour.layout import (
    BURST_GAPS_NS,
    CURSOR_FREE_SERIES,
    CURSOR_WITHOUT_SERIES,
    LEVELS,
    SERIES_AFTER_PACKETS,
    SERIES_BINS,
    SERIES_SHIFT,
)

_TCP = 6
_SHORTEST_GAP_NS = BURST_GAPS_NS[0]


@njit(cache=True, nogil=True, _nrt=False)
def _fold(activity, bins):
    """Make each bin twice as wide; bins stay on the epoch's grid, so series can be compared."""
    odd = activity.series_base & 1
    for place in range(SERIES_BINS):
        value = bins[place]
        bins[place] = 0
        bins[(place + odd) >> 1] += value
    activity.series_base >>= 1
    activity.series_shift += 1


@njit(cache=True, nogil=True, _nrt=False)
def _add_to_series(activity, bins, now, size):
    """Count `size` bytes in the bin (int64) of `now`; earlier times fall in the first bin."""
    place = (now >> np.int64(activity.series_shift)) - activity.series_base
    while place >= SERIES_BINS:
        _fold(activity, bins)
        place = (now >> np.int64(activity.series_shift)) - activity.series_base
    bins[max(place, 0)] += size


@njit(cache=True, nogil=True, _nrt=False)
def _begin(activity, now, side):
    """Take the first packet with payload: all bursts begin here."""
    activity.first_ns = now
    activity.last_ns = now
    activity.side = side
    for level in range(LEVELS):
        activity.burst_start_ns[level] = now


@njit(cache=True, nogil=True, _nrt=False)
def _end_bursts(activity, now, gap):
    """End the bursts of all levels for which `gap` (ns) is a silence; new ones begin at `now`."""
    for level in range(LEVELS):
        if gap < BURST_GAPS_NS[level]:
            break
        size = np.float64(activity.payload_bytes - activity.burst_before[level])
        interval = np.float64(now - activity.burst_start_ns[level])
        activity.bursts[level] += 1
        activity.burst_square_sum[level] += size * size
        activity.burst_active_ns[level] += activity.last_ns - activity.burst_start_ns[level]
        activity.interval_square_sum[level] += interval * interval
        activity.burst_start_ns[level] = now
        activity.burst_before[level] = activity.payload_bytes


@njit(cache=True, nogil=True, _nrt=False)
def _follow_sequence(activity, side, sequence, size):
    """Count a TCP segment that brings nothing beyond the furthest byte seen."""
    end = np.uint32((np.int64(sequence) + size) & 0xFFFFFFFF)
    ahead = np.int64(end) - np.int64(activity.sequence[side])
    ahead = ((ahead + 0x80000000) & 0xFFFFFFFF) - 0x80000000
    if activity.tcp_any[side] == 0 or ahead > 0:
        activity.tcp_any[side] = 1
        activity.sequence[side] = end
    else:
        activity.repeated += 1


@njit(cache=True, nogil=True, _nrt=False)
def follow_activity(state, time_ns, payload_length, ip_protocol, tcp_seq, flow, side):
    """Advance the activity of the flows of a batch.

    time_ns int64, payload_length uint32, ip_protocol uint8, tcp_seq uint32: columns of the
    packets; flow int64 (slot, -1 for none), side uint8: as `FlowTable.update` wrote them.
    `state` is written.
    """
    series = state.series
    cursor = state.cursor
    for i in range(time_ns.size):
        slot = flow[i]
        size = np.int64(payload_length[i])
        if slot < 0 or size == 0:
            continue
        activity = state.flows[slot]
        now = time_ns[i]
        who = np.int64(side[i])
        if activity.packets == 0:
            _begin(activity, now, who)
        gap = now - activity.last_ns
        if who != activity.side:
            activity.side = who
            activity.answers[who] += 1
            activity.answer_ns[who] += max(gap, 0)
        if gap >= _SHORTEST_GAP_NS:
            _end_bursts(activity, now, gap)
        if ip_protocol[i] == _TCP:
            _follow_sequence(activity, who, tcp_seq[i], size)
        activity.packets += 1
        activity.payload_bytes += size
        if gap > 0:
            activity.last_ns = now
        row = np.int64(activity.series) - 1
        if row >= 0:
            _add_to_series(activity, series[row], now, size)
        elif activity.packets == SERIES_AFTER_PACKETS:
            if cursor[CURSOR_FREE_SERIES] == 0:
                cursor[CURSOR_WITHOUT_SERIES] += 1
                continue
            cursor[CURSOR_FREE_SERIES] -= 1
            row = np.int64(state.free_series[cursor[CURSOR_FREE_SERIES]])
            activity.series = row + 1
            activity.series_shift = SERIES_SHIFT
            activity.series_base = activity.first_ns >> SERIES_SHIFT
            # What came before stands in the first bin: at most fifteen packets.
            series[row, 0] = activity.payload_bytes - size
            _add_to_series(activity, series[row], now, size)


@njit(cache=True, nogil=True, _nrt=False)
def forget(state, slots):
    """Give back the series of the flows in `slots` (int64) and mark them as not seen yet."""
    for slot in slots:
        activity = state.flows[slot]
        row = np.int64(activity.series) - 1
        if row >= 0:
            for place in range(SERIES_BINS):
                state.series[row, place] = 0
            state.free_series[state.cursor[CURSOR_FREE_SERIES]] = row
            state.cursor[CURSOR_FREE_SERIES] += 1
        activity.payload_bytes = 0
        activity.packets = 0
        activity.repeated = 0
        activity.series = 0
        for way in range(2):
            activity.answer_ns[way] = 0
            activity.answers[way] = 0
            activity.tcp_any[way] = 0
        for level in range(LEVELS):
            activity.bursts[level] = 0
            activity.burst_before[level] = 0
            activity.burst_square_sum[level] = 0.0
            activity.burst_active_ns[level] = 0
            activity.interval_square_sum[level] = 0.0
