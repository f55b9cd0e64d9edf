"""The analyzers of a running source, and what they count each second.

The analyzers are those of a capture file; what is added here is that they never end: closed flows
are handed on and forgotten, and counters become differences. Where packets come from is in
`feeds`, what the counts mean in `judging`, where samples go to in `session`.
"""

from collections.abc import Callable, Mapping
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
from fabricscope.analyzers.links.layout import BIN_NS, BINS
from fabricscope.analyzers.pause import PauseTable
from fabricscope.analyzers.rdma.management import ManagementWatch
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.pipeline.applications import Applications
from fabricscope.pipeline.live.counts import SecondCounts, TapCounts, TapTraffic
from fabricscope.pipeline.live.differences import QueuePairDifferences
from fabricscope.pipeline.live.duplicates import DuplicateMarker
from fabricscope.pipeline.live.feeds import Losses
from fabricscope.pipeline.live.naming import Naming
from fabricscope.pipeline.live.neighbours import NeighbourWatch
from fabricscope.pipeline.live.samples import application_samples
from fabricscope.pipeline.live.training import WINDOW_NS, TransferWindow
from fabricscope.records import (
    BATCH_ROWS,
    FLAG_DUPLICATE,
    FLAG_MALFORMED,
    FLAG_TRUNCATED,
    PROTOCOLS,
    Packets,
)

SECOND_NS: Final = 1_000_000_000
APPLICATIONS_EVERY: Final = 10
"""Seconds between two looks at what the open flows are: it costs more than counters do."""
FLOWS_EVERY_NS: Final = 60 * SECOND_NS
"""A flow that goes on is told at the first look at it, then this often, and when it ends."""
MAX_TOLD_FLOWS: Final = 4_096
"""Open flows told at one look, those with most bytes."""

DETAIL_ALL: Final = 0
DETAIL_NO_RDMA: Final = 1
DETAIL_NO_DPI: Final = 2
DETAIL_SAMPLED: Final = 3

_DPI_LEFT_OUT: Final = ("flows_without_head", "fragments_dropped", "announcements_dropped")
_ROCE_V1: Final = PROTOCOLS.index("roce_v1")
_INFINIBAND: Final = PROTOCOLS.index("infiniband")
_CNP: Final = 0x81
_MARKED: Final = 3


@dataclass
class MonitorOptions:
    """Names and bounds of a monitor."""

    collector: str = "collector"
    naming: Naming = field(default_factory=Naming)
    signature_dirs: tuple[str, ...] = ()
    flow_capacity: int = 262_144
    flow_idle_s: float = 60.0


