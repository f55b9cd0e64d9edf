"""The analyzers of a running source, and what they say each second.

The analyzers are those of a capture file; what is added here is that they never end: closed flows
are handed on and forgotten, and counters become differences. Where packets come from is in
`feeds`, where samples go to in `session`.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.behaviour.analyzer import BehaviourAnalyzer
from fabricscope.analyzers.behaviour.judging import judge
from fabricscope.analyzers.flows import ClosedFlows, FlowTable
from fabricscope.analyzers.flows.results import flows_frame
from fabricscope.analyzers.links.counting import LinkCounter
from fabricscope.analyzers.pause import PauseTable
from fabricscope.analyzers.rdma.management import ManagementWatch
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.pipeline.applications import Applications
from fabricscope.pipeline.live.duplicates import DuplicateMarker
from fabricscope.pipeline.live.samples import (
    LinkJudge,
    QueuePairDifferences,
    application_samples,
    tap_samples,
)
from fabricscope.pipeline.live.training import LiveTraining
from fabricscope.records import (
    BATCH_ROWS,
    FLAG_DUPLICATE,
    FLAG_MALFORMED,
    FLAG_TRUNCATED,
    Packets,
)

SECOND_NS: Final = 1_000_000_000
APPLICATIONS_EVERY: Final = 10
"""Seconds between two looks at what the open flows are: it costs more than counters do."""

DETAIL_ALL: Final = 0
DETAIL_NO_RDMA: Final = 1
DETAIL_NO_DPI: Final = 2
DETAIL_SAMPLED: Final = 3


@dataclass
class MonitorOptions:
    """Names and bounds of a monitor.

    link_rate_gbps: of the hosts' links, unless `link_rates` says otherwise by link name.
    link_names: a host's address to its link's name.
    """

    collector: str = "collector"
    link_rate_gbps: float = 100.0
    link_names: dict[str, str] = field(default_factory=dict)
    link_rates: dict[str, float] = field(default_factory=dict)
    signature_dirs: tuple[str, ...] = ()
    flow_capacity: int = 262_144
    flow_idle_s: float = 60.0


@dataclass
class TapCounts:
    """What came from one mirror source since the sample before."""

    packets: int = 0
    bytes: int = 0
    duplicates: int = 0
    truncated: int = 0
    malformed: int = 0
    skipped: int = 0


class Monitor:
    """State of one collector; `update` each decoded batch, `tick` at each second's end."""

    def __init__(self, options: MonitorOptions) -> None:
        """Prepare empty analyzers."""
        self.options = options
        self.level = DETAIL_ALL
        self.sampling = 1
        self.taps: dict[int, TapCounts] = {}
        self.tap_names: list[str] = []
        self.duplicates = DuplicateMarker()
        self.flows = FlowTable(
            capacity=options.flow_capacity, idle_ns=int(options.flow_idle_s * 1e9)
        )
        self.queue_pairs = QueuePairTable(
            flow_capacity=options.flow_capacity, batch_rows=BATCH_ROWS
        )
        self.management = ManagementWatch()
        self.pauses = PauseTable(link_rate_gbps=options.link_rate_gbps)
        self.applications = Applications(options.signature_dirs, options.flow_capacity)
        self.behaviour = BehaviourAnalyzer(options.flow_capacity)
        self.links = LinkCounter(flow_capacity=options.flow_capacity)
        self.training = LiveTraining(options.collector, flow_capacity=options.flow_capacity)
        self._differences = QueuePairDifferences()
        self._judge = LinkJudge(options)
        self._flow = np.zeros(BATCH_ROWS, np.int64)
        self._side = np.zeros(BATCH_ROWS, np.uint8)
        self._queue_pair = np.zeros(BATCH_ROWS, np.int64)
        self._closed: list[pl.DataFrame] = []
        self._to_release: NDArray[np.int64] = np.zeros(0, np.int64)
        self._flow_bytes: dict[int, tuple[int, int]] = {}
        self._seconds = 0

    def skip(self, tap: int, packets: int) -> None:
        """Count packets that sampling left out."""
        self.taps.setdefault(tap, TapCounts()).skipped += packets

    def update(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Take in a decoded batch of at most BATCH_ROWS rows, in order of time."""
        count = packets.time_ns.size
        if count == 0:
            return
        self.duplicates.mark(view, packets)
        self._count_taps(packets)
        flow, side = self._flow[:count], self._side[:count]
        self.flows.release(self._to_release)
        closed = self.flows.update(packets, flow, side)
        self.links.update(packets, flow, side)
        self.pauses.update(view, packets)
        if self.level < DETAIL_NO_RDMA:
            queue_pair = self._queue_pair[:count]
            self.queue_pairs.update(packets, flow, side, queue_pair)
            self.management.update(view, packets, queue_pair)
            self.training.update(packets, flow, side, queue_pair)
        if self.level < DETAIL_NO_DPI:
            self.applications.update(view, packets, flow, side)
            self.behaviour.update(packets, flow, side)
        if closed.size:
            self._close(closed)
        self._to_release = closed

    def _count_taps(self, packets: Packets) -> None:
        taps = packets.tap
        numbers = [int(taps[0])] if (taps == taps[0]).all() else np.unique(taps).tolist()
        for tap in numbers:
            mine = slice(None) if len(numbers) == 1 else taps == tap
            counts = self.taps.setdefault(tap, TapCounts())
            flags = packets.flags[mine]
            counts.packets += flags.size
            counts.bytes += int(packets.wire_length[mine].sum(dtype=np.int64))
            counts.duplicates += int(np.count_nonzero(flags & np.uint32(FLAG_DUPLICATE)))
            counts.truncated += int(np.count_nonzero(flags & np.uint32(FLAG_TRUNCATED)))
            counts.malformed += int(np.count_nonzero(flags & np.uint32(FLAG_MALFORMED)))

    def _close(self, slots: NDArray[np.int64]) -> None:
        """Hand flows that ended on to the next tick, and forget them in every analyzer."""
        closed = self.flows.collect(slots)
        self._closed.append(self._name(closed, self.applications.close(closed)))
        self.behaviour.flow_closed(slots)
        self.links.flow_closed(slots)
        self.training.flow_closed(slots)
        for slot in slots.tolist():
            self._flow_bytes.pop(slot, None)

    def _name(self, closed: ClosedFlows, named: pl.DataFrame) -> pl.DataFrame:
        """Return `records.TABLES["flows"]` rows of flows, with what each is and does."""
        verdicts = judge(self.behaviour.describe(closed))
        return pl.concat(
            [
                flows_frame(closed, self.tap_names),
                named,
                pl.DataFrame(
                    {
                        "behaviour": verdicts.behaviour,
                        "behaviour_confidence": verdicts.behaviour_confidence.astype(np.float64),
                        "behaviour_features": verdicts.behaviour_features,
                    }
                ),
            ],
            how="horizontal",
        )

    def tick(
        self,
        start_ns: int,
        end_ns: int,
        ring: dict[int, tuple[int, int]] | None = None,
        *,
        last: bool = False,
    ) -> dict[str, pl.DataFrame]:
        """Return the samples of the interval by table, and begin the next at `end_ns`.

        ring: packets dropped and freezes by tap since the tick before, from the kernel. last:
        nothing will follow.
        """
        self._seconds += 1
        collector = self.options.collector
        tables = {
            "tap_samples": tap_samples(
                start_ns,
                collector,
                self.taps,
                self.tap_names,
                ring or {},
                self.sampling,
                self.level,
            )
        }
        self.taps = {tap: TapCounts() for tap in self.taps}
        differences = self._differences.take(self.queue_pairs)
        counted = self.links.sample(end_ns)
        tables["link_samples"] = self._judge.samples(
            start_ns, end_ns, counted, differences, self.sampling
        )
        tables["rdma_samples"] = differences.frame(start_ns, collector, self.queue_pairs, end_ns)
        if self._seconds % APPLICATIONS_EVERY == 0 and self.level < DETAIL_NO_DPI:
            tables["application_samples"] = self._applications(start_ns)
        tables["iterations"] = self.training.tick(self.queue_pairs, end_ns, last=last)
        if self._closed:
            tables["flows"] = pl.concat(self._closed).with_columns(time_ns=pl.col("end_ns"))
            self._closed = []
        return {name: frame for name, frame in tables.items() if not frame.is_empty()}

    def _applications(self, start_ns: int) -> pl.DataFrame:
        """Return what the open flows carried since the last look, by host and application."""
        slots = self.flows.open_slots()
        totals = self.flows.directions.reshape(-1, 2)[slots]
        size, packets = totals["bytes"].sum(axis=1), totals["packets"].sum(axis=1)
        before = [self._flow_bytes.get(slot, (0, 0)) for slot in slots.tolist()]
        grown = np.flatnonzero(size > np.array([b for b, _ in before], np.int64))
        if grown.size == 0:
            return pl.DataFrame()
        closed = self.flows.collect(slots[grown])
        frame = self._name(closed, self.applications.peek(closed))
        rows: dict[str, Any] = {
            "bytes": [int(size[k]) - before[k][0] for k in grown.tolist()],
            "packets": [int(packets[k]) - before[k][1] for k in grown.tolist()],
        }
        for k in grown.tolist():
            self._flow_bytes[int(slots[k])] = (int(size[k]), int(packets[k]))
        return application_samples(start_ns, self.options.collector, frame, rows)

    def snapshot(self) -> dict[str, Any]:
        """Return counters of what was left out because a bound was reached."""
        return {
            "duplicates": self.duplicates.counters,
            "flows": self.flows.counters,
            "queue_pairs": self.queue_pairs.counters,
            "applications": self.applications.counters,
            "training": self.training.counters,
        }
