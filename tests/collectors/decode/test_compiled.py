"""What the decorators of the decoding kernels leave out."""

import numba
import numpy as np
import pytest

from fabricscope.collectors.decode.compiled import inlined, kernel


@inlined
def first(view):
    return np.int64(view[0])


@kernel
def total(view):
    return first(view) + first(view[1:])


def test_arrays_are_not_counted() -> None:
    assert total(np.array([3, 4], np.uint8)) == 7
    if numba.config.DISABLE_JIT:
        pytest.skip("needs compiled kernels")
    assert "NRT_" not in "".join(total.inspect_llvm().values())
