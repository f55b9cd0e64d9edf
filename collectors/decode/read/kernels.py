"""Big-endian loads from a byte view.

The caller has checked that the bytes are there. Indexes are made unsigned, so that Numba leaves
out the test for negative indexes and LLVM merges the byte loads into one load and a byte swap.
Results are int64; the 64-bit load returns the bit pattern.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, _nrt=False)
def u8(view, offset):
    """Return the byte at `offset` of `view` (uint8, 1-D) as int64."""
    return np.int64(view[np.uint64(offset)])


@njit(cache=True, nogil=True, _nrt=False)
def be16(view, offset):
    """Return 16 bits at `offset` of `view` (uint8, 1-D), big-endian, as int64."""
    at = np.uint64(offset)
    return (np.int64(view[at]) << 8) | np.int64(view[at + np.uint64(1)])


@njit(cache=True, nogil=True, _nrt=False)
def le16(view, offset):
    """Return 16 bits at `offset` of `view` (uint8, 1-D), little-endian, as int64."""
    at = np.uint64(offset)
    return np.int64(view[at]) | (np.int64(view[at + np.uint64(1)]) << 8)


@njit(cache=True, nogil=True, _nrt=False)
def be32(view, offset):
    """Return 32 bits at `offset` of `view` (uint8, 1-D), big-endian, as int64."""
    at = np.uint64(offset)
    return (
        (np.int64(view[at]) << 24)
        | (np.int64(view[at + np.uint64(1)]) << 16)
        | (np.int64(view[at + np.uint64(2)]) << 8)
        | np.int64(view[at + np.uint64(3)])
    )


@njit(cache=True, nogil=True, _nrt=False)
def be64(view, offset):
    """Return 64 bits at `offset` of `view` (uint8, 1-D), big-endian, as an int64 bit pattern."""
    at = np.uint64(offset)
    return (
        (np.int64(view[at]) << 56)
        | (np.int64(view[at + np.uint64(1)]) << 48)
        | (np.int64(view[at + np.uint64(2)]) << 40)
        | (np.int64(view[at + np.uint64(3)]) << 32)
        | (np.int64(view[at + np.uint64(4)]) << 24)
        | (np.int64(view[at + np.uint64(5)]) << 16)
        | (np.int64(view[at + np.uint64(6)]) << 8)
        | np.int64(view[at + np.uint64(7)])
    )
