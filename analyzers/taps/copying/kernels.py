"""Copying of chosen rows: their columns, and their captured bytes into an arena; nothing else."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fabricscope.records import Packets


@njit(cache=True, nogil=True)
def copy_column(
    column: NDArray[Any], rows: NDArray[np.int64], places: NDArray[np.int64], target: NDArray[Any]
) -> None:
    """Copy `rows` of `column` to `places` of `target`, of the same dtype."""
    for index in range(rows.size):
        target[places[index]] = column[rows[index]]


@njit(cache=True, nogil=True)
def copy_rows(
    view: NDArray[np.uint8],
    packets: Packets,
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    limit_bytes: int,
    arena: NDArray[np.uint8],
    merged: Packets,
    offsets: NDArray[np.int64],
) -> None:
    """Copy the bytes of `rows` of `packets` and point rows `places` of `merged` at them.

    At most `limit_bytes` of a packet are copied, to `arena` from `offsets[place]` on.
    Writes `packet_offset`, `payload_offset` and `captured_length` of `merged`, no other column.
    """
    for index in range(rows.size):
        row = rows[index]
        place = places[index]
        source = packets.packet_offset[row]
        count = min(np.int64(packets.captured_length[row]), limit_bytes)
        count = max(np.int64(0), min(count, view.size - source)) if source >= 0 else np.int64(0)
        target = offsets[place]
        arena[target : target + count] = view[source : source + count]
        merged.packet_offset[place] = target
        merged.payload_offset[place] = target + packets.payload_offset[row] - source
        merged.captured_length[place] = count
