"""Workloads whose first rates are final: one solution is the whole run.

When all flows begin together and are as long, none of the flows on the channel that limits a flow
is faster than it, so whatever ends before it does not use that channel, and its rate never
changes.
"""

import numpy as np

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.flow_level.network import Paths
from fabricscope.topology.flow_level.options import FlowOptions
from fabricscope.topology.flow_level.results import iteration_ends
from fabricscope.topology.flow_level.state import Sharing, Work
from fabricscope.topology.flow_level.static import kernels
from fabricscope.topology.outcome import Outcome, Stalled
from fabricscope.topology.routing.balancing import Balancing, assign_hashes, pair_ends
from fabricscope.topology.routing.routes import Routes
from fabricscope.topology.workloads.striping import stripe
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["all_at_once", "send_at_once"]


def all_at_once(transfers: Transfers) -> bool:
    """Return whether all transfers start together, are as long, and each has its queue pair."""
    count = len(transfers.source)
    return bool(
        count
        and len(transfers.successors) == 0
        and transfers.size_bytes.min() == transfers.size_bytes.max()
        and transfers.delay_ns.min() == transfers.delay_ns.max()
        and int(transfers.queue_pair.max()) + 1 == count
    )


def send_at_once(
    fabric: Fabric,
    routes: Routes,
    balancing: Balancing,
    transfers: Transfers,
    options: FlowOptions,
) -> Outcome:
    """Return what becomes of transfers that are `all_at_once`, without a failure."""
    whole = transfers
    if balancing.queue_pairs > 1:
        transfers = stripe(transfers, balancing.queue_pairs)
    source, destination = pair_ends(transfers)
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
    net, _ = paths.network()
    # The lists of flows are not used; without flows they take no memory.
    nobody = net._replace(entries=net.entries[:0])
    run, work = Sharing.empty(nobody), Work.empty(nobody)
    rates = kernels.share_all(net, run, work, source, destination)
    finish_ns, sent = kernels.finish_all(
        net,
        paths.hash_paths,
        rates,
        transfers.queue_pair,
        transfers.size_bytes,
        transfers.delay_ns,
    )
    if transfers is not whole:
        finish_ns = finish_ns.reshape(len(whole.source), -1).max(axis=1)
    came = ~np.isnan(finish_ns)
    end_ns = float(finish_ns.max(initial=0.0, where=came))
    windows = np.zeros((3, len(sent)))
    windows[0] = sent / paths.goodput
    missing = len(came) - int(np.count_nonzero(came))
    size = int(whole.size_bytes[0])
    return Outcome(
        finish_ns=finish_ns,
        iterations=iteration_ends(whole, finish_ns),
        makespan_ns=float("nan") if missing else end_ns,
        window_ns=np.array((0.0, end_ns, end_ns, end_ns)),
        channel_bytes=windows,
        packets_lost=0,
        bytes_lost=0,
        loss_duration_ns=0.0,
        flows_affected=0,
        qps_rtt=0,
        qps_timeout=0,
        events=len(transfers.source),
        data_packets=(len(came) - missing) * -(-size // options.packet_bytes),
        stalled=(Stalled("no path is left", missing),) if missing else (),
    )
