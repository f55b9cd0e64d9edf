"""Training jobs while they run: every few seconds the last transfers are recognised anew."""

import json
import math
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.records import Packets
from fabricscope.store import schema_of

EVERY: Final = 2
"""Ticks between two looks: a job shows within 5 s of its second iteration."""

WINDOW_NS: Final = 20_000_000_000
"""How far back transfers are kept: several iterations of any job that is worth a page."""

SETTLED_NS: Final = 200_000_000
"""Iterations that ended this long ago are taken as final; later ones may still grow."""


class LiveTraining:
    """Keeps a window of transfers and tells each iteration once."""

    def __init__(self, collector: str, *, flow_capacity: int) -> None:
        """Prepare an empty window."""
        self._collector = collector
        self._analyzer = CollectiveAnalyzer(flow_capacity=flow_capacity)
        self._ticks = 0
        self._told_ns: dict[tuple[Any, ...], int] = {}
        self.jobs: list[dict[str, Any]] = []
        self.collectives: list[dict[str, Any]] = []

    def update(
        self,
        packets: Packets,
        flow: NDArray[np.int64],
        side: NDArray[np.uint8],
        queue_pair: NDArray[np.int64],
    ) -> None:
        """Take in a batch."""
        self._analyzer.update(packets, flow, side, queue_pair)

    def flow_closed(self, slots: NDArray[np.int64]) -> None:
        """Forget the channels of flows that ended."""
        self._analyzer.flow_closed(slots)

    def tick(self, queue_pairs: QueuePairTable, end_ns: int, *, last: bool = False) -> pl.DataFrame:
        """Return iterations that ended since the last look, as rows of `iterations`.

        last: nothing will follow, so that what seems to go on has ended.
        """
        self._ticks += 1
        if self._ticks % EVERY and not last:
            return pl.DataFrame()
        self._analyzer.forget_before(end_ns - WINDOW_NS)
        found = self._analyzer.look(queue_pairs, end_ns, last=last)
        settled_ns = end_ns if last else end_ns - SETTLED_NS
        self.jobs, self.collectives = found.jobs, found.collectives
        rows = [row for one in found.collectives for row in self._fresh(one, settled_ns)]
        self._told_ns = {
            key: until for key, until in self._told_ns.items() if until > end_ns - 2 * WINDOW_NS
        }
        if not rows:
            return pl.DataFrame()
        schema = schema_of("iterations")
        return pl.DataFrame(rows, schema=schema, orient="row").sort("time_ns")

    def _fresh(self, one: dict[str, Any], settled_ns: int) -> list[tuple[Any, ...]]:
        """Return rows of the iterations of a collective that were not told before."""
        key = (one["operation"], tuple(sorted(one["ranks"])), _magnitude(one["message_bytes"]))
        told = self._told_ns.get(key, 0)
        job = f"{one['ranks'][0]}+{len(one['ranks']) - 1}" if one["ranks"] else "unknown"
        straggler = json.dumps(one["straggler"]) if one["straggler"] else ""
        factor = one["busbw_gbps"] / one["algbw_gbps"] if one["algbw_gbps"] else 0.0
        rows = []
        for start, end in one["iteration_spans"]:
            if end <= told or start < told or end > settled_ns:
                continue
            algbw = one["message_bytes"] * 8 / max(end - start, 1)
            rows.append(
                (
                    start,
                    self._collector,
                    job,
                    one["operation"],
                    one["algorithm"],
                    one["ranks"],
                    end,
                    int(one["message_bytes"]),
                    algbw,
                    algbw * factor,
                    straggler,
                )
            )
            self._told_ns[key] = end
        return rows

    @property
    def counters(self) -> dict[str, int]:
        """What was left out because a bound was reached."""
        return self._analyzer.counters


def _magnitude(size_bytes: int) -> int:
    """Return a size's class: what is measured a little differently at the next look is the same."""
    return round(4 * math.log2(max(size_bytes, 1)))
