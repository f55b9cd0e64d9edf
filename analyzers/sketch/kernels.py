"""The bucket rule of the percentile sketches, 8 buckets an octave.

A value v >= 16 falls in octave o = floor(log2 v), bucket (o - 3) * 8 + its next three bits;
smaller values are counted by halves in buckets 0 to 7. A bucket is an eighth of its octave wide:
a percentile read from the middle of one is at most 6.25 % off.
"""

import numpy as np
from numba import njit

_OCTAVE_BITS = 49  # of a float64: what is left of the mantissa below its three highest bits
_OCTAVE_OFFSET = (1023 + 3) << 3


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def bucket_of(value, buckets):
    """Return the bucket (int64) of an int64 `value` (negative: bucket 0), at most `buckets` - 1."""
    if value < 16:
        return np.int64(max(value, 0) >> 1)
    bits = np.float64(value).view(np.int64)
    return min((bits >> _OCTAVE_BITS) - _OCTAVE_OFFSET, np.int64(buckets - 1))
