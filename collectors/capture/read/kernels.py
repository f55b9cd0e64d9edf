"""Loads of single integers from the bytes of a capture, in either byte order."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


@njit(cache=True, nogil=True)
def load_u32(view: Bytes, at: int, big_endian: bool) -> int:
    """Return the unsigned 32-bit integer at offset `at` as int64."""
    a = np.int64(view[at])
    b = np.int64(view[at + 1])
    c = np.int64(view[at + 2])
    d = np.int64(view[at + 3])
    if big_endian:
        return int((a << 24) | (b << 16) | (c << 8) | d)
    return int((d << 24) | (c << 16) | (b << 8) | a)


@njit(cache=True, nogil=True)
def load_u16(view: Bytes, at: int, big_endian: bool) -> int:
    """Return the unsigned 16-bit integer at offset `at` as int64."""
    a = np.int64(view[at])
    b = np.int64(view[at + 1])
    if big_endian:
        return int((a << 8) | b)
    return int((b << 8) | a)
