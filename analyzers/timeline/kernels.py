"""Bins of 2**shift ns whose width doubles as time goes on, so that their number stays bounded."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, _nrt=False)
def bin_of(time_ns, timeline, scale):
    """Return the bin (int64) of `time_ns`, folding `timeline` in place when it is past the end.

    timeline: int64 (bins, series); scale: int64 (start_ns or -1, shift), both the caller's.
    Times before the start fall in bin 0.
    """
    bins = np.int64(timeline.shape[0])
    if scale[0] < 0:
        scale[0] = time_ns
    place = (time_ns - scale[0]) >> scale[1]
    if place < 0:
        return np.int64(0)
    while place >= bins:
        half = bins // 2
        for row in range(half):
            for series in range(timeline.shape[1]):
                timeline[row, series] = timeline[2 * row, series] + timeline[2 * row + 1, series]
        for row in range(half, bins):
            for series in range(timeline.shape[1]):
                timeline[row, series] = 0
        scale[1] += 1
        place = (time_ns - scale[0]) >> scale[1]
    return place
