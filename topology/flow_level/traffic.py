"""What runs over some channels at a moment, for recovery schemes that sample packets."""

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.flow_level.engine import FlowOptions, FlowRun
from fabricscope.topology.recovery.plan import Traffic
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.routing.routes import Routes
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["traffic_at"]


def traffic_at(
    fabric: Fabric,
    routes: Routes,
    balancing: Balancing,
    workload: Transfers,
    time_ns: float,
    channels: NDArray[np.int32],
    window_ns: float = 100_000.0,
    options: FlowOptions | None = None,
) -> Traffic:
    """Return the packets/ns on `channels`, by destination group, around `time_ns`.

    The mean of the `window_ns` before it (after it, where the run has only begun), because a
    collective pauses for a moment between its steps.
    """
    run = FlowRun(fabric, routes, balancing, workload, (), options or FlowOptions())
    begin_ns = max(0.0, time_ns - window_ns)
    run.advance(begin_ns)
    run.flush(begin_ns)
    end_ns = begin_ns + window_ns
    run.advance(end_ns)
    pairs, net = run.pairs, run.net
    passed_ns = np.where(pairs.active == 1, end_ns - pairs.since_ns, 0.0)
    sent = pairs.sent + run.run.rate * passed_ns
    group = routes.group[pairs.destination]
    groups = routes.distance.shape[0]
    packets = np.zeros((len(channels), groups))
    rate = sent / window_ns / run.options.packet_bytes
    for row, channel in enumerate(channels.tolist()):
        flow, hop = np.nonzero(net.entries == channel)
        weight = net.weights[flow * net.stride, hop]
        np.add.at(packets[row], group[flow], rate[flow] * weight)
        begin, end = net.channel_start[channel : channel + 2]
        for of, share in zip(
            net.channel_classes[begin:end], net.channel_weights[begin:end], strict=True
        ):
            flow = np.flatnonzero(net.class_of == of)
            np.add.at(packets[row], group[flow], rate[flow] * share)
    return Traffic(channels, packets)
