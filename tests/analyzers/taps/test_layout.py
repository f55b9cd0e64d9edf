"""State arrays."""

import pytest

from fabricscope.analyzers.taps.layout import ENTRY_DTYPE, REMEMBERED_PACKETS, allocate_state


def test_memory_is_bounded() -> None:
    assert ENTRY_DTYPE.itemsize == 56
    assert sum(column.nbytes for column in allocate_state(REMEMBERED_PACKETS)) < 64 << 20


@pytest.mark.parametrize("size", [0, 1, 3, 1_000])
def test_sizes_are_powers_of_two(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        allocate_state(size)
