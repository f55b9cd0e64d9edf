"""Integers of either byte order."""

import numpy as np
import pytest

from fabricscope.collectors.capture.read.kernels import load_u16, load_u32

NASTY = bytes.fromhex("00 01 7f 80 ff fe ff ff ff ff 00 00 80 00 00 00")


@pytest.mark.parametrize(("big_endian", "order"), [(None, "little"), (True, "big")])
def test_loads_agree_with_python(big_endian: bool | None, order: str) -> None:
    view = np.frombuffer(NASTY, np.uint8)
    for at in range(len(NASTY) - 3):
        assert load_u32(view, at, big_endian) == int.from_bytes(NASTY[at : at + 4], order)
        assert load_u16(view, at, big_endian) == int.from_bytes(NASTY[at : at + 2], order)
