"""Training jobs while they run: every second the last transfers are recognised anew.

`TransferWindow` keeps the transfers that one process saw; `LiveTraining` recognises jobs in those
of all processes of a collector.
"""

import json
import math
import time
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.collectives.recognition import recognise
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.pipeline.live.transfers import TransferView, view_of
from fabricscope.records import Packets
from fabricscope.schemas import schema_of

WINDOW_NS: Final = 20_000_000_000
"""How far back transfers are kept: several iterations of any job that is worth a page."""

RECENT_NS: Final = (1_000_000_000, 3_000_000_000)
LEAST_RECENT: Final = 3
"""Slow links are looked for in the last seconds alone too, in the shorter time that holds so many
iterations: a link that slows down now was fast for most of the window."""

SETTLED_NS: Final = 200_000_000
"""Iterations that ended this long ago are taken as final; later ones may still grow."""

VERDICT_NS: Final = 10_000_000_000
"""How long a slow link stays one after the last iteration that it held back."""

_NEVER_NS: Final = 1 << 62


class TransferWindow:
    """The transfers of the last seconds of one process."""

    def __init__(self, *, flow_capacity: int) -> None:
        """Prepare an empty window."""
        self._analyzer = CollectiveAnalyzer(flow_capacity=flow_capacity)
        self._end_ns = 0

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

    def forget(self, end_ns: int) -> None:
        """Let go of what is older than the window, of all where the clock was set back."""
        self._analyzer.forget_before(end_ns - WINDOW_NS if end_ns >= self._end_ns else _NEVER_NS)
        self._end_ns = end_ns

    def queue_pairs_moved(self, moved: NDArray[np.int64]) -> None:
        """Follow queue pairs to their new slots, -1: forgotten."""
        self._analyzer.queue_pairs_moved(moved)

    def view(self, queue_pairs: QueuePairTable, *, last: bool = False) -> TransferView:
        """Return what the window holds; last: nothing follows, so what seems to go on has ended."""
        return view_of(self._analyzer, queue_pairs, last=last)

    @property
    def counters(self) -> dict[str, int]:
        """What was left out because a bound was reached."""
        return self._analyzer.counters


