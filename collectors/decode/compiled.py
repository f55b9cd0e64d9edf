"""How the decoding kernels are compiled; the kernels themselves are in the `kernels.py` files."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# Without the reference counting of arrays that are handed from kernel to kernel: it takes as long
# as decoding does. A kernel compiled so cannot allocate.
OPTIONS: Final[dict[str, Any]] = {"cache": True, "nogil": True, "_nrt": False}


def kernel(function: Kernel) -> Kernel:
    """Compile a kernel that allocates nothing."""
    compiled: Kernel = njit(**OPTIONS)(function)
    return compiled


def inlined(function: Kernel) -> Kernel:
    """Compile a kernel that allocates nothing and becomes part of each kernel that calls it."""
    compiled: Kernel = njit(**OPTIONS, inline="always")(function)
    return compiled
