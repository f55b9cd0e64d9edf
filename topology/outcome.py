"""What a run of either engine tells: when transfers ended, what was lost, what each link carried.

Both engines fill the same shape, so that results, reports and tests read one.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["AFTER", "BEFORE", "DURING", "Iterations", "Outcome", "Stalled"]

BEFORE: Final = 0
DURING: Final = 1
AFTER: Final = 2
"""Windows of `channel_bytes`: up to the first failure, up to the last route change, the rest."""


class Iterations(NamedTuple):
    """One row for each iteration of each job, in order of job, then iteration.

    end_ns: arrival of its last transfer; nan if one never arrived.
    """

    job: NDArray[np.int16]
    iteration: NDArray[np.int32]
    end_ns: NDArray[np.float64]


class Stalled(NamedTuple):
    """Transfers that never arrived, counted by reason (a sentence without its full stop)."""

    reason: str
    transfers: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of a workload over a fabric, with or without failures.

    finish_ns: (transfers) arrival of the last byte, nan if never; empty for implicit rings.
    iterations: ends of the jobs' iterations. makespan_ns: the last arrival; nan if one is missing.
    window_ns: (4) where the windows BEFORE, DURING and AFTER begin and end.
    channel_bytes: (3, channels) bytes on the wire sent into each channel in each window.
    packets_lost, bytes_lost: sent into dead channels (bytes on the wire). loss_duration_ns: from
    the first lost packet to the last. flows_affected: queue pairs with traffic on a dead channel.
    qps_rtt, qps_timeout: of those, how many went on about a round trip after the new path was
    there, and how many waited for a time-out. events: what the engine processed. data_packets:
    delivered. remaining_bytes: (transfers) payload not yet sent, when the run was stopped early.
    """

    finish_ns: NDArray[np.float64]
    iterations: Iterations
    makespan_ns: float
    window_ns: NDArray[np.float64]
    channel_bytes: NDArray[np.float64]
    packets_lost: int
    bytes_lost: int
    loss_duration_ns: float
    flows_affected: int
    qps_rtt: int
    qps_timeout: int
    events: int
    data_packets: int
    stalled: tuple[Stalled, ...] = ()
    remaining_bytes: NDArray[np.float64] = field(default_factory=lambda: np.empty(0, np.float64))