class LiveTraining:
    """Recognises jobs and tells each iteration once."""

    def __init__(self, collector: str) -> None:
        """Know no job yet."""
        self._collector = collector
        self._looked_ns = -1
        self._told_ns: dict[tuple[Any, ...], int] = {}
        self.rest_until_s = 0.0
        """When, by the monotonic clock, looking has not taken more than half of the time."""
        self.jobs: list[dict[str, Any]] = []
        self.collectives: list[dict[str, Any]] = []

    def look(self, view: TransferView, end_ns: int) -> pl.DataFrame:
        """Return iterations that ended since the last look, as rows of `iterations`."""
        began_s = time.monotonic()
        rows = self._look(view, end_ns)
        ended_s = time.monotonic()
        self.rest_until_s = ended_s + (ended_s - began_s)
        return rows

    def _look(self, view: TransferView, end_ns: int) -> pl.DataFrame:
        found = recognise(view.channels, view.transfers, view.counters, view.queue_pairs, end_ns)
        settled_ns = end_ns if view.last else end_ns - SETTLED_NS
        self.jobs, self.collectives = found.jobs, found.collectives
        if end_ns < self._looked_ns:  # the clock was set back: these times will come again
            self._told_ns.clear()
        self._judge_anew(view, end_ns)
        self._looked_ns = end_ns
        rows = [row for one in found.collectives for row in self._fresh(one, settled_ns)]
        self._told_ns = {
            key: until for key, until in self._told_ns.items() if until > end_ns - 2 * WINDOW_NS
        }
        if not rows:
            return pl.DataFrame()
        schema = schema_of("iterations")
        return pl.DataFrame(rows, schema=schema, orient="row").sort("time_ns")

    def _judge_anew(self, view: TransferView, end_ns: int) -> None:
        """Take over the slow links of the last seconds, where these say enough.

        A link's verdict rests on its best messages, and those are of before for most of the window.
        """
        shortest, longest = RECENT_NS
        begins = [
            [begin for begin, _ in one["iteration_spans"][: 1 - LEAST_RECENT]]
            for one in self.collectives
        ]
        enough = [
            max((begin for begin in own if begin <= end_ns - shortest), default=0) for own in begins
        ]
        since_ns = max(min(enough, default=0), end_ns - longest)
        recent = view.transfers["start_ns"] >= since_ns
        if recent.all():
            return
        found = recognise(
            view.channels, view.transfers[recent], view.counters, view.queue_pairs, end_ns
        )
        slow = {
            tuple(sorted(one["ranks"])): one["straggler"]
            for one in found.collectives
            if one["straggler"]
            and one["straggler"]["kind"] == "link"
            and len(one["iteration_spans"]) >= LEAST_RECENT
        }
        for one in self.collectives:
            one["straggler"] = slow.get(tuple(sorted(one["ranks"])), one["straggler"])
        told = {tuple(sorted(job["ranks"])): job["diagnosis"] for job in found.jobs}
        for job in self.jobs:
            key = tuple(sorted(job["ranks"]))
            if key in slow and told.get(key):
                job["diagnosis"] = told[key]

    def _fresh(self, one: dict[str, Any], settled_ns: int) -> list[tuple[Any, ...]]:
        """Return rows of the iterations of a collective that were not told before."""
        key = _key(one)
        told = self._told_ns.get(key, 0)
        job = _name(one["ranks"])
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

    def job_samples(self, now_ns: int) -> pl.DataFrame:
        """Return a row for each job of the last look, none between two looks."""
        if self._looked_ns != now_ns or not self.jobs:
            return pl.DataFrame()
        rows = [self._job_row(job, now_ns) for job in self.jobs]
        return pl.DataFrame(rows, schema=schema_of("job_samples"))

    def _job_row(self, job: dict[str, Any], now_ns: int) -> dict[str, Any]:
        reads, written = job["dataset_reads"] or {}, job["checkpoints"] or []
        step_ms = job["step_ms"] or {}
        return {
            "time_ns": now_ns,
            "collector": self._collector,
            "job": _name(job["ranks"]),
            "ranks": job["ranks"],
            "transport": job["transport"],
            "window_s": WINDOW_NS / 1e9,
            "steps": job["steps"],
            "step_ms_p50": step_ms.get("p50"),
            "step_ms_p99": step_ms.get("p99"),
            "step_bytes": job["step_bytes"],
            "communication_share": job["communication_share"],
            "parallelism": job["parallelism"],
            "checkpoints": len(written),
            "checkpoint_bytes": sum(one["bytes"] for one in written),
            "checkpoint_cost_ms": sum(one["cost_ms"] or 0.0 for one in written),
            "dataset_reads": reads.get("reads", 0),
            "dataset_bytes": reads.get("bytes", 0),
            "dataset_ms_max": reads.get("ms_max"),
            "diagnosis": json.dumps(job["diagnosis"]) if job["diagnosis"] else "",
        }

    def slow_links(self, now_ns: int) -> dict[tuple[str, str], float]:
        """Return how many times slower than its peers a link carried a job's last iterations.

        By the host's address and direction; a verdict holds for `VERDICT_NS` after the iteration.
        """
        found: dict[tuple[str, str], float] = {}
        for one in self.collectives:
            verdict = one["straggler"]
            if not verdict or verdict["kind"] != "link" or not one["iteration_spans"]:
                continue
            ratio = (verdict["evidence"] or {}).get("ratio")
            if ratio and now_ns - one["iteration_spans"][-1][1] <= VERDICT_NS:
                key = (verdict["ip"], verdict["direction"])
                found[key] = max(found.get(key, 0.0), 1 / ratio)
        return found


def _name(ranks: list[str]) -> str:
    """Return a job's name: its first address, whatever the ring's order, and how many more."""
    return f"{min(ranks, key=_in_order)}+{len(ranks) - 1}" if ranks else "unknown"


def _in_order(address: str) -> tuple[int, str]:
    return len(address), address


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a collective has in common with itself at another look."""
    return one["operation"], tuple(sorted(one["ranks"])), _magnitude(one["message_bytes"])


def _magnitude(size_bytes: int) -> int:
    """Return a size's class: what is measured a little differently at the next look is the same."""
    return round(4 * math.log2(max(size_bytes, 1)))
