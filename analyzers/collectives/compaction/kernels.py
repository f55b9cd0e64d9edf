"""Joins transfers of a channel that follow each other closely, in the list that they are in."""

import numpy as np
from numba import njit

_KINDS = 4


@njit(cache=True, nogil=True, _nrt=False)
def join_neighbours(transfers, later, pause_ns):
    """Join transfers of a channel and kind that follow within `pause_ns`; return how many are left.

    transfers: layout.TRANSFER_DTYPE in order of their ends, changed in place: those left stand at
    the front, in order of their ends, with all bytes and packets. later: (channels * 4) int32
    working space. Going backwards, what is joined keeps the place of its last part, which is that
    of its end.
    """
    later[:] = -1
    place = transfers.shape[0]
    for row in range(transfers.shape[0] - 1, -1, -1):
        transfer = transfers[row]
        key = np.int64(transfer.channel) * _KINDS + transfer.kind
        behind = later[key]
        if behind >= 0 and transfers[behind].start_ns - transfer.end_ns <= pause_ns:
            joined = transfers[behind]
            joined.start_ns = min(joined.start_ns, transfer.start_ns)
            joined.bytes += transfer.bytes
            joined.packets += transfer.packets
            continue
        place -= 1
        transfers[place] = transfer
        later[key] = place
    kept = transfers.shape[0] - place
    for row in range(kept):
        transfers[row] = transfers[place + row]
    return kept
