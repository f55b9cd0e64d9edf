"""Memory layout of the activity of flows, and the constants that kernel and Python share."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

BURST_GAPS_NS: Final = (100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
"""Silences that end a burst, one a level: bursts are counted at all five, from packet trains to
the steps of a job, and the clearest level is read at the end."""
LEVELS: Final = len(BURST_GAPS_NS)

SERIES_BINS: Final = 128
SERIES_SHIFT: Final = 10  # a bin is 2**10 ns wide at first
SERIES_AFTER_PACKETS: Final = 16  # shorter flows get no series

ACTIVITY_DTYPE: Final = np.dtype(
    [
        ("first_ns", "i8"),  # first packet with payload
        ("last_ns", "i8"),  # last one
        ("payload_bytes", "i8"),  # both directions
        ("answer_ns", "i8", (2,)),  # sum of the silences that this side ended by answering
        ("answers", "i8", (2,)),  # times that this side took over from the other one
        ("series", "i4"),  # row of the series + 1, 0 for none
        ("series_shift", "i4"),
        ("series_base", "i8"),  # number of bin 0, counted from the epoch in bins
        ("packets", "i8"),  # with payload
        ("repeated", "i8"),  # TCP segments whose bytes were all sent before
        ("sequence", "u4", (2,)),  # TCP sequence number after the furthest byte seen
        ("tcp_any", "u1", (2,)),
        ("side", "u1"),  # of the last packet with payload
        ("bursts", "i8", (LEVELS,)),  # ended ones
        ("burst_start_ns", "i8", (LEVELS,)),
        ("burst_before", "i8", (LEVELS,)),  # payload bytes before the burst under way
        ("burst_square_sum", "f8", (LEVELS,)),  # of the bytes of ended bursts
        ("burst_active_ns", "i8", (LEVELS,)),  # total length of ended bursts
        ("interval_square_sum", "f8", (LEVELS,)),  # ns squared, start to start
    ],
    align=True,
)
"""One flow, both directions. Kernels pass records, which are one pointer."""

FEATURE_DTYPE: Final = np.dtype(
    [
        ("id", "i8"),
        ("a_hi", "u8"),
        ("a_lo", "u8"),
        ("b_hi", "u8"),
        ("b_lo", "u8"),
        ("start_ns", "i8"),
        ("end_ns", "i8"),
        ("data_start_ns", "i8"),  # first packet with payload, start_ns without any
        ("data_end_ns", "i8"),
        ("a_packets", "i8"),
        ("b_packets", "i8"),
        ("a_payload_bytes", "i8"),
        ("b_payload_bytes", "i8"),
        ("wire_bytes", "i8"),
        ("data_packets", "i8"),
        ("data_bytes_mean", "f4"),  # payload per packet with payload, of the larger direction
        ("turns", "f4"),  # times that the sending side changed, payload only
        ("think_s", "f4"),  # mean silence before a answers, NaN unless it does
        ("answer_s", "f4"),  # the same of b
        ("bursts", "f4"),  # at the clearest level
        ("burst_bytes", "f4"),
        ("burst_bytes_cv", "f4"),
        ("burst_interval_s", "f4"),
        ("burst_interval_cv", "f4"),
        ("burst_duty", "f4"),  # share of the time spent in bursts, at that level
        ("gap_cv", "f4"),  # irregularity of the packet gaps, the busier direction
        ("bin_active", "f4"),  # share of the series' bins with payload
        ("bin_cv", "f4"),  # unevenness of the payload over the bins
        ("period_strength", "f4"),  # highest autocorrelation of the series, 0 to 1
        ("period_s", "f4"),  # where that is
        ("ce_share", "f4"),  # packets marked CE
        ("repeat_share", "f4"),  # TCP segments sent again
    ]
)
"""What is kept of a flow for its verdict: numbers, and who talks to whom. No ports."""


class ActivityState(NamedTuple):
    """Everything the kernel reads and writes; owned by `BehaviourAnalyzer`.

    cursor: series left on the free stack, flows that wanted one in vain.
    """

    flows: NDArray[np.void]  # ACTIVITY_DTYPE, one a slot
    series: NDArray[np.int64]  # (rows, SERIES_BINS): payload bytes, both directions
    free_series: NDArray[np.int32]
    cursor: NDArray[np.int64]


CURSOR_FREE_SERIES: Final = 0
CURSOR_WITHOUT_SERIES: Final = 1


def allocate_activity(flow_capacity: int, series: int) -> ActivityState:
    """Return empty activity for slots below `flow_capacity`, `series` of them with a time series.

    Records are reached by attribute, so that the kernel also runs uncompiled.
    """
    rows = min(series, flow_capacity)
    return ActivityState(
        flows=np.zeros(flow_capacity, ACTIVITY_DTYPE).view(np.recarray),
        series=np.zeros((rows, SERIES_BINS), np.int64),
        free_series=np.arange(rows, dtype=np.int32)[::-1].copy(),
        cursor=np.array([rows, 0], np.int64),
    )
