"""The bucket rule of the percentile sketches, 8 buckets an octave.

A value v >= 16 falls in octave o = floor(log2 v), bucket (o - 3) * 8 + its next three bits;
smaller values are counted by halves in buckets 0 to 7. A bucket is an eighth of its octave wide:
a percentile read from the middle of one is at most 6.25 % off.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def bucket_of(value, buckets):
    """Return the bucket (int64) of a non-negative int64 `value`, at most `buckets` - 1."""
    v = np.int64(value)
    if v < 16:
        return np.int64(max(v, 0) >> 1)
    octave = np.int64(0)
    w = v
    if w >= np.int64(1) << 32:
        w >>= 32
        octave += 32
    if w >= np.int64(1) << 16:
        w >>= 16
        octave += 16
    if w >= np.int64(1) << 8:
        w >>= 8
        octave += 8
    if w >= np.int64(1) << 4:
        w >>= 4
        octave += 4
    if w >= np.int64(1) << 2:
        w >>= 2
        octave += 2
    if w >= np.int64(1) << 1:
        octave += 1
    bucket = (octave - 3) * 8 + ((v >> (octave - 3)) & 7)
    return min(bucket, buckets - 1)
