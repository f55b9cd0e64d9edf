"""Rings with too many steps to write out, by rule: the flow-level engine for 16,384 GPUs.

All ranks' flows share the links as if all of them always had something to send: a rank that waits
for the one before it keeps its share. The pace of a ring is that of its slowest flow, which waits
for nobody, so this is exact where flows that share a full link are equally fast (spraying, pinned
paths, one flow a link), and tells the pace on others.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failures import ChannelEvent, Failure
from fabricscope.topology.flow_level.network import Paths
from fabricscope.topology.flow_level.options import FlowOptions, make_settings
from fabricscope.topology.flow_level.outages import kernels as outages
from fabricscope.topology.flow_level.rings import kernels
from fabricscope.topology.flow_level.state import Floats, Network, Pairs, Sharing, Work
from fabricscope.topology.flow_level.static.kernels import share_all
from fabricscope.topology.flow_level.timeline import moments_of, windows_of
from fabricscope.topology.outcome import Iterations, Outcome, Stalled
from fabricscope.topology.recovery.plan import ALL_GROUPS, Plan, RouteChange
from fabricscope.topology.routing.balancing import Balancing, assign_hashes
from fabricscope.topology.routing.routes import Routes
from fabricscope.topology.workloads.rings import Rings

__all__ = ["run_rings"]

MAX_EPOCH_FLOWS = 50_000_000
MANY_SHARES = 2_000_000
"""Sprayed rings whose flows have so many channels to spread over take seconds a change."""
MOST_MOMENTS = 3
"""Of route changes then; the others are put off to the next of these."""


class _Epochs:
    """What the flows get between one change of the fabric and the next."""

    def __init__(self, paths: Paths, options: FlowOptions) -> None:
        self.paths = paths
        self.options = options
        self.bounds_ns: list[float] = []
        self.rate: list[Floats] = []
        self.latency_ns: list[Floats] = []
        self.reach_ns: list[Floats] = []
        self.nets: list[Network] = []
        self.used: list[NDArray[np.bool_]] = []
        self.loss: list[Floats] = []
        self.share: list[Floats] = []

    def add(self, begin_ns: float) -> None:
        """Begin an epoch with the paths as they are now."""
        paths, count = self.paths, len(self.paths.source)
        if (len(self.rate) + 1) * count > MAX_EPOCH_FLOWS:
            raise FabricError(
                f"{len(self.rate) + 1:,} changes of the fabric for {count:,} flows do not fit; "
                "take fewer flaps or fewer ranks"
            )
        net, lost = paths.network()
        pairs = Pairs.idle(paths.source, paths.destination, paths.hashes)
        bad = np.zeros(count, np.uint8)
        reach_ns = np.zeros(count)
        outages.inspect_paths(net, pairs, np.arange(count), bad, reach_ns)
        if self.nets:
            # Packets on their way are on the path that was used so far.
            before = self.nets[-1]._replace(alive=paths.alive)
            reach_ns = np.zeros(count)
            outages.inspect_paths(before, pairs, np.arange(count), bad.copy(), reach_ns)
            outages.inspect_paths(net, pairs, np.arange(count), bad, np.zeros(count))
        sprayed = net.class_of >= 0
        bad[sprayed] = lost[sprayed] > 1.0 - 1e-9
        loss = np.where(sprayed, lost, pairs.loss)
        net = net._replace(alive=net.alive.copy(), entries=net.entries.copy())
        sharing = net._replace(entries=np.where(bad[:, None] == 1, -1, net.entries))
        sharing.class_of[bad == 1] = -1
        nobody = net._replace(entries=net.entries[:0])
        rate = share_all(
            sharing, Sharing.empty(nobody), Work.empty(nobody), paths.source, paths.destination
        )
        hops = paths.hash_paths
        latency_ns = np.append(net.delay_ns, 0.0)[hops].sum(axis=1) - net.packet_ns[hops[:, 0]]
        if self.latency_ns:
            latency_ns = np.where(hops[:, 0] >= 0, latency_ns, self.latency_ns[-1])
        self.loss.append(np.where(bad == 1, 0.0, rate * loss))
        self.share.append(np.where(bad == 1, 0.0, loss))
        rate *= self._progress(rate, loss, latency_ns)
        self.bounds_ns.append(begin_ns)
        self.rate.append(rate)
        self.latency_ns.append(latency_ns)
        self.reach_ns.append(np.where(bad == 1, np.where(sprayed, latency_ns / 2, reach_ns), 0.0))
        self.nets.append(net)
        used = np.zeros(len(net.capacity) + 1, np.bool_)
        used[net.entries] = True
        used[net.class_channels] = True
        self.used.append(used[:-1])

    def _progress(self, rate: Floats, loss: Floats, latency_ns: Floats) -> Floats:
        """Return the share of the sent bytes that count; see `kernels._set_rate`."""
        kept = 1.0 - loss
        if self.options.selective:
            return kept
        rtt_ns = 2.0 * latency_ns if self.options.rtt_ns < 0 else self.options.rtt_ns
        flying = np.minimum(self.options.window_bytes, rate * rtt_ns) / self.options.packet_bytes
        whole = kept + loss * np.maximum(flying, 1.0)
        return np.where(loss > 0, kept / np.maximum(whole, 1e-300), 1.0)

    def concerns(self, change: RouteChange) -> bool:
        """Return whether a flow uses the channel of `change` for its group, now or at first."""
        return any(
            use[change.channel] and self._meets(net, change)
            for net, use in ((self.nets[0], self.used[0]), (self.nets[-1], self.used[-1]))
        )

    def _meets(self, net: Network, change: RouteChange) -> bool:
        begin, end = net.channel_start[change.channel : change.channel + 2]
        kinds = net.channel_classes[begin:end]
        group = self.paths.routes.group[self.paths.destination]
        flows = np.arange(len(group))
        if change.group != ALL_GROUPS:
            flows = np.flatnonzero(group == change.group)
        if (net.entries[flows] == change.channel).any():
            return True
        return bool(len(kinds) and np.isin(net.class_of[flows], kinds).any())


def run_rings(
    fabric: Fabric,
    routes: Routes,
    balancing: Balancing,
    rings: Rings,
    failures: Sequence[Failure] = (),
    plans: Sequence[Plan] = (),
    options: FlowOptions | None = None,
) -> Outcome:
    """Return what becomes of `rings` when `failures` happen and `plans` answer them.

    `Outcome.finish_ns` is empty. Raises FabricError for queue-pair scaling, for which spraying
    stands in, and for too many changes.
    """
    options = options or FlowOptions()
    jobs, ranks = rings.members.shape
    source, destination = rings.ends
    hashes = assign_hashes(fabric, routes, balancing, source, destination)
    paths = Paths(
        fabric,
        routes,
        balancing,
        source,
        destination,
        hashes,
        options.packet_bytes,
        options.header_bytes,
    )
    relabel_ns = min((p.relabel_ns for p in plans if p.relabel_ns is not None), default=-1.0)
    epochs = _Epochs(paths, options)
    epochs.add(0.0)
    moments = list(moments_of(failures, plans, relabel_ns))
    if len(epochs.nets[0].class_channels) > MANY_SHARES:
        moments = _merge(moments)
    for now_ns, what in moments:
        if now_ns >= options.stop_ns:
            break
        if _change(paths, epochs, what):
            epochs.add(now_ns)
    count = len(epochs.rate)
    ends_ns = np.zeros((jobs, rings.iterations))
    sent = np.zeros((count, len(source)), np.int64)
    recovered = np.zeros(len(source), np.int64)
    totals = np.array((0.0, 0.0, np.inf, -np.inf))
    rate = np.array(epochs.rate)
    step_ns = np.divide(rings.chunk_bytes, rate, out=np.full_like(rate, np.inf), where=rate > 0)
    arrays = (
        np.array([*epochs.bounds_ns, np.inf]),
        rate,
        np.array(epochs.latency_ns),
        np.array(epochs.reach_ns),
        step_ns,
        np.array(epochs.share),
    )
    rule = (
        rings.steps, rings.iterations, float(rings.chunk_bytes), float(rings.compute_ns),
        float(rings.start_ns),
    )  # fmt: skip
    settings = make_settings(options, relabel_ns, -1.0, False)
    lossy = np.flatnonzero((arrays[-1] > 0).any(axis=0))
    for job in range(jobs):
        begin = job * ranks
        own = lossy[(lossy >= begin) & (lossy < begin + ranks)] - begin
        kernels.run_ring(
            rule, begin, ranks, arrays, settings, own, ends_ns[job], sent, recovered, totals
        )
    return _outcome(rings, epochs, failures, plans, ends_ns, sent, recovered, totals)


def _merge(
    moments: Sequence[tuple[float, list[ChannelEvent | RouteChange | None]]],
) -> list[tuple[float, list[ChannelEvent | RouteChange | None]]]:
    """Return few moments: route changes that follow one another happen with the last of them."""
    most = -(-len(moments) // MOST_MOMENTS)
    merged: list[tuple[float, list[ChannelEvent | RouteChange | None]]] = []
    count = 0
    for now_ns, what in moments:
        routes_only = all(isinstance(item, RouteChange) for item in what)
        if count and routes_only and count < most:
            merged[-1] = (now_ns, merged[-1][1] + what)
            count += 1
        else:
            merged.append((now_ns, what))
            count = int(routes_only)
    return merged


def _change(paths: Paths, epochs: _Epochs, what: list[ChannelEvent | RouteChange | None]) -> bool:
    """Apply changes of one moment; return whether any flow is concerned."""
    concerned = False
    for item in what:
        if isinstance(item, ChannelEvent):
            paths.set_channel(item.channel, item.rate_factor, item.loss)
            concerned = True
        elif isinstance(item, RouteChange):
            concerned |= epochs.concerns(item)
            paths.change_route(item)
        else:
            concerned = True
            paths.aware = True
            bad = np.flatnonzero(epochs.rate[-1] <= 0)
            for _ in range(16):
                dead = (paths.alive[paths.find(bad, paths.hash_paths.shape[1])] == 0).any(axis=1)
                bad = bad[dead]
                paths.hashes[bad] = paths.hashes[bad] * np.uint64(6364136223846793005) + 1
    return concerned


def _outcome(
    rings: Rings,
    epochs: _Epochs,
    failures: Sequence[Failure],
    plans: Sequence[Plan],
    ends_ns: Floats,
    sent: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    recovered: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    totals: Floats,
) -> Outcome:
    options = epochs.options
    per_byte = (options.packet_bytes + options.header_bytes) / options.packet_bytes
    jobs = len(rings.members)
    ends_ns = np.where(np.isfinite(ends_ns), ends_ns, np.nan)
    end_ns = float(np.nanmax(ends_ns, initial=0.0))
    total = rings.steps * rings.iterations
    bounds = np.array(windows_of(failures, plans) or (np.inf, np.inf))
    # The share of its time in which a rank sends; the rest it waits.
    healthy = epochs.rate[0]
    sending_ns = np.divide(
        rings.chunk_bytes * total, healthy, out=np.zeros_like(healthy), where=healthy > 0
    )
    busy = np.minimum(sending_ns / max(end_ns, 1.0), 1.0)
    carried = np.zeros((3, len(epochs.paths.fabric.channels.rate)))
    later = np.vstack((sent[1:], np.full((1, sent.shape[1]), total)))
    for number, net in enumerate(epochs.nets):
        window = int((epochs.bounds_ns[number] >= bounds).sum())
        chunk = (later[number] - sent[number]) * rings.chunk_bytes * per_byte
        begin_ns, stop_ns = np.minimum((*epochs.bounds_ns, end_ns)[number : number + 2], end_ns)
        lost = epochs.loss[number] * (stop_ns - begin_ns) * busy
        if lost.any():
            totals[1] += lost.sum()
            totals[2] = min(totals[2], begin_ns)
            totals[3] = max(totals[3], stop_ns)
            recovered[lost > 0] = np.maximum(recovered[lost > 0], 1)
        pairs = Pairs.idle(epochs.paths.source, epochs.paths.destination, epochs.paths.hashes)
        pairs.sent[:] = chunk
        classes = np.zeros(len(net.class_start) - 1)
        nobody = net._replace(entries=net.entries[:0])
        outages.flush(net, Sharing.empty(nobody), pairs, classes, carried[window], 0.0)
    missing = int((recovered == 3).sum())
    windows = np.array((0.0, *np.minimum(bounds, end_ns), end_ns))
    return Outcome(
        finish_ns=np.empty(0),
        iterations=Iterations(
            np.repeat(np.arange(jobs, dtype=np.int16), rings.iterations),
            np.tile(np.arange(rings.iterations, dtype=np.int32), jobs),
            ends_ns.ravel(),
        ),
        makespan_ns=float(ends_ns.max(initial=0.0)),
        window_ns=windows,
        channel_bytes=carried,
        packets_lost=round(totals[1] / options.packet_bytes),
        bytes_lost=round(totals[1] * per_byte),
        loss_duration_ns=float(totals[3] - totals[2]) if totals[2] < np.inf else 0.0,
        flows_affected=int((recovered > 0).sum()),
        qps_rtt=int((recovered == 1).sum()),
        qps_timeout=int((recovered == 2).sum()),
        events=int(totals[0]),
        data_packets=total * len(recovered) * int(-(-rings.chunk_bytes // options.packet_bytes)),
        stalled=(Stalled("the queue pair gave up after its last retry", missing),)
        if missing
        else (),
    )
