"""Copies of captured bytes."""

import numpy as np

from fabricscope.analyzers.taps.copying.kernels import copy_column, copy_rows
from reference.taps_traffic import frozen, rows


def test_copies_a_column() -> None:
    target = np.zeros(5, np.uint16)
    column = np.array([5, 6, 7], np.uint16)
    copy_column(column, np.array([2, 0]), np.array([1, 4]), target)
    assert target.tolist() == [0, 7, 0, 0, 5]


def test_copies_chosen_rows_and_moves_offsets() -> None:
    view = frozen(bytes(range(100)))
    packets = rows(4)
    packets.packet_offset[:] = [0, 10, 90, -5]
    packets.payload_offset[:] = [4, 16, 120, -1]
    packets.captured_length[:] = [10, 50, 30, 8]
    merged = rows(4)
    arena = np.full(64, 255, np.uint8)
    order = np.array([2, 0, 1, 3])
    places = np.array([0, 1, 2, 3])
    offsets = np.array([0, 20, 30, 50])
    copy_rows(view, packets, order, places, 20, arena, merged, offsets)
    assert merged.captured_length.tolist() == [10, 10, 20, 0]
    assert merged.packet_offset.tolist() == [0, 20, 30, 50]
    assert merged.payload_offset.tolist() == [30, 24, 36, 54]
    assert arena[:10].tolist() == list(range(90, 100))
    assert arena[20:30].tolist() == list(range(10))
    assert arena[30:50].tolist() == list(range(10, 30))
    assert (arena[50:] == 255).all()
