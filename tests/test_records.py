import numpy as np
import pytest

from fabricscope import records
from fabricscope.records import (
    BATCH_ROWS,
    PACKET_DTYPES,
    PROTOCOLS,
    TUNNELS,
    Packets,
    allocate_packets,
    slice_packets,
)


def test_dtypes_are_listed_in_the_order_of_the_columns() -> None:
    assert tuple(name for name, _ in PACKET_DTYPES) == Packets._fields


@pytest.mark.parametrize("rows", [0, 1, 7, BATCH_ROWS])
def test_columns_are_zeroed_aligned_and_apart(rows: int) -> None:
    packets = allocate_packets(rows)
    for (name, dtype), column in zip(PACKET_DTYPES, packets, strict=True):
        assert column.dtype == np.dtype(dtype), name
        assert column.shape == (rows,)
        assert column.flags.c_contiguous
        assert column.flags.aligned
        assert column.flags.writeable
        assert not column.any()
    for number, column in enumerate(packets):
        column.fill(number + 1)
    for number, column in enumerate(packets):
        assert (column == number + 1).all(), "columns overlap"


def test_long_columns_begin_at_different_places_of_a_page() -> None:
    places = {column.ctypes.data % 4096 for column in allocate_packets(BATCH_ROWS)}
    assert len(places) > 10


def test_slices_are_views() -> None:
    packets = allocate_packets(10)
    part = slice_packets(packets, 2, 5)
    part.psn[:] = 9
    assert packets.psn.tolist() == [0, 0, 9, 9, 9, 0, 0, 0, 0, 0]
    assert part.time_ns.size == 3


def test_flags_are_single_bits_that_differ() -> None:
    flags = [value for name, value in vars(records).items() if name.startswith("FLAG_")]
    assert len(flags) == len(set(flags)) > 5
    assert all(value.bit_count() == 1 for value in flags)


def test_names_fit_their_columns() -> None:
    assert len(PROTOCOLS) == len(set(PROTOCOLS)) < 256
    assert len(TUNNELS) == len(set(TUNNELS)) < 256
    assert TUNNELS[0] == "none"
    assert all(name == name.lower() for name in PROTOCOLS + TUNNELS)
