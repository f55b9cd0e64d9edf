"""The analyzer: batches in, features and verdicts of flows out.

A flow's verdict needs the other flows (who else acts at the same time, who did the same before),
so features are kept as flows close and judged together at the end; `verdicts` judges those at hand.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.behaviour.features import describe
from fabricscope.analyzers.behaviour.judging import BehaviourVerdicts, judge
from fabricscope.analyzers.behaviour.kernels import follow_activity, forget
from fabricscope.analyzers.behaviour.layout import (
    CURSOR_FREE_SERIES,
    CURSOR_WITHOUT_SERIES,
    ActivityState,
    allocate_activity,
)
from fabricscope.analyzers.flows import ClosedFlows
from fabricscope.records import Packets

DEFAULT_SERIES: Final = 16_384


class BehaviourAnalyzer:
    """Follows the activity of the flows of a flow table."""

    def __init__(self, flow_capacity: int, *, series: int = DEFAULT_SERIES) -> None:
        """Prepare for slots below `flow_capacity`; `series` flows at a time get a time series."""
        self._state = allocate_activity(flow_capacity, series)

    def update(self, packets: Packets, flow: NDArray[np.int64], side: NDArray[np.uint8]) -> None:
        """Take in a decoded batch; row i is of slot `flow[i]` (-1: none), sent by `side[i]`."""
        follow_activity(
            self._state,
            packets.time_ns,
            packets.payload_length,
            packets.ip_protocol,
            packets.tcp_seq,
            flow,
            side,
        )

    def describe(self, closed: ClosedFlows) -> NDArray[np.void]:
        """Return the features (`layout.FEATURE_DTYPE`) of flows, one row each, in their order.

        Call it before `flow_closed`, also for flows that are still open.
        """
        return describe(self._state, closed)

    def flow_closed(self, slots: NDArray[np.int64]) -> None:
        """Forget the flows in `slots`, which will be used again."""
        forget(self._state, slots)

    def verdicts(self, closed: ClosedFlows) -> BehaviourVerdicts:
        """Judge flows among themselves, as far as they have come."""
        return judge(self.describe(closed))

    @property
    def state(self) -> ActivityState:
        """The activity by slot; read only."""
        return self._state

    @property
    def counters(self) -> dict[str, int]:
        """What was left out because a bound was reached, and what is in use."""
        cursor = self._state.cursor
        return {
            "flows_without_series": int(cursor[CURSOR_WITHOUT_SERIES]),
            "series_in_use": len(self._state.series) - int(cursor[CURSOR_FREE_SERIES]),
        }
