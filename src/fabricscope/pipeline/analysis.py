"""Offline analysis: captures through all analyzers into one `Analysis`.

The wiring stands here and can be read top to bottom. Threads carry one batch each through the
stages; decoding runs side by side, the stages with state take the batches in order.
"""

import sys
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fabricscope.analyzers.behaviour.analyzer import BehaviourAnalyzer
from fabricscope.analyzers.behaviour.judging import BehaviourVerdicts, judge
from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.connection_manager import ConnectionTracker
from fabricscope.analyzers.flows import ClosedFlows, FlowTable
from fabricscope.analyzers.pause import PauseTable
from fabricscope.analyzers.rdma.management import ManagementWatch
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.collectors.decode import decode
from fabricscope.compiled import load_without_compiler
from fabricscope.pipeline.applications import Applications
from fabricscope.pipeline.sources import (
    FileFacts,
    Progress,
    SingleFile,
)
from fabricscope.pipeline.turns import MAX_THREADS, Turns
from fabricscope.records import BATCH_ROWS, PROTOCOLS, Packets, allocate_packets

if TYPE_CHECKING:
    import polars as pl

    from fabricscope.analyzers.balance import PathBalance
    from fabricscope.analyzers.collectives.results import CollectiveResult
    from fabricscope.analyzers.iwarp.session import IwarpAnalyzer, IwarpResult
    from fabricscope.analyzers.taps.analyzer import TapResult
    from fabricscope.pipeline.several import SeveralTaps

load_without_compiler()

MAX_LISTED_FLOWS: Final = 200_000
_LOOK_EVERY_S: Final = 0.1
_IMPORT_SWITCH_S: Final = 0.000_2
_TCP: Final = PROTOCOLS.index("tcp")


@dataclass(frozen=True)
class Options:
    """What the user may set.

    link_rate_gbps: of the tapped links, for the length of pause quanta; idle_s, active_s: flow
    time-outs, active 0 for none; flow_capacity: flows open at a time; threads: batches in flight;
    signature_dirs: folders of the user's own signatures.
    """

    link_rate_gbps: float = 100.0
    idle_s: float = 120.0
    active_s: float = 0.0
    flow_capacity: int = 262_144
    threads: int = 2
    signature_dirs: tuple[str, ...] = ()


@dataclass
class Analysis:
    """Everything that one run found; tables are made from it by `pipeline.document`."""

    options: Options
    files: list[FileFacts]
    flows: FlowTable
    closed: list[ClosedFlows]
    applications: "list[pl.DataFrame]"
    behaviour: BehaviourVerdicts
    collectives: "CollectiveResult"
    queue_pairs: QueuePairTable
    connections: ConnectionTracker
    pauses: list[dict[str, object]]
    pause_table: PauseTable
    iwarp: "IwarpResult | None"
    taps: "TapResult | None"
    tap_names: list[str]
    neighbours: list[dict[str, object]]
    parallel_paths: list[dict[str, Any]]
    unlisted: dict[str, int] = field(default_factory=dict)


class _Restart(Exception):
    """A single file turned out to hold several taps: read it again as such."""