class Monitor:
    """State of one process; `update` each decoded batch, `collect` at each second's end."""

    def __init__(self, options: MonitorOptions) -> None:
        """Prepare empty analyzers."""
        self.options = options
        self.level = DETAIL_ALL
        self.sampling = 1
        self.wants_view: Callable[[], bool] = lambda: True
        """Whether anybody would look for training jobs now: a view of them is large."""
        self.taps: dict[int, TapCounts] = {}
        self._traffic: dict[int, TapTraffic] = {}
        self._start_ns = 0
        self.tap_names: list[str] = []
        self.duplicates = DuplicateMarker()
        self.neighbours = NeighbourWatch()
        self.flows = FlowTable(
            capacity=options.flow_capacity, idle_ns=int(options.flow_idle_s * 1e9)
        )
        self.queue_pairs = QueuePairTable(
            flow_capacity=options.flow_capacity, batch_rows=BATCH_ROWS
        )
        self.management = ManagementWatch()
        self.pauses = PauseTable(link_rate_gbps=options.naming.default_rate_gbps)
        self.applications = Applications(options.signature_dirs, options.flow_capacity)
        self.behaviour = BehaviourAnalyzer(options.flow_capacity)
        self.links = LinkCounter(flow_capacity=options.flow_capacity)
        self.transfers = TransferWindow(flow_capacity=options.flow_capacity)
        self._differences = QueuePairDifferences()
        self._flow = np.zeros(BATCH_ROWS, np.int64)
        self._side = np.zeros(BATCH_ROWS, np.uint8)
        self._queue_pair = np.zeros(BATCH_ROWS, np.int64)
        self._closed: list[pl.DataFrame] = []
        self._to_release: NDArray[np.int64] = np.zeros(0, np.int64)
        self._flow_bytes: dict[int, tuple[int, int]] = {}
        self._flow_told_ns: dict[int, int] = {}
        self._flows_left_out = 0
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
        self.neighbours.update(view, packets)
        flow, side = self._flow[:count], self._side[:count]
        self.flows.release(self._to_release)
        closed = self.flows.update(packets, flow, side)
        self.links.update(packets, flow, side)
        self.pauses.update(view, packets)
        if self.level < DETAIL_NO_RDMA:
            queue_pair = self._queue_pair[:count]
            self.queue_pairs.update(packets, flow, side, queue_pair)
            self.management.update(view, packets, queue_pair)
            self.transfers.update(packets, flow, side, queue_pair)
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
            self._add_traffic(tap, packets, mine)

    def _add_traffic(self, tap: int, packets: Packets, mine: Any) -> None:
        """Count for the link that a tap may stand for: all it carried, seen elsewhere or not."""
        seen = self._traffic.setdefault(tap, TapTraffic())
        size = packets.wire_length[mine].astype(np.int64)
        ecn = packets.ecn[mine]
        roce = (packets.protocol[mine] >= _ROCE_V1) & (packets.protocol[mine] <= _INFINIBAND)
        for name, value in (
            ("packets", size.size),
            ("bytes", size.sum()),
            ("rdma_packets", np.count_nonzero(roce)),
            ("ecn_capable", np.count_nonzero(ecn)),
            ("ecn_marked", np.count_nonzero(ecn == _MARKED)),
            ("cnps", np.count_nonzero(roce & (packets.opcode[mine] == _CNP))),
        ):
            seen.counts[name] = seen.counts.get(name, 0) + int(value)
        place = np.clip((packets.time_ns[mine] - self._start_ns) // BIN_NS, 0, BINS - 1)
        seen.bins += np.bincount(place, size, BINS).astype(np.int64)

    def _close(self, slots: NDArray[np.int64]) -> None:
        """Hand flows that ended on to the next tick, and forget them in every analyzer."""
        closed = self.flows.collect(slots)
        self._closed.append(self._name(closed, self.applications.close(closed)))
        self.behaviour.flow_closed(slots)
        self.links.flow_closed(slots)
        self.transfers.flow_closed(slots)
        for slot in slots.tolist():
            self._flow_bytes.pop(slot, None)
            self._flow_told_ns.pop(slot, None)

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

    def begin(self, start_ns: int) -> None:
        """Set the start of the second whose packets come next."""
        if start_ns < self._start_ns:  # the clock was set back
            self._flow_told_ns.clear()
        self._start_ns = start_ns
        self.links.begin(start_ns)

    def collect(
        self,
        start_ns: int,
        end_ns: int,
        losses: Mapping[int, Losses] | None = None,
        *,
        last: bool = False,
    ) -> SecondCounts:
        """Return what was counted in the interval, and begin the next at `end_ns`.

        losses: by tap since the call before, from the kernel. last: nothing will follow.
        """
        self._seconds += 1
        factor = self._scale()
        links = self.links.sample(end_ns)
        differences = self._differences.take(self.queue_pairs, end_ns)
        self.transfers.forget(end_ns)
        looked_at = last or (self.level < DETAIL_NO_RDMA and self.wants_view())
        counts = SecondCounts(
            start_ns=start_ns,
            end_ns=end_ns,
            taps=self._take_taps(losses or {}),
            traffic=self._take_traffic(factor),
            neighbours=self.neighbours.rows(self.tap_names),
            links=links.scaled(factor) if factor > 1 else links,
            differences=differences,
            rdma=differences.frame(start_ns, self.options.collector, self.queue_pairs),
            applications=pl.DataFrame(),
            flows=pl.DataFrame(),
            transfers=self.transfers.view(self.queue_pairs, last=last) if looked_at else None,
            level=self.level,
            sampling=self.sampling,
        )
        if (last or self._seconds % APPLICATIONS_EVERY == 0) and self.level < DETAIL_NO_DPI:
            counts.applications = self._applications(start_ns, end_ns, last=last)
        if self._closed:
            counts.flows = pl.concat(self._closed).with_columns(time_ns=pl.col("end_ns"))
            self._closed = []
        if self.level < DETAIL_NO_RDMA:
            self.make_room(end_ns)
        counts.left_out = self.left_out()
        self._start_ns = end_ns
        return counts

    def make_room(self, end_ns: int, *, always: bool = False) -> None:
        """Let go of queue pairs that fell silent where the table fills up, or `always`."""
        self.queue_pairs.forget_events(end_ns - WINDOW_NS)
        moved = self.queue_pairs.make_room(end_ns, always=always)
        if moved is not None:
            self._differences.queue_pairs_moved(moved)
            self.transfers.queue_pairs_moved(moved)

    def _scale(self) -> float:
        """Return how many packets came for each that was analyzed; both are known exactly."""
        analyzed = sum(counts.packets for counts in self.taps.values())
        skipped = sum(counts.skipped for counts in self.taps.values())
        return 1 + skipped / analyzed if skipped and analyzed else 1.0

    def _take_taps(self, losses: Mapping[int, Losses]) -> dict[str, TapCounts]:
        """Return the counts of each tap by its name and begin anew."""
        result = {}
        for tap in sorted({*self.taps, *losses}):
            counts = self.taps.get(tap, TapCounts())
            lost = losses.get(tap, Losses())
            counts.dropped, counts.freezes, counts.missed = lost
            result[self._tap_name(tap)] = counts
        self.taps = {tap: TapCounts() for tap in self.taps}
        return result

    def _take_traffic(self, factor: float) -> dict[str, TapTraffic]:
        """Return what taps saw, scaled, and begin anew."""
        result = {}
        for tap, seen in self._traffic.items():
            counts = {name: round(value * factor) for name, value in seen.counts.items()}
            bins = np.rint(seen.bins * factor).astype(np.int64)
            result[self._tap_name(tap)] = TapTraffic(counts, bins)
        self._traffic = {}
        return result

    def _tap_name(self, tap: int) -> str:
        return self.tap_names[tap] if tap < len(self.tap_names) else f"tap {tap}"

    def _applications(self, start_ns: int, end_ns: int, *, last: bool) -> pl.DataFrame:
        """Return what the open flows carried since the last look, by host and application.

        Those flows that are due, all of them at the last look, are put with the closed ones.
        """
        slots = self.flows.open_slots()
        totals = self.flows.directions.reshape(-1, 2)[slots]
        size, packets = totals["bytes"].sum(axis=1), totals["packets"].sum(axis=1)
        before = [self._flow_bytes.get(slot, (0, 0)) for slot in slots.tolist()]
        grown = np.flatnonzero(size > np.array([b for b, _ in before], np.int64))
        if grown.size == 0:
            return pl.DataFrame()
        closed = self.flows.collect(slots[grown])
        frame = self._name(closed, self.applications.peek(closed))
        self._tell(frame, slots[grown], size[grown], end_ns, last=last)
        rows: dict[str, Any] = {
            "bytes": [int(size[k]) - before[k][0] for k in grown.tolist()],
            "packets": [int(packets[k]) - before[k][1] for k in grown.tolist()],
        }
        for k in grown.tolist():
            self._flow_bytes[int(slots[k])] = (int(size[k]), int(packets[k]))
        return application_samples(start_ns, self.options.collector, frame, rows)

    def _tell(
        self,
        frame: pl.DataFrame,
        slots: NDArray[np.int64],
        size: NDArray[np.int64],
        end_ns: int,
        *,
        last: bool,
    ) -> None:
        """Put the rows of flows that are due with those of the closed ones."""
        told_ns = [self._flow_told_ns.get(slot, -FLOWS_EVERY_NS) for slot in slots.tolist()]
        due = np.flatnonzero(last | (end_ns - np.array(told_ns) >= FLOWS_EVERY_NS))
        chosen = np.sort(due[np.argsort(-size[due], kind="stable")[:MAX_TOLD_FLOWS]])
        self._flows_left_out += due.size - chosen.size
        if chosen.size:
            self._closed.append(frame[chosen])
        self._flow_told_ns.update(dict.fromkeys(slots[chosen].tolist(), end_ns))

    def left_out(self) -> dict[str, int]:
        """Return how much of what was left out because a bound was reached."""
        flows, pairs = self.flows.counters, self.queue_pairs.counters
        training = self.transfers.counters
        dpi = {name: self.applications.counters.get(name, 0) for name in _DPI_LEFT_OUT}
        return {
            "packets_to_compare": self.duplicates.counters["forced_out"],
            "packets_without_flow": flows["unassigned"],
            "flows_evicted": flows["evicted"],
            "open_flows_not_told": self._flows_left_out,
            "packets_without_link": self.links.left_out,
            "packets_without_queue_pair": pairs["unassigned"],
            "awaited_acknowledgements": pairs["queue_dropped"],
            "packets_without_channel": training["channels_dropped"],
            "transfers": training["transfers_dropped"],
            **dpi,
        }
