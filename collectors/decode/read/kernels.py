"""Big-endian loads from a byte view.

The caller has checked that the bytes are there. Indexes are made unsigned, so that Numba leaves
out the test for negative indexes and LLVM merges the byte loads into one load and a byte swap.
Results are int64; the 64-bit load returns the bit pattern.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.decode.compiled import kernel


@kernel
def u8(view: NDArray[np.uint8], offset: int) -> Any:
    """Return the byte at `offset` of `view` (uint8, 1-D) as int64."""
    return np.int64(view[np.uint64(offset)])


@kernel
def be16(view: NDArray[np.uint8], offset: int) -> Any:
    """Return 16 bits at `offset` of `view` (uint8, 1-D), big-endian, as int64."""
    at = np.uint64(offset)
    return (np.int64(view[at]) << 8) | np.int64(view[at + np.uint64(1)])


@kernel
def le16(view: NDArray[np.uint8], offset: int) -> Any:
    """Return 16 bits at `offset` of `view` (uint8, 1-D), little-endian, as int64."""
    at = np.uint64(offset)
    return np.int64(view[at]) | (np.int64(view[at + np.uint64(1)]) << 8)


@kernel
def be32(view: NDArray[np.uint8], offset: int) -> Any:
    """Return 32 bits at `offset` of `view` (uint8, 1-D), big-endian, as int64."""
    at = np.uint64(offset)
    return (
        (np.int64(view[at]) << 24)
        | (np.int64(view[at + np.uint64(1)]) << 16)
        | (np.int64(view[at + np.uint64(2)]) << 8)
        | np.int64(view[at + np.uint64(3)])
    )


@kernel
def be64(view: NDArray[np.uint8], offset: int) -> Any:
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
