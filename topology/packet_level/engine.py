"""Runs a workload packet by packet over a fabric that fails, and tells what it cost.

Not modelled: several traffic classes (one lossless class, and strict priority for CNPs, pause
frames and notices), cut-through switching, the quanta of a pause (it lasts until it is taken
back), deadlock watchdogs, RNR NAKs, READ and atomic operations, and the hosts' PCIe and memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failures import Failure
from fabricscope.topology.outcome import Iterations, Outcome, Stalled
from fabricscope.topology.packet_level import kernels, layout
from fabricscope.topology.packet_level.conservation import check_conservation
from fabricscope.topology.packet_level.layout import Network
from fabricscope.topology.packet_level.network import build_network, enlarge, picoseconds
from fabricscope.topology.packet_level.parameters import Nic, PacketOptions, SwitchModel
from fabricscope.topology.recovery.plan import Plan
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.routing.routes import Routes
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["NO_PLAN", "PacketOutcome", "collect_outcome", "run_network", "run_packets"]

NO_PLAN: Final = Plan(())

_EVENTS_A_CALL: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class PacketOutcome(Outcome):
    """An outcome with what only packets show.

    acknowledged_ns: (transfers) when the sender knew. lost: packets of all kinds by cause.
    queue_pairs: (queue pairs) rows of `layout.QUEUE_PAIR` at the end. pauses: pause frames that
    stopped a port; pause_ns: (channels) time each port was stopped; marked: packets that were
    marked; most_queued_bytes: left out. log: rows of `layout.LOG`, what the data plane did. taps:
    rows of `layout.TAP` in order of time. missed: lines and tap packets beyond their bounds.
    """

    acknowledged_ns: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    lost: dict[str, int] = field(default_factory=dict)
    queue_pairs: NDArray[np.void] = field(default_factory=lambda: np.empty(0, layout.QUEUE_PAIR))
    pauses: int = 0
    pause_ns: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    marked: int = 0
    packets_sent: int = 0
    packets_refused: int = 0
    log: NDArray[np.void] = field(default_factory=lambda: np.empty(0, layout.LOG))
    taps: NDArray[np.void] = field(default_factory=lambda: np.empty(0, layout.TAP))
    counters: dict[str, int] = field(default_factory=dict)


def run_packets(
    fabric: Fabric,
    routes: Routes,
    balancing: Balancing,
    workload: Transfers,
    failures: Sequence[Failure] = (),
    plan: Plan = NO_PLAN,
    nic: Nic | None = None,
    switch: SwitchModel | None = None,
    taps: Sequence[int] = (),
    seed: int = 1,
    options: PacketOptions | None = None,
) -> PacketOutcome:
    """Run `workload` to its end and return what happened.

    taps: channels with a mirror port. Raises FabricError when the run needs more events than
    `options.most_events`, or the fabric is too large.
    """
    options = options or PacketOptions()
    windows_ns = options.windows_ns or _windows(failures, plan)
    network = build_network(
        fabric, routes, balancing, workload, failures, plan, nic or Nic(),
        switch or SwitchModel(), taps, seed, options, windows_ns,
    )  # fmt: skip
    network = run_network(network, options)
    return collect_outcome(network, workload, windows_ns, options)


def run_network(network: Network, options: PacketOptions, pause: int = 0) -> Network:
    """Let the kernel run to `options.until_ns`, giving it room when it needs some.

    pause: come back after about so many events; 0: do not.
    """
    limit = layout.NEVER
    if options.until_ns is not None:
        limit = picoseconds(options.until_ns)
    degrees = network.devices["out_end"] - network.devices["out_start"]
    followers = np.diff(network.successor_start)
    margin = int(max(degrees.max(initial=0), followers.max(initial=0))) * 2 + 16
    clock = network.clock[0]
    network = enlarge(network, margin * 4, margin * 4, margin)
    events = 1 if options.check else pause or _EVENTS_A_CALL
    while True:
        code = kernels.advance(network, limit, events, margin)
        if options.check:
            check_conservation(network)
        if code in (layout.DONE, layout.REACHED_LIMIT) or (pause and code == layout.TOOK_ENOUGH):
            return network
        if clock["events"] > options.most_events:
            raise FabricError(
                f"the packet level has run {clock['events']:,} events up to "
                f"{clock['now'] / 1e9:.3f} ms; shorten the workload or use the flow level"
            )
        if clock["free_packets"] < margin:
            network = enlarge(network, 2 * len(network.packets), 0)
        if clock["free_actions"] < margin:
            network = enlarge(network, 0, 2 * len(network.actions))
        if clock["heap_size"] + margin > len(network.heap.time):
            network = enlarge(network, 0, 0, len(network.heap.time))


def _windows(failures: Sequence[Failure], plan: Plan) -> tuple[float, float]:
    """Return the first failure's start and the last thing that changes, or infinities."""
    if not failures:
        return float("inf"), float("inf")
    start = min(failure.start_ns for failure in failures)
    ends = [event.time_ns for failure in failures for event in failure.events]
    ends += [change.time_ns for change in (*plan.changes, *plan.beneath)]
    return start, max([start, *ends])


