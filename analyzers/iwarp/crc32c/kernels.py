"""The CRC32c loop, eight bytes a step, and its tables."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

POLYNOMIAL = 0x82F63B78  # Castagnoli, bit-reversed: RFC 3385


def make_tables() -> NDArray[np.int64]:
    """Return the (8, 256) tables: row k advances a byte through k further zero bytes."""
    tables = np.zeros((8, 256), np.int64)
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = (register >> 1) ^ (POLYNOMIAL if register & 1 else 0)
        tables[0, byte] = register
    for row in range(1, 8):
        previous = tables[row - 1]
        tables[row] = (previous >> 8) ^ tables[0, previous & 0xFF]
    return tables


@njit(cache=True, nogil=True)
def crc32c_update(
    tables: NDArray[np.int64], view: NDArray[np.uint8], start: int, stop: int, register: int
) -> int:
    """Return the register after the bytes `view[start:stop]`.

    Begin with 0xFFFFFFFF and invert the last value. `tables` is (8, 256) int64 of `make_tables`,
    `view` uint8 of the caller.
    """
    at = start
    while at + 8 <= stop:
        word = register ^ (
            np.int64(view[at])
            | np.int64(view[at + 1]) << 8
            | np.int64(view[at + 2]) << 16
            | np.int64(view[at + 3]) << 24
        )
        register = (
            tables[7, word & 0xFF]
            ^ tables[6, (word >> 8) & 0xFF]
            ^ tables[5, (word >> 16) & 0xFF]
            ^ tables[4, word >> 24]
            ^ tables[3, view[at + 4]]
            ^ tables[2, view[at + 5]]
            ^ tables[1, view[at + 6]]
            ^ tables[0, view[at + 7]]
        )
        at += 8
    while at < stop:
        register = (register >> 8) ^ tables[0, (register ^ np.int64(view[at])) & 0xFF]
        at += 1
    return register
