"""Route tables: for each switch and destination the equal-cost next hops, as arrays.

Shortest paths by hops, as BGP or OSPF with equal costs install them. When routes change is a
matter of the recovery schemes; here they are made once, for the whole fabric.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import ENDPOINT_KINDS, NO_LINK, NVLINK_SWITCH, Fabric
from fabricscope.topology.routing import kernels

__all__ = [
    "MAX_HOPS",
    "RouteState",
    "Routes",
    "build_routes",
    "device_seeds",
    "find_paths",
    "longest_path",
]

MAX_HOPS = kernels.MAX_HOPS
"""Channels of the longest path: NIC, three tiers up and down, and two to spare."""


class Routes(NamedTuple):
    """Equal-cost next hops. Endpoints that hang on the same switches are one destination group.

    group: (devices) destination group of an endpoint, -1 for switches.
    row: (devices) row of a switch, -1 for endpoints.
    start: (rows * groups + 1) where the next hops of `row * groups + group` begin in `channels`.
    channels: (entries) channel numbers, ascending within an entry list.
    distance: (groups, rows) hops from a switch to the group's switches; 255 unreachable.
    uplink_start, uplinks: (devices + 1), (uplinks) channels from an endpoint to its switches.
    nvlink: (devices) channel from a GPU to its server's NVLink switch, -1 for none.
    server: (devices) chassis number, -1 for none.
    target: (channels) device that a channel leads to.
    """

    group: NDArray[np.int32]
    row: NDArray[np.int32]
    start: NDArray[np.int64]
    channels: NDArray[np.int32]
    distance: NDArray[np.uint8]
    uplink_start: NDArray[np.int32]
    uplinks: NDArray[np.int32]
    nvlink: NDArray[np.int32]
    server: NDArray[np.int32]
    target: NDArray[np.int32]


class RouteState(NamedTuple):
    """What forwarding excludes at the moment; the engines change it while they run.

    excluded: (entries) 1 where a switch no longer uses this next hop for this destination group.
    withdrawn: (channels) 1 where the sending device no longer uses this port for anything.
    """

    excluded: NDArray[np.uint8]
    withdrawn: NDArray[np.uint8]

    @classmethod
    def initial(cls, routes: Routes) -> "RouteState":
        """Return a state in which every route is used."""
        return cls(np.zeros(len(routes.channels), np.uint8), np.zeros(len(routes.target), np.uint8))


def build_routes(fabric: Fabric, alone: tuple[int, ...] = ()) -> Routes:
    """Return the equal-cost routes of `fabric`.

    alone: endpoints that get a destination group of their own, so that their access link can be
    withdrawn by itself. Raises FabricError when an endpoint has no link to a switch.
    """
    devices = fabric.devices
    count = len(devices)
    channels = fabric.channels
    endpoint = np.array([d.kind in ENDPOINT_KINDS for d in devices], np.bool_)
    inner = np.array([d.kind == NVLINK_SWITCH for d in devices], np.bool_)
    row = np.full(count, -1, np.int32)
    switches = np.flatnonzero(~endpoint & ~inner)
    row[switches] = np.arange(len(switches), dtype=np.int32)
    up = endpoint[channels.source] & (row[channels.target] >= 0)
    order = np.flatnonzero(up)[np.argsort(channels.source[up], kind="stable")]
    uplink_start = np.searchsorted(channels.source[order], np.arange(count + 1)).astype(np.int32)
    uplinks = order.astype(np.int32)
    group, members = _group(fabric, uplink_start, channels.target[uplinks], set(alone))
    nvlink = np.full(count, NO_LINK, np.int32)
    inside = np.flatnonzero(endpoint[channels.source] & inner[channels.target])
    nvlink[channels.source[inside]] = inside
    between = np.flatnonzero((row[channels.source] >= 0) & (row[channels.target] >= 0))
    between = between[np.argsort(row[channels.source[between]], kind="stable")]
    first = np.searchsorted(row[channels.source[between]], np.arange(len(switches) + 1))
    peers = row[channels.target[between]].astype(np.int32)
    member_start = np.cumsum([0, *map(len, members)]).astype(np.int64)
    flat = [row[switch] for switches_of in members for switch in switches_of]
    distance = kernels.find_distances(
        first.astype(np.int64), peers, member_start, np.array(flat, np.int32)
    )
    start, hops = kernels.find_next_hops(
        first.astype(np.int64), peers, between.astype(np.int32), distance
    )
    server = np.array([d.server for d in devices], np.int32)
    return Routes(
        group, row, start, hops, distance, uplink_start, uplinks, nvlink, server, channels.target
    )


def device_seeds(fabric: Fabric, seed: int, polarised: bool = False) -> NDArray[np.uint64]:
    """Return each device's hash seed; all the same when `polarised`.

    Switches that hash alike choose alike: the second tier then uses a part of its links only.
    """
    if polarised:
        return np.full(len(fabric.devices), seed, np.uint64)
    generator = np.random.default_rng(seed)
    seeds: NDArray[np.uint64] = generator.integers(0, 2**64, len(fabric.devices), np.uint64)
    return seeds


def find_paths(
    routes: Routes,
    state: RouteState,
    seeds: NDArray[np.uint64],
    sources: NDArray[np.int32],
    destinations: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    width: int = MAX_HOPS,
) -> NDArray[np.int32]:
    """Return the (flows, width) channels that each flow takes, -1 behind the last.

    A flow without a usable path, or to itself, has -1 in the first place.
    """
    paths = np.empty((len(sources), width), np.int32)
    kernels.find_paths(routes, state, seeds, sources, destinations, hashes, paths)
    return paths


def longest_path(routes: Routes) -> int:
    """Return the most channels that a path by these routes can have."""
    reachable = routes.distance[routes.distance < kernels.UNREACHABLE]
    return min(MAX_HOPS, int(reachable.max(initial=0)) + 2)


def _group(
    fabric: Fabric,
    uplink_start: NDArray[np.int32],
    attached: NDArray[np.int32],
    alone: set[int],
) -> tuple[NDArray[np.int32], list[tuple[int, ...]]]:
    """Return the group of each device, and the switches of each group."""
    group = np.full(len(fabric.devices), -1, np.int32)
    numbers: dict[tuple[int, ...], int] = {}
    members: list[tuple[int, ...]] = []
    for device in fabric.endpoints.tolist():
        switches = attached[uplink_start[device] : uplink_start[device + 1]]
        if not len(switches):
            raise FabricError(
                f"fabric {fabric.name}: {fabric.devices[device].name} has no link to a switch; "
                "add one or remove the device"
            )
        key = tuple(sorted(set(switches.tolist())))
        if device in alone:
            group[device] = len(members)
            members.append(key)
            continue
        if key not in numbers:
            numbers[key] = len(members)
            members.append(key)
        group[device] = numbers[key]
    return group, members
