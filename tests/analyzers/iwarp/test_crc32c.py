"""CRC32c against the bitwise twin, whole and in pieces."""

import random

import numpy as np

from fabricscope.analyzers.iwarp.crc32c.kernels import crc32c_update, make_tables
from reference.iwarp import crc32c


def test_check_value() -> None:
    view = np.frombuffer(b"123456789", np.uint8)
    assert crc32c_update(make_tables(), view, 0, 9, 0xFFFFFFFF) ^ 0xFFFFFFFF == 0xE3069283


def test_agrees_with_the_twin_in_pieces() -> None:
    rng = random.Random(4)
    tables = make_tables()
    for size in [*range(40), 100, 1000]:
        data = bytes(3) + rng.randbytes(size)
        view = np.frombuffer(data, np.uint8)
        cut = rng.randrange(3, size + 4)
        register = crc32c_update(tables, view, 3, cut, 0xFFFFFFFF)
        register = crc32c_update(tables, view, cut, size + 3, register)
        assert register ^ 0xFFFFFFFF == crc32c(data[3:])
