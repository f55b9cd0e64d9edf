"""Kernels of what is known beforehand: failures, repairs, port signals and planned routes."""

import numpy as np
from numba import njit

from fabricscope.topology.packet_level.events.kernels import (
    schedule,
)
from fabricscope.topology.packet_level.layout import (
    CHANGE_CHANNEL,
    CHANGE_CRASH,
    CHANGE_ROUTE,
    CHANGE_SIGNAL,
)
from fabricscope.topology.packet_level.queues.kernels import (
    retime,
)
from fabricscope.topology.packet_level.recovery.kernels import (
    ACT_DETECT,
    new_routes,
    plan_action,
)


@njit(cache=True, nogil=True, _nrt=False)
def use_route(net, device, channel, group, use):
    """Use or no longer use `channel` on `device` for a destination group, or for all (-1)."""
    row = np.int64(net.routes.row[device])
    if group < 0 or row < 0:
        net.state.withdrawn[channel] = 0 if use else 1
        return
    entry = row * net.routes.distance.shape[0] + group
    for place in range(net.routes.start[entry], net.routes.start[entry + 1]):
        if net.routes.channels[place] == channel:
            net.state.excluded[place] = 0 if use else 1


@njit(cache=True, nogil=True, _nrt=False)
def change_channel(net, channel, ps_per_byte, loss, now):
    """Give a channel another rate and loss; 0 ps/byte kills it."""
    port = net.ports[channel]
    port["loss"] = loss
    port["watched"] = 1
    if ps_per_byte <= 0.0:
        if not port["dead"]:
            port["dead"] = 1
            port["down_since"] = now
        return
    if port["dead"]:
        port["dead"] = 0
        port["alive_since"] = now
    port["ps_per_byte"] = ps_per_byte
    retime(
        net.heap, net.clock[0], net.due, net.ports, net.devices, net.packets, channel, now
    )  # fmt: skip


@njit(cache=True, nogil=True, _nrt=False)
def apply_changes(net, now):
    """Apply what is planned for `now`, and plan the next look."""
    clock = net.clock[0]
    rules = net.rules[0]
    changed = False
    while clock["next_change"] < len(net.changes):
        change = net.changes[clock["next_change"]]
        if change["time"] > now:
            break
        clock["next_change"] += 1
        device = np.int64(change["device"])
        channel = np.int64(change["channel"])
        if change["kind"] == CHANGE_CHANNEL:
            change_channel(net, channel, change["value"], change["loss"], now)
        elif change["kind"] == CHANGE_SIGNAL:
            device = np.int64(net.ports[channel]["source"])
            if rules["plane"] and net.takes_part[device]:
                up = np.int64(change["value"])
                plan_action(net, now + rules["detect"], ACT_DETECT, device, channel, up, -1, 0)
        elif change["kind"] == CHANGE_ROUTE:
            use_route(net, device, channel, np.int64(change["group"]), change["value"] > 0.0)
            changed = True
        elif change["kind"] == CHANGE_CRASH:
            net.takes_part[device] = 0
        else:
            clock["window"] = np.int64(change["value"])
    if changed:
        new_routes(net, now)
    if clock["next_change"] < len(net.changes):
        time = net.changes[clock["next_change"]]["time"]
        schedule(net.heap, clock, net.due, time, clock["base_change"])
