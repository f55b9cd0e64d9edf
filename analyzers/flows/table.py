"""The bidirectional flow table: bounded, tunnel-aware, IPv4 and IPv6, both time-outs.

Endpoint a is the sender of the flow's first packet. Flows are keyed by addresses, ports, IP
protocol and tunnels; ERSPAN is the mirror's own and not part of the key. Later fragments take the
ports of their first one. Layer-2 frames are flows between MAC addresses with port 0.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.flows import layout
from fabricscope.analyzers.flows.kernels import assign_flows
from fabricscope.analyzers.flows.layout import (
    COUNTERS,
    CURSOR_CLOSED,
    CURSOR_FREE_SKETCHES,
    CURSOR_HIGH_WATER,
    DIRECTION_DTYPE,
    FLOW_DTYPE,
    SIZE_BUCKETS,
    SKETCH_BUCKETS,
    FlowState,
)
from fabricscope.analyzers.flows.slots.kernels import close_silent, make_room, recycle
from fabricscope.analyzers.sketch.quantiles import percentile
from fabricscope.analyzers.timeline.fold import TIMELINE_BINS
from fabricscope.records import PROTOCOLS, Packets

SWEPT_SLOTS_PER_BATCH: Final = 2_048
ROOM_BATCHES: Final = 5
"""Free slots are kept for a batch of new flows and four whose closed flows others still read."""
FOREVER_NS: Final = 1 << 62
SKETCHES_AT_ONCE: Final = 1_024
"""Flows whose percentiles are worked out together, which takes 5 kB for each."""


@dataclass(frozen=True)
class ClosedFlows:
    """Flows that ended, with their percentiles worked out; rows belong together.

    flows: FLOW_DTYPE (n,); directions: DIRECTION_DTYPE (n, 2); sizes: float64 (n, 2, 2) p50 and
    p99 of each direction in bytes; gaps: the same of inter-arrival times in ns. NaN: not known.
    """

    slots: NDArray[np.int64]
    flows: NDArray[np.void]
    directions: NDArray[np.void]
    sizes: NDArray[np.float64]
    gaps: NDArray[np.float64]


class FlowTable:
    """Flows of one run. `update` a batch, let the other analyzers follow, then `release`."""

    def __init__(
        self,
        *,
        capacity: int = 262_144,
        sketches: int = 16_384,
        idle_ns: int = 120 * 1_000_000_000,
        active_ns: int = FOREVER_NS,
    ) -> None:
        """Prepare an empty table of `capacity` flows, `sketches` of them with percentiles."""
        self.capacity = capacity
        self._idle_ns = idle_ns
        self._active_ns = active_ns
        index_size = 1 << (2 * capacity - 1).bit_length()
        self._state = FlowState(
            index=np.zeros(index_size, np.int64),
            flows=np.zeros(capacity, FLOW_DTYPE).view(np.recarray),
            directions=np.zeros(2 * capacity, DIRECTION_DTYPE).view(np.recarray),
            sketches=np.zeros((2 * sketches, SKETCH_BUCKETS), np.uint32),
            free=np.zeros(capacity, np.int32),
            free_sketches=np.arange(sketches, dtype=np.int32)[::-1].copy(),
            closed=np.zeros(capacity, np.int32),
            cursor=np.zeros(6, np.int64),
            counters=np.zeros(len(COUNTERS), np.int64),
            protocols=np.zeros(len(PROTOCOLS), np.int64),
            link_types=np.zeros(512, np.int64),
            packet_sizes=np.zeros(SIZE_BUCKETS, np.int64),
            fragments=np.zeros((2, layout.FRAGMENT_SLOTS), np.uint64),
            timeline=np.zeros((TIMELINE_BINS, 2), np.int64),
            timeline_scale=np.array([-1, 10], np.int64),
        )
        self._state.cursor[CURSOR_FREE_SKETCHES] = sketches

    def update(
        self, packets: Packets, flow: NDArray[np.int64], side: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """Assign `packets` to flows: `flow` (slot or -1) and `side` are written.

        Returns the slots that were closed; they stay readable until `release` names them.
        """
        state = self._state
        rows = packets.time_ns.size
        if rows:
            # Not the end of the batch: a flow that goes on inside it would be cut in two.
            now_ns = int(packets.time_ns[0])
            close_silent(state, now_ns, self._idle_ns, self._active_ns, SWEPT_SLOTS_PER_BATCH)
            make_room(state, min(ROOM_BATCHES * rows, self.capacity // 2))
            assign_flows(state, packets, self._idle_ns, self._active_ns, flow, side)
        closed = state.closed[: state.cursor[CURSOR_CLOSED]].astype(np.int64)
        state.cursor[CURSOR_CLOSED] = 0
        return closed

    def collect(self, slots: NDArray[np.int64]) -> ClosedFlows:
        """Copy what is known of the flows in `slots`, percentiles worked out."""
        flows = self._state.flows[slots]
        directions = self._state.directions.reshape(-1, 2)[slots]
        sizes, gaps = self._percentiles(flows["sketch"].astype(np.int64))
        low = directions["size_min"].astype(np.float64)[..., None]
        high = directions["size_max"].astype(np.float64)[..., None]
        gap_high = directions["gap_max_ns"].astype(np.float64)[..., None]
        return ClosedFlows(
            slots,
            flows,
            directions,
            np.clip(sizes, np.minimum(low, high), high),
            np.minimum(gaps, gap_high),
        )

    def _percentiles(
        self, sketch: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return p50 and p99 of sizes and gaps, NaN where there is no sketch; some at a time."""
        sketches = self._state.sketches.reshape(-1, 2, SKETCH_BUCKETS)
        sizes = np.full((sketch.size, 2, 2), np.nan)
        gaps = sizes.copy()
        known = np.flatnonzero(sketch >= 0)
        for start in range(0, known.size, SKETCHES_AT_ONCE):
            chosen = known[start : start + SKETCHES_AT_ONCE]
            rows = sketches[sketch[chosen]]
            for place, fraction in enumerate((0.5, 0.99)):
                sizes[chosen, :, place] = percentile(rows[..., :SIZE_BUCKETS], fraction)
                gaps[chosen, :, place] = percentile(rows[..., SIZE_BUCKETS:], fraction)
        return sizes, gaps

    def release(self, slots: NDArray[np.int64]) -> None:
        """Let closed `slots` be used again."""
        recycle(self._state, slots)

    def open_slots(self) -> NDArray[np.int64]:
        """Return the slots of all flows that have not been closed."""
        used = self._state.flows[: self._state.cursor[CURSOR_HIGH_WATER]]
        return np.flatnonzero((used["id"] >= 0) & (used["end"] == layout.END_OPEN))

    @property
    def flows(self) -> NDArray[np.void]:
        """FLOW_DTYPE records by slot; read only."""
        return self._state.flows

    @property
    def directions(self) -> NDArray[np.void]:
        """DIRECTION_DTYPE records, rows 2 * slot + side; read only."""
        return self._state.directions

    @property
    def counters(self) -> dict[str, int]:
        """Return the totals by the names of `layout.COUNTERS`."""
        return dict(zip(COUNTERS, self._state.counters.tolist(), strict=True))

    @property
    def protocols(self) -> dict[str, int]:
        """Distinct packets by innermost protocol, those seen."""
        counts = self._state.protocols.tolist()
        return {name: n for name, n in zip(PROTOCOLS, counts, strict=True) if n}

    @property
    def state(self) -> FlowState:
        """Histograms, link types and timeline, for the report."""
        return self._state