def collect_outcome(
    network: Network, workload: Transfers, windows_ns: tuple[float, float], options: PacketOptions
) -> PacketOutcome:
    """Return what a network that has run tells; windows_ns: ends of the first two windows."""
    clock = network.clock[0]
    transfers, pairs = network.transfers, network.queue_pairs
    finish_ns = _times(transfers["finished"])
    now_ns = float(clock["now"]) / 1000
    affected = pairs["lost"] > 0
    timeout = affected & (pairs["timeouts"] > 0)
    makespan = float(finish_ns.max()) if len(finish_ns) else 0.0
    end_ns = now_ns if np.isnan(makespan) else makespan
    window_ns = np.minimum(np.array([0.0, *windows_ns, np.inf]), end_ns)
    taps = network.taps[: clock["tap_size"]]
    first, last = int(clock["first_loss"]), int(clock["last_loss"])
    names = ("created_entries", "aged_entries", "resource_fails", "samples", "notices")
    missed = ("log_missed", "tap_missed")
    return PacketOutcome(
        finish_ns=finish_ns,
        iterations=_iterations(workload, finish_ns),
        makespan_ns=makespan,
        window_ns=window_ns,
        channel_bytes=network.channel_bytes.astype(np.float64),
        packets_lost=int(clock["lost_data"]),
        bytes_lost=int(clock["lost_bytes"]),
        loss_duration_ns=(last - first) / 1000 if first >= 0 else 0.0,
        flows_affected=int(affected.sum()),
        qps_rtt=int((affected & ~timeout & (pairs["state"] != layout.QP_FAILED)).sum()),
        qps_timeout=int(timeout.sum()),
        events=int(clock["events"]),
        data_packets=int(clock["delivered"]),
        stalled=_stalled(network, options),
        acknowledged_ns=_times(transfers["acknowledged"]),
        lost={name: int(n) for name, n in zip(layout.CAUSES, network.lost, strict=True)},
        queue_pairs=pairs,
        pauses=int(clock["pauses"]),
        pause_ns=network.ports["paused_total"] / 1000,
        marked=int(clock["marked"]),
        packets_sent=int(clock["sent"]),
        packets_refused=int(clock["refused"]),
        log=network.log[: clock["log_size"]],
        taps=taps[np.argsort(taps["time"], kind="stable")],
        counters={name: int(clock[name]) for name in (*names, *missed)},
    )


def _times(times_ps: NDArray[np.int64]) -> NDArray[np.float64]:
    times = times_ps / 1000.0
    times[times_ps < 0] = np.nan
    return times


def _iterations(workload: Transfers, finish_ns: NDArray[np.float64]) -> Iterations:
    order = np.lexsort((workload.iteration, workload.job))
    job, iteration = workload.job[order], workload.iteration[order]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (job[1:] != job[:-1]) | (iteration[1:] != iteration[:-1])
    starts = np.flatnonzero(fresh)
    ends = np.maximum.reduceat(finish_ns[order], starts) if len(starts) else finish_ns[:0]
    return Iterations(job[starts], iteration[starts], ends)


def _stalled(network: Network, options: PacketOptions) -> tuple[Stalled, ...]:
    """Return why transfers never arrived."""
    transfers, pairs = network.transfers, network.queue_pairs
    missing = transfers["finished"] < 0
    if not missing.any():
        return ()
    failed = pairs["state"][transfers["qp"]] == layout.QP_FAILED
    begun = transfers["started"] >= 0
    retries = int(network.rules[0]["retries"])
    if options.until_ns is not None:
        rest = "the run was stopped before"
    else:
        rest = "no path led to the destination"
    reasons = (
        (f"its queue pair failed after {retries} retries", missing & failed),
        (rest, missing & ~failed & begun),
        ("what it waited for never arrived", missing & ~failed & ~begun),
    )
    return tuple(Stalled(text, int(rows.sum())) for text, rows in reasons if rows.any())