class _Run:
    """State of one run: the analyzers, the turns and what the threads share."""

    def __init__(self, source: "SingleFile | SeveralTaps", options: Options) -> None:
        self.source = source
        self.options = options
        self.flows = FlowTable(
            capacity=options.flow_capacity,
            idle_ns=int(options.idle_s * 1e9),
            **({"active_ns": int(options.active_s * 1e9)} if options.active_s > 0 else {}),
        )
        self.queue_pairs = QueuePairTable(
            flow_capacity=options.flow_capacity, batch_rows=BATCH_ROWS
        )
        self.management = ManagementWatch()
        self.pauses = PauseTable(link_rate_gbps=options.link_rate_gbps)
        self.iwarp: IwarpAnalyzer | None = None
        self.applications = Applications(options.signature_dirs, options.flow_capacity)
        self.behaviour = BehaviourAnalyzer(options.flow_capacity)
        self.features: list[np.ndarray] = []
        self.collectives = CollectiveAnalyzer(flow_capacity=options.flow_capacity)
        self.balance = None if isinstance(source, SingleFile) else _path_balance()
        self.closed: list[ClosedFlows] = []
        self.named: list[pl.DataFrame] = []
        self.listed = 0
        self.unlisted = {"flows": 0, "packets": 0, "bytes": 0}
        self.ready_to_release: deque[tuple[int, np.ndarray]] = deque()
        self.read_lock = threading.Lock()
        self.batches = 0
        self.ended = False
        self.stages = [Turns() for _ in range(3)]
        self.failure: BaseException | None = None

    def carry(self) -> None:
        """Take batches through all stages until the source ends; the body of each thread."""
        packets = allocate_packets(BATCH_ROWS)
        flow = np.zeros(BATCH_ROWS, np.int64)
        side = np.zeros(BATCH_ROWS, np.uint8)
        queue_pair = np.zeros(BATCH_ROWS, np.int64)
        try:
            while True:
                with self.read_lock:
                    if self.ended or self.failure:
                        return
                    batch = self.source.read(packets)
                    if batch is None:
                        self.ended = True
                        return
                    number = self.batches
                    self.batches += 1
                view, rows, decoded = batch
                if not decoded:
                    decode(view, rows)
                    if isinstance(self.source, SingleFile) and (
                        self.source.can_restart and self.source.has_more_taps(rows)
                    ):
                        raise _Restart
                count = rows.time_ns.size
                self.follow(number, view, rows, flow[:count], side[:count], queue_pair[:count])
        except BaseException as error:
            self.break_off(error)

    def break_off(self, failure: BaseException) -> None:
        """End all threads at their next step, because of `failure`; the first one counts."""
        self.failure = self.failure or failure
        for stage in self.stages:
            stage.break_off()

    def follow(
        self,
        number: int,
        view: np.ndarray,
        packets: Packets,
        flow: np.ndarray,
        side: np.ndarray,
        queue_pair: np.ndarray,
    ) -> None:
        """Take one decoded batch through the stages that keep state."""
        with self.stages[0].turn(number) as going:
            if not going:
                return
            # Always as late as with the most threads, so that their number changes no result.
            while self.ready_to_release and self.ready_to_release[0][0] <= number - MAX_THREADS:
                self.flows.release(self.ready_to_release.popleft()[1])
            closed = self.flows.update(packets, flow, side)
        with self.stages[1].turn(number) as going:
            if not going:
                return
            self.queue_pairs.update(packets, flow, side, queue_pair)
            self.management.update(view, packets, queue_pair)
            self.pauses.update(view, packets)
        with self.stages[2].turn(number) as going:
            if not going:
                return
            self.follow_iwarp(view, packets, flow, side, closed)
            if closed.size:
                self.keep(self.flows.collect(closed))
            self.applications.update(view, packets, flow, side)
            self.behaviour.update(packets, flow, side)
            self.collectives.update(packets, flow, side, queue_pair)
            if self.balance is not None:
                self.balance.update(packets, flow, side)
                self.balance.flow_closed(closed)
            if closed.size:
                self.collectives.flow_closed(closed)
                self.ready_to_release.append((number, closed))

    def follow_iwarp(
        self,
        view: np.ndarray,
        packets: Packets,
        flow: np.ndarray,
        side: np.ndarray,
        closed: np.ndarray,
    ) -> None:
        """Look for iWARP from the first TCP packet on; before it, its kernels are not loaded."""
        if self.iwarp is None:
            if not (packets.protocol == _TCP).any():
                return
            from fabricscope.analyzers.iwarp.session import IwarpAnalyzer

            self.iwarp = IwarpAnalyzer()
        self.iwarp.update(view, packets, flow, side)
        if closed.size:
            self.iwarp.flow_closed(closed)

    def keep(self, closed: ClosedFlows) -> None:
        """Keep flows for the report, up to the bound; past it only their totals."""
        named = self.applications.close(closed)
        features = self.behaviour.describe(closed)
        self.behaviour.flow_closed(closed.slots)
        if self.listed < MAX_LISTED_FLOWS:
            self.features.append(features)
            self.closed.append(closed)
            self.named.append(named)
            self.listed += len(closed.slots)
            return
        self.unlisted["flows"] += len(closed.slots)
        self.unlisted["packets"] += int(closed.directions["packets"].sum())
        self.unlisted["bytes"] += int(closed.directions["bytes"].sum())

    def finish(self) -> Analysis:
        """Close all flows and settle what is open."""
        remaining = self.flows.open_slots()
        self.keep(self.flows.collect(remaining))
        for one, other in self.management.pairs(self.queue_pairs.queue_pairs):
            self.queue_pairs.pair(one, other)
        self.queue_pairs.finish()
        end_ns = self.flows.counters["last_ns"]
        tap_names = self.source.tap_names()
        single = isinstance(self.source, SingleFile)
        files = self.source.facts()
        captures = [files[0].path] if single and files else tap_names
        return Analysis(
            options=self.options,
            files=files,
            flows=self.flows,
            closed=self.closed,
            applications=self.named,
            behaviour=judge(np.concatenate(self.features)),
            collectives=self.collectives.finish(self.flows, self.queue_pairs, captures),
            queue_pairs=self.queue_pairs,
            connections=self.management.connections,
            pauses=self.pauses.finish(end_ns),
            pause_table=self.pauses,
            iwarp=self.iwarp.finish() if self.iwarp else None,
            taps=None if isinstance(self.source, SingleFile) else self.source.result,
            tap_names=tap_names,
            neighbours=self.applications.neighbours(),
            parallel_paths=self.balance.result(tap_names) if self.balance else [],
            unlisted=self.unlisted,
        )


