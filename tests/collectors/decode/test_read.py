"""Big-endian loads."""

import numpy as np
import pytest

from fabricscope.collectors.decode.read.kernels import be16, be32, be64, le16, u8

NASTY = bytes.fromhex("00 01 7f 80 ff fe ff ff ff ff 00 00 80 00 00 00 ff")


@pytest.mark.parametrize(("load", "size"), [(u8, 1), (be16, 2), (be32, 4), (be64, 8)])
def test_loads_agree_with_python(load, size: int) -> None:
    view = np.frombuffer(NASTY, np.uint8)
    for at in range(len(NASTY) - size + 1):
        signed = size == 8
        assert int(load(view, at)) == int.from_bytes(NASTY[at : at + size], "big", signed=signed)


def test_little_endian() -> None:
    assert int(le16(np.frombuffer(b"\x01\xff", np.uint8), 0)) == 0xFF01
