"""Loads of single integers from the bytes of a capture, in either byte order.

`big_endian` is None for little-endian input and True for big-endian: two types, for which Numba
compiles two kernels, each without a test per load.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


@njit(cache=True, nogil=True)
def load_u32(view: Bytes, at: int, big_endian: bool | None) -> int:
    """Return the unsigned 32-bit integer at offset `at`, which must not be negative."""
    # Unsigned indexes spare Numba's test for negative ones: four loads then become one.
    first = np.uint64(at)
    a = np.int64(view[first])
    b = np.int64(view[first + np.uint64(1)])
    c = np.int64(view[first + np.uint64(2)])
    d = np.int64(view[first + np.uint64(3)])
    if big_endian is None:
        return int(d << 24 | c << 16 | b << 8 | a)
    return int(a << 24 | b << 16 | c << 8 | d)


@njit(cache=True, nogil=True)
def load_u16(view: Bytes, at: int, big_endian: bool | None) -> int:
    """Return the unsigned 16-bit integer at offset `at`, which must not be negative."""
    first = np.uint64(at)
    a = np.int64(view[first])
    b = np.int64(view[first + np.uint64(1)])
    if big_endian is None:
        return int(b << 8 | a)
    return int(a << 8 | b)
