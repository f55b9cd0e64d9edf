"""State arrays and limits of the tap analyzer; nothing here computes."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_TAPS: Final = 64
"""Taps told apart: one bit each in an entry's mask. What comes later shares the last index."""
LOSS_TAPS: Final = 16
"""Taps, in order of appearance, for which losses are judged."""
LOSS_FLOWS: Final = 8_192
"""Flow directions for which losses are judged; packets of later ones are counted as unjudged."""
EXAMPLES: Final = 4
"""Frames kept as examples for each flow direction and tap."""
WINDOW_NS: Final = 10_000_000_000
"""Longest distance in corrected time between two sightings of one packet."""
PROXIMITY_NS: Final = 1_000_000
"""Sightings nearer than this pair in order of arrival, farther ones with the nearest in time."""
REMEMBERED_PACKETS: Final = 1 << 19
"""Distinct packets that are remembered; 72 bytes each, with their place in the index."""
MAX_STEPS: Final = 512
"""Entries looked at for one packet, so that equal packets cannot make a search long."""
SHORT_RUN: Final = 32
"""A gap at the start or the end of a flow is a loss up to this many packets, else an absence."""
PAYLOAD_BYTES: Final = 16
"""Payload bytes that tell packets without a transport sequence number apart."""

# Bits of a packet's kind --------------------------------------------------------------------
KIND_RELIABLE: Final = 1  # carries a sequence number that a sender would send again
KIND_UNSURE: Final = 2  # headers were cut by the snap length: another tap may know more
KIND_PAYLOAD_CUT: Final = 4  # payload bytes were wanted and not captured
KIND_TCP: Final = 8

ENTRY_DTYPE: Final = np.dtype(
    [
        ("key", np.uint64),  # what a packet and its retransmissions share
        ("mask", np.uint64),  # bit per tap that saw it
        ("time_ns", np.int64),  # first sighting
        ("before", np.int64),  # 1 + number of the entry before it in its bucket; 0: none
        ("frame", np.int64),  # at the tap that saw it first
        ("variant", np.uint32),  # what tells it from its retransmissions
        ("flow", np.int32),  # index into the arrays below; -1: not judged
        ("payload_length", np.uint32),
        ("tap", np.uint16),
        ("kind", np.uint8),
        ("resent", np.uint8),  # 1 when the sender sent it again
    ],
    align=True,
)
"""A distinct packet."""


class Totals(NamedTuple):
    """Columns of `State.totals`, int64."""

    next_entry: int = 0  # number of entries made so far
    retired: int = 1  # number of entries that are booked and forgotten
    forced_out: int = 2  # entries retired before the window had passed
    shortest_memory_ns: int = 3  # least age of such an entry; -1: none
    flows: int = 4
    unjudged: int = 5  # distinct packets of flows beyond LOSS_FLOWS
    cut_searches: int = 6  # searches that ended at MAX_STEPS


TOTALS: Final = Totals()


class State(NamedTuple):
    """Everything the marking kernel remembers; T is MAX_TAPS, L LOSS_TAPS, F LOSS_FLOWS."""

    entries: NDArray[np.void]  # ENTRY_DTYPE, a ring in order of first sighting
    heads: NDArray[np.int64]  # 1 + number of the newest entry of a bucket
    totals: NDArray[np.int64]  # see Totals
    packets: NDArray[np.int64]  # T: records
    duplicates: NDArray[np.int64]  # T: records already seen at another tap
    first_ns: NDArray[np.int64]  # T: earliest record
    last_ns: NDArray[np.int64]  # T: latest record
    flow_hashes: NDArray[np.uint64]  # 2 F: open addressing; 0 is free
    flow_indexes: NDArray[np.int32]  # 2 F
    seen: NDArray[np.int64]  # F x L: distinct packets seen
    shared: NDArray[np.uint64]  # F x L: taps that ever shared a packet of the flow with this one
    largest: NDArray[np.int64]  # F x L: largest TCP payload, bytes
    run: NDArray[np.int64]  # F x L: packets missed since the last one seen
    run_resent: NDArray[np.int64]  # F x L: of these, sent again
    run_witnesses: NDArray[np.uint64]  # F x L: taps that saw those
    lost: NDArray[np.int64]  # F x L: packets missed between packets seen
    lost_resent: NDArray[np.int64]  # F x L: of these, sent again
    absent: NDArray[np.int64]  # F x L: missed, but the flow was somewhere else
    examples: NDArray[np.int64]  # F x L x EXAMPLES: frame * MAX_TAPS + tap that saw it
    example_counts: NDArray[np.int64]  # F x L


def allocate_state(remembered_packets: int = REMEMBERED_PACKETS) -> State:
    """Return empty state for a power of two of remembered packets."""
    if remembered_packets < 2 or remembered_packets & (remembered_packets - 1):
        raise ValueError("remembered_packets must be a power of two")
    totals = np.zeros(len(TOTALS), np.int64)
    totals[TOTALS.shortest_memory_ns] = -1
    flows = (LOSS_FLOWS, LOSS_TAPS)
    return State(
        entries=np.zeros(remembered_packets, ENTRY_DTYPE),
        heads=np.zeros(2 * remembered_packets, np.int64),
        totals=totals,
        packets=np.zeros(MAX_TAPS, np.int64),
        duplicates=np.zeros(MAX_TAPS, np.int64),
        first_ns=np.zeros(MAX_TAPS, np.int64),
        last_ns=np.zeros(MAX_TAPS, np.int64),
        flow_hashes=np.zeros(2 * LOSS_FLOWS, np.uint64),
        flow_indexes=np.zeros(2 * LOSS_FLOWS, np.int32),
        seen=np.zeros(flows, np.int64),
        shared=np.zeros(flows, np.uint64),
        largest=np.zeros(flows, np.int64),
        run=np.zeros(flows, np.int64),
        run_resent=np.zeros(flows, np.int64),
        run_witnesses=np.zeros(flows, np.uint64),
        lost=np.zeros(flows, np.int64),
        lost_resent=np.zeros(flows, np.int64),
        absent=np.zeros(flows, np.int64),
        examples=np.zeros((*flows, EXAMPLES), np.int64),
        example_counts=np.zeros(flows, np.int64),
    )
