"""What the decorators of the decoding kernels leave out."""

import warnings

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
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        code = "".join(total.inspect_llvm().values())
    if told:
        pytest.skip("loaded from the cache, which keeps no code to look at")
    assert "NRT_" not in code
