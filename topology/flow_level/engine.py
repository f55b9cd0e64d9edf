"""The flow-level engine: a workload over a fabric, with failures and the answers to them.

Rates are max-min fair and change at once when flows begin or end; queues, marks and pauses are
the packet engine's matter. Acknowledgements take no bandwidth, and a flow that moves to another
path while both work loses nothing by reordering.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.flow_level import kernels
from fabricscope.topology.flow_level.at_once import all_at_once, send_at_once
from fabricscope.topology.flow_level.network import Paths
from fabricscope.topology.flow_level.options import FlowOptions, make_settings
from fabricscope.topology.flow_level.outages import kernels as outages
from fabricscope.topology.flow_level.results import collect_outcome
from fabricscope.topology.flow_level.state import (
    Floats,
    Pairs,
    Queue,
    Schedule,
    Settings,
    Sharing,
    Way,
    Work,
)
from fabricscope.topology.flow_level.timeline import moments_of, windows_of
from fabricscope.topology.outcome import Outcome
from fabricscope.topology.recovery.plan import Plan, RouteChange
from fabricscope.topology.routing.balancing import Balancing, assign_hashes, pair_ends
from fabricscope.topology.routing.routes import Routes
from fabricscope.topology.workloads.striping import stripe
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["FlowOptions", "FlowRun", "run_flows"]


def run_flows(
    fabric: Fabric,
    routes: Routes,
    balancing: Balancing,
    workload: Transfers,
    failures: Sequence[Failure] = (),
    plans: Sequence[Plan] = (),
    options: FlowOptions | None = None,
) -> Outcome:
    """Return what becomes of `workload` when `failures` happen and `plans` answer them.

    Raises FabricError when striping makes too many transfers.
    """
    options = options or FlowOptions()
    if not failures and options.stop_ns == float("inf") and all_at_once(workload):
        return send_at_once(fabric, routes, balancing, workload, options)
    run = FlowRun(fabric, routes, balancing, workload, plans, options)
    run.play(failures, plans)
    return run.outcome()


class FlowRun:
    """One run, step by step: `play` it as a whole, or `advance` it and look at rates."""

    def __init__(
        self,
        fabric: Fabric,
        routes: Routes,
        balancing: Balancing,
        workload: Transfers,
        plans: Sequence[Plan],
        options: FlowOptions,
    ) -> None:
        """Lay everything out at time 0; nothing has been sent."""
        self.fabric = fabric
        self.options = options
        self.original = workload
        if balancing.queue_pairs > 1:
            workload = stripe(workload, balancing.queue_pairs)
        self.transfers = workload
        source, destination = pair_ends(workload)
        hashes = assign_hashes(fabric, routes, balancing, source, destination)
        self.paths = Paths(
            fabric,
            routes,
            balancing,
            source,
            destination,
            hashes,
            options.packet_bytes,
            options.header_bytes,
        )
        relabel = [plan.relabel_ns for plan in plans if plan.relabel_ns is not None]
        self.relabel_ns = min(relabel, default=-1.0)
        self.todo = Schedule.of(workload)
        self.pairs = Pairs.idle(source, destination, hashes)
        self.net, lost = self.paths.network()
        self.run = Sharing.empty(self.net)
        self.work = Work.empty(self.net)
        channels = len(fabric.channels.rate)
        delayed = int(np.count_nonzero((workload.waits == 0) & (workload.delay_ns > 0)))
        events = delayed + 4 * len(source) + min(len(workload.source), 1 << 16) + 1024
        self.queue = Queue.empty(events, len(source), channels)
        self.sent = np.zeros((1, channels))
        self.window_ns = [0.0]
        self.flushed_ns = 0.0
        self.lost_bytes = 0.0
        self.lossy_ns: tuple[float, float] | None = None
        self.at_once = all_at_once(workload)
        self._inspect(lost)
        self.started = False

    @property
    def settings(self) -> Settings:
        """Return the numbers that the kernels need now."""
        gap_ns = -1.0
        if self.paths.balancing.kind == "flowlet":
            gap_ns = self.paths.balancing.flowlet_gap_ns
        return make_settings(self.options, self.relabel_ns, gap_ns, self.at_once)

    def advance(self, until_ns: float) -> None:
        """Let everything happen up to `until_ns`."""
        settings = self.settings
        if not self.started:
            self.started = True
            kernels.begin(
                self.net, self.run, self.todo, self.pairs, self.queue, self._way, settings
            )
        while True:
            code = kernels.advance(
                self.net,
                self.run,
                self.work,
                self.todo,
                self.pairs,
                self.queue,
                self._way,
                settings,
                until_ns,
            )
            if code == kernels.DONE:
                return
            self.queue = self.queue.grown()

    def play(self, failures: Sequence[Failure], plans: Sequence[Plan]) -> None:
        """Run to the end, or to `options.stop_ns`."""
        stop_ns = self.options.stop_ns
        bounds = list(self.options.windows_ns or windows_of(failures, plans))
        relabel_ns = self.relabel_ns if self.paths.balancing.sprays else -1.0
        for now, what in moments_of(failures, plans, relabel_ns):
            if now >= stop_ns:
                break
            self._cut_windows(bounds, now)
            self.advance(now)
            self.change(now, what)
        self._cut_windows(bounds, stop_ns)
        self.advance(stop_ns)

    def _cut_windows(self, bounds: list[float], until_ns: float) -> None:
        """Cut at those of `bounds` that come up to `until_ns`, and take them out."""
        while bounds and bounds[0] <= until_ns and bounds[0] < np.inf:
            now_ns = bounds.pop(0)
            self.advance(now_ns)
            self.cut_window(now_ns)

    def set_fabric(self, what: Sequence[ChannelEvent | RouteChange]) -> None:
        """Take over what happened to the fabric before this run begins."""
        if what:
            self.change(0.0, list(what))

    def cut_window(self, now_ns: float) -> None:
        """Begin another window of `channel_bytes`."""
        self.flush(now_ns)
        self.window_ns.append(now_ns)
        self.sent = np.vstack((self.sent, np.zeros((1, self.sent.shape[1]))))

    def flush(self, now_ns: float) -> None:
        """Count what was sent so far on the paths that it took."""
        if self.pairs.loss.any():
            lossy = self.pairs.loss > 0
            active = lossy & (self.pairs.active == 1)
            passed = now_ns - self.pairs.since_ns[active]
            sent = self.pairs.sent[lossy].dot(self.pairs.loss[lossy])
            sent += (self.run.rate[active] * passed).dot(self.pairs.loss[active])
            if sent > 0:
                self.lost_bytes += float(sent)
                first_ns = self.lossy_ns[0] if self.lossy_ns else self.flushed_ns
                self.lossy_ns = (first_ns, now_ns)
                self.pairs.affected[lossy & ((self.pairs.sent > 0) | active)] = 1
        self.flushed_ns = now_ns
        classes = np.zeros(len(self.net.class_start) - 1)
        outages.flush(self.net, self.run, self.pairs, classes, self.sent[-1], now_ns)

    def outcome(self) -> Outcome:
        """Return the results up to now."""
        last_ns = float(np.nanmax(self.todo.finish_ns, initial=0.0))
        end_ns = max(float(self.queue.clock[0]), last_ns if self.options.stop_ns == np.inf else 0)
        self.flush(float(self.queue.clock[0]))
        return collect_outcome(self, end_ns)

    def change(self, now_ns: float, what: list[ChannelEvent | RouteChange | None]) -> None:
        """Let channels die or return and routes change, and the queue pairs follow."""
        touched: set[int] = set()
        devices: set[int] = set()
        self.queue.clock[1] = -np.inf  # no waiting for the next interval: paths are new
        for item in what:
            if isinstance(item, ChannelEvent):
                self.paths.set_channel(item.channel, item.rate_factor, item.loss)
                touched.add(item.channel)
            elif isinstance(item, RouteChange):
                self.paths.change_route(item)
                devices.add(item.device)
            else:
                self.paths.aware = True
        self.at_once = False
        if self.paths.balancing.sprays:
            self._follow_all(now_ns)
            return
        self.net.capacity[:] = self.paths.capacity()
        self._follow(self._concerned(touched, devices), touched, now_ns)
        for channel in touched:
            kernels.mark_dirty(self.queue, channel)

    def _concerned(self, channels: set[int], devices: set[int]) -> NDArray[np.int64]:
        """Return the flows that use one of `channels`, pass one of `devices`, or have no path."""
        marked = np.zeros(len(self.fabric.channels.rate) + 1, np.bool_)
        marked[list(channels)] = True
        if devices:
            marked[:-1] |= np.isin(self.fabric.channels.source, list(devices))
        entries = self.net.entries
        return np.flatnonzero(marked[entries].any(axis=1) | (entries[:, 0] < 0))

    def _follow(self, flows: NDArray[np.int64], channels: set[int], now_ns: float) -> None:
        """Give `flows` the paths that their hashes choose now; `channels` died or came back."""
        width = self.net.entries.shape[1]
        paths = self.paths.find(flows, width)
        here = np.isin(paths, list(channels)).any(axis=1)
        changed = here | (paths != self.net.entries[flows]).any(axis=1)
        flows, paths = flows[changed], paths[changed]
        net, run, pairs = self.net, self.run, self.pairs
        bad = np.zeros(len(flows), np.uint8)
        reach_ns = np.zeros(len(flows))
        outages.flush_flows(net, run, pairs, self.sent[-1], flows, now_ns)
        # How far the dead channel is counts on the old path: that is where the packets are.
        outages.inspect_paths(net, pairs, flows, bad, reach_ns)
        outages.release_paths(net, run, pairs, self.queue, flows, now_ns)
        net.entries[flows] = paths
        outages.inspect_paths(net, pairs, flows, bad, np.zeros(len(flows)))
        outages.follow_paths(
            self.todo, pairs, self.queue, self.settings, flows, bad, reach_ns, now_ns
        )

    def _follow_all(self, now_ns: float) -> None:
        """Spread all sprayed flows again."""
        self.flush(now_ns)
        flows = np.arange(len(self.pairs.active))
        reach_ns = self.pairs.latency_ns / 2
        outages.release_paths(self.net, self.run, self.pairs, self.queue, flows, now_ns)
        self.net, lost = self.paths.network()
        self.run = Sharing.empty(self.net)
        self.work = Work.empty(self.net)
        bad = self._inspect(lost)
        outages.follow_paths(
            self.todo, self.pairs, self.queue, self.settings, flows, bad, reach_ns, now_ns
        )

    def _inspect(self, lost: Floats) -> NDArray[np.uint8]:
        """Set what the flows' paths are like; return 1 for each one that is dead.

        lost: share of packets that sprayed flows lose.
        """
        flows = np.arange(len(lost))
        bad = np.zeros(len(lost), np.uint8)
        pairs, net = self.pairs, self.net
        outages.inspect_paths(net, pairs, flows, bad, np.zeros(len(lost)))
        sprayed = np.flatnonzero(net.class_of >= 0)
        if len(sprayed):
            paths = self.paths.hash_paths[sprayed]
            known = paths[:, 0] >= 0
            latency_ns = (np.append(net.delay_ns, 0.0)[paths]).sum(axis=1)
            latency_ns -= net.packet_ns[paths[:, 0]]
            pairs.latency_ns[sprayed[known]] = latency_ns[known]
            pairs.loss[sprayed] = lost[sprayed]
            bad[sprayed] = lost[sprayed] > 1.0 - 1e-9
        return bad

    @property
    def _way(self) -> Way:
        path = np.empty((1, self.net.entries.shape[1]), np.int32)
        return Way(self.paths.routes, self.paths.state, self.paths.seeds, self.sent[-1], path)
