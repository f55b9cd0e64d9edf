"""Which message each acknowledgement ends, by its PSN, and which messages only ACKs tell of."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.layout import KIND_ACK

MAX_UNANSWERED: Final = 64
"""Messages of a queue pair under way at once, among which an ACK finds the one it ends."""


def answered_rows(
    transfers: NDArray[np.void], channels: NDArray[np.void], qps: NDArray[np.void]
) -> tuple[NDArray[np.int64], int]:
    """Return the row of the message that each row's ACK is in, and how many ACKs are for none.

    transfers: TRANSFER_DTYPE (n,) in order of start; channels: CHANNEL_DTYPE; qps: QP_DTYPE by
    slot. Rows that are no ACK, and ACKs whose message the tap has not seen, have -1. Of the latter
    those are counted that are ahead of all that the queue pair was seen to send: the mirror missed
    that, and nothing later on the queue pair shows the hole.
    """
    found = np.full(len(transfers), -1, np.int64)
    slots = channels["qp"].astype(np.int64)
    carrier = np.full(len(qps) + 1, -1, np.int64)
    carrier[slots] = np.arange(len(channels))
    number = transfers["channel"].astype(np.int64)
    is_ack = transfers["kind"] == KIND_ACK
    psn = transfers["psn"].astype(np.int64)
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(len(channels) + 1))
    ahead = 0
    for channel in np.unique(number[is_ack]).tolist():
        other = carrier[qps["paired"][slots[channel]]]
        if other < 0:
            continue
        own = order[bounds[channel] : bounds[channel + 1]]
        acks = own[is_ack[own]]
        data = order[bounds[other] : bounds[other + 1]]
        data = data[~is_ack[data]]
        if not data.size:
            continue
        place = np.searchsorted(transfers["start_ns"][data], transfers["end_ns"][acks]) - 1
        beyond = (place >= 0) & _is_behind(psn[acks], psn[data[place]])
        ahead += int(beyond.sum())
        for _ in range(MAX_UNANSWERED):
            earlier = (place > 0) & ~_is_behind(psn[acks], psn[data[np.maximum(place - 1, 0)]])
            if not earlier.any():
                break
            place[earlier] -= 1
        known = (place >= 0) & ~beyond
        found[acks[known]] = data[place[known]]
    return found, ahead


def _is_behind(psn: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which PSNs come after others in the order of 24-bit numbers."""
    distance = (psn - other) & 0xFFFFFF
    return (distance > 0) & (distance < 0x800000)
