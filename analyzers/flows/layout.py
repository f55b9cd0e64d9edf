"""Memory layout of the flow table: record types and the constants that kernels and Python share."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FLOW_DTYPE: Final = np.dtype(
    [
        ("a_hi", "u8"),  # endpoint a: the sender of the flow's first packet (side 0)
        ("a_lo", "u8"),
        ("b_hi", "u8"),
        ("b_lo", "u8"),
        ("tunnel_key", "u8"),  # 0 outside tunnels; ERSPAN does not count: it is the mirror's own
        ("hash", "u8"),
        ("id", "i8"),  # running number of the flow, never reused; -1 marks a free slot
        ("first_ns", "i8"),
        ("last_ns", "i8"),
        ("first_frame", "i8"),
        ("tunnel_ids_low", "u8"),
        ("tunnel_ids_high", "u8"),
        ("tunnel_kinds", "u4"),
        ("sketch", "i4"),  # row pair in the sketch pool; -1: none was left
        ("a_port", "u2"),
        ("b_port", "u2"),
        ("tap", "u2"),
        ("vlan", "u2"),
        ("ip_protocol", "u1"),
        ("protocol", "u1"),  # index into PROTOCOLS
        ("dscp", "u1"),
        ("end", "u1"),  # END_*: why the record was closed
    ],
    align=True,
)

DIRECTION_DTYPE: Final = np.dtype(
    [
        ("packets", "i8"),
        ("bytes", "i8"),  # on the wire
        ("payload_bytes", "i8"),
        ("first_ns", "i8"),
        ("last_ns", "i8"),
        ("size_square_sum", "f8"),
        ("gap_square_sum", "f8"),  # ns squared
        ("gap_max_ns", "i8"),
        ("payload_packets", "i8"),
        ("size_min", "u4"),
        ("size_max", "u4"),
        ("ecn_marked", "u4"),
        ("truncated", "u4"),
        ("tcp_flags", "u1"),
    ],
    align=True,
)

COUNTERS: Final = (
    "packets",
    "wire_bytes",
    "captured_bytes",
    "truncated",
    "malformed",
    "header_cut",
    "duplicates",
    "too_deep",
    "fragments",
    "flows",
    "idle_closed",
    "active_closed",
    "evicted",
    "unassigned",
    "cnp",
    "first_ns",
    "last_ns",
    "out_of_time_order",
)
"""Names of the entries of `FlowState.counters`."""

SIZE_BUCKETS: Final = 96  # 8 an octave, from 16 bytes on
GAP_BUCKETS: Final = 288  # 8 an octave, from 16 ns on, to 2**39 ns
SKETCH_BUCKETS: Final = SIZE_BUCKETS + GAP_BUCKETS

END_OPEN: Final = 0
END_IDLE: Final = 1
END_ACTIVE: Final = 2
END_EVICTED: Final = 3

FRAGMENT_SLOTS: Final = 4_096


class FlowState(NamedTuple):
    """Everything the flow kernels read and write; owned by `FlowTable`.

    index: tag << 32 | slot + 1, 0 when empty; a power of two, at least twice the capacity.
    free: stack of free slots, `cursor[0]` of them; closed: slots closed in the current batch.
    cursor: free count, next flow id, sweep position, slots ever used, sketches used, closed count.
    """

    index: NDArray[np.int64]  # type: ignore[assignment]  # hides tuple.index, which nobody calls
    flows: NDArray[np.void]  # FLOW_DTYPE, one a slot
    directions: NDArray[np.void]  # DIRECTION_DTYPE, rows 2 * slot + side
    sketches: NDArray[np.uint32]  # rows 2 * sketch + side: sizes, then gaps
    free: NDArray[np.int32]
    free_sketches: NDArray[np.int32]
    closed: NDArray[np.int32]
    cursor: NDArray[np.int64]
    counters: NDArray[np.int64]
    protocols: NDArray[np.int64]  # packets by PROTOCOLS index
    link_types: NDArray[np.int64]  # packets by LINKTYPE, the last entry for all others
    packet_sizes: NDArray[np.int64]  # SIZE_BUCKETS, all distinct packets
    fragments: NDArray[np.uint64]  # rows: key, ports; direct mapped
    timeline: NDArray[np.int64]  # TIMELINE_BINS x (packets, wire bytes)
    timeline_scale: NDArray[np.int64]  # start_ns (or -1), shift: a bin is 2**shift ns


CURSOR_FREE: Final = 0
CURSOR_NEXT_ID: Final = 1
CURSOR_SWEEP: Final = 2
CURSOR_HIGH_WATER: Final = 3
CURSOR_FREE_SKETCHES: Final = 4
CURSOR_CLOSED: Final = 5