def _path_balance() -> "PathBalance":
    from fabricscope.analyzers.balance import PathBalance

    return PathBalance()


def _import_beside() -> None:
    """Import what is needed at the end, for a sixth of a second, while the kernels work.

    Importing holds the interpreter, and threads that come out of a kernel would wait 5 ms for it
    each time: as long as several kernels run.
    """
    patience_s = sys.getswitchinterval()
    sys.setswitchinterval(_IMPORT_SWITCH_S)
    try:
        import fabricscope.analyzers.collectives.recognition
        import fabricscope.pipeline.document  # noqa: F401
    finally:
        sys.setswitchinterval(patience_s)


def _run(source: "SingleFile | SeveralTaps", options: Options) -> Analysis:
    run = _Run(source, options)
    # A merged batch lives until the next one is made, so only one can be under way.
    threads = min(max(options.threads, 1), MAX_THREADS) if isinstance(source, SingleFile) else 1
    workers = [
        threading.Thread(target=run.carry, name=f"batch-{number}", daemon=True)
        for number in range(threads)
    ]
    for worker in workers:
        worker.start()
    try:
        _import_beside()
        for worker in workers:
            # Ctrl-C may reach any thread, and then wakes this one only when it looks.
            while worker.is_alive():
                worker.join(_LOOK_EVERY_S)
    except BaseException as error:
        run.break_off(error)
        for worker in workers:
            worker.join(_LOOK_EVERY_S)  # longer only where it waits for standard input
        raise
    if run.failure is not None:
        raise run.failure
    return run.finish()


def analyze(paths: list[str], options: Options, progress: Progress) -> Analysis:
    """Analyze captures of one run together.

    paths: files, or `-` for standard input; several are taken as taps of the same traffic.
    Raises CaptureError when a file cannot be read at all.
    """
    if len(paths) == 1:
        try:
            with SingleFile(paths[0], progress) as source:
                if not source.can_restart and source.starts_with_more_taps():
                    return _run_several(paths, options, progress, opened=source)
                return _run(source, options)
        except _Restart:
            pass
    return _run_several(paths, options, progress)


def _run_several(
    paths: list[str], options: Options, progress: Progress, opened: SingleFile | None = None
) -> Analysis:
    from fabricscope.pipeline.several import SeveralTaps

    with SeveralTaps(paths, progress, opened=opened) as several:
        return _run(several, options)
