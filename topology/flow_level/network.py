"""The fabric as the flow-level engine sees it at a moment: paths, shares and what is dead.

`Paths` keeps what routing decides for each queue pair; failures and route changes go through it.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.flow_level.state import Floats, Network
from fabricscope.topology.recovery.plan import ALL_GROUPS, RouteChange
from fabricscope.topology.routing.balancing import Balancing
from fabricscope.topology.routing.routes import (
    MAX_HOPS,
    Routes,
    RouteState,
    find_paths,
    longest_path,
)
from fabricscope.topology.routing.spraying import kernels as spraying

__all__ = ["Paths"]

BITS_PER_BYTE = 8


@dataclass
class Paths:
    """The paths of queue pairs, and the state that they follow from.

    source, destination, hashes: (queue pairs). state: what routing excludes now. alive, loss,
    factor: (channels) what works now. hash_paths: the paths by hash of the last `network`. goodput:
    payload share of the bytes on the wire.
    """

    fabric: Fabric
    routes: Routes
    balancing: Balancing
    source: NDArray[np.int32]
    destination: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    packet_bytes: int
    header_bytes: int
    aware: bool = False
    state: RouteState = field(init=False)
    seeds: NDArray[np.uint64] = field(init=False)
    alive: NDArray[np.uint8] = field(init=False)
    loss: Floats = field(init=False)
    factor: Floats = field(init=False)
    hash_paths: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with everything in order."""
        count = len(self.fabric.channels.rate)
        self.state = RouteState.initial(self.routes)
        self.seeds = self.balancing.seeds(self.fabric)
        self.alive = np.ones(count, np.uint8)
        self.loss = np.zeros(count)
        self.factor = np.ones(count)

    @property
    def goodput(self) -> float:
        """Return the payload share of a full packet."""
        return self.packet_bytes / (self.packet_bytes + self.header_bytes)

    def set_channel(self, channel: int, rate_factor: float, loss: float) -> None:
        """Note what `channel` does from now on; a dead one keeps its rate, and loses it all."""
        self.alive[channel] = rate_factor > 0
        self.loss[channel] = loss if rate_factor > 0 else 0.0
        self.factor[channel] = rate_factor or 1.0

    def change_route(self, change: RouteChange) -> None:
        """Exclude or use again a next hop."""
        if change.group == ALL_GROUPS:
            self.state.withdrawn[change.channel] = not change.use
            return
        row = int(self.routes.row[change.device])
        if row < 0:
            return
        entry = row * self.routes.distance.shape[0] + change.group
        begin, end = self.routes.start[entry : entry + 2]
        here = self.routes.channels[begin:end] == change.channel
        self.state.excluded[begin:end][here] = not change.use

    def capacity(self) -> Floats:
        """Return the payload bytes/ns of each channel now."""
        rate = self.fabric.channels.rate * self.factor / BITS_PER_BYTE
        return rate * self.goodput

    def find(self, flows: NDArray[np.int64] | slice, width: int) -> NDArray[np.int32]:
        """Return the channels of the paths of `flows` now, by hash."""
        return find_paths(
            self.routes,
            self.state,
            self.seeds,
            self.source[flows],
            self.destination[flows],
            self.hashes[flows],
            width,
        )

    def network(self) -> tuple[Network, Floats]:
        """Return the network as it is now, and the share of packets that each flow loses in it.

        The share is that of sprayed flows; by-hash paths have theirs from their channels.
        """
        hops = longest_path(self.routes)
        paths = self.find(slice(None), hops)
        self.hash_paths = paths
        if self.balancing.sprays:
            return self._sprayed(paths)
        flows = len(paths)
        return self._network(paths, np.ones((1, hops)), 0, np.full(flows, -1, np.int32)), np.zeros(
            flows
        )

    def _network(
        self,
        entries: NDArray[np.int32],
        weights: Floats,
        stride: int,
        class_of: NDArray[np.int32],
        classes: tuple[NDArray[np.int64], NDArray[np.int32], Floats] | None = None,
    ) -> Network:
        channels = self.fabric.channels
        count = len(channels.rate)
        if classes is None:
            classes = (np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0))
        start, members, shares = classes
        owner = np.repeat(np.arange(len(start) - 1, dtype=np.int32), np.diff(start))
        order = np.argsort(members, kind="stable")
        channel_start = np.zeros(count + 1, np.int64)
        np.cumsum(np.bincount(members, minlength=count), out=channel_start[1:])
        wire_bytes = self.packet_bytes + self.header_bytes
        packet_ns = wire_bytes * BITS_PER_BYTE / channels.rate
        return Network(
            capacity=self.capacity(),
            delay_ns=channels.delay_ns + packet_ns,
            packet_ns=packet_ns,
            alive=self.alive,
            loss=self.loss,
            entries=entries,
            weights=weights,
            stride=stride,
            class_of=class_of,
            class_start=start,
            class_channels=members,
            class_weights=shares,
            channel_start=channel_start,
            channel_classes=owner[order],
            channel_weights=shares[order],
        )

    def _sprayed(self, paths: NDArray[np.int32]) -> tuple[Network, Floats]:
        """Return the network of sprayed flows; those that meet one switch only are as by hash."""
        routes = self.routes
        inner = paths[:, 2] >= 0 if paths.shape[1] > 2 else np.zeros(len(paths), np.bool_)
        # A flow that has no path by hash may be without one altogether: its class tells.
        lost_path = (paths[:, 0] < 0) & (self.source != self.destination)
        chosen = np.flatnonzero(inner | lost_path)
        class_of = np.full(len(paths), -1, np.int32)
        attachment = self._attachments()
        groups = routes.distance.shape[0]
        keys = attachment[self.source[chosen]].astype(np.int64) * groups
        keys += routes.group[self.destination[chosen]]
        first, number = _number(keys)
        class_of[chosen] = number
        sources = self.source[chosen[first]]
        to = routes.group[self.destination[chosen[first]]].astype(np.int64)
        classes, ends, lost = spraying.spread(
            routes, self.state, self.alive, sources, to, self.aware
        )
        uplinks = np.diff(routes.uplink_start)
        hops = max(2, 2 * int(uplinks.max(initial=1)), paths.shape[1] if not len(chosen) else 2)
        hops = min(max(hops, 2), 2 * MAX_HOPS)
        entries, weights, access_lost = spraying.spread_access(
            routes,
            self.state,
            self.alive,
            self.source,
            self.destination,
            class_of,
            ends,
            hops,
            self.aware,
            bool(uplinks.max(initial=1) > 1),
        )
        plain = class_of < 0
        width = min(hops, paths.shape[1])
        entries[plain, :width] = paths[plain, :width]
        share = access_lost
        share[chosen] = 1.0 - (1.0 - share[chosen]) * (1.0 - lost[number])
        if self.loss.any():
            start, members, shares = classes
            part = np.add.reduceat(np.append(shares * self.loss[members], 0.0), start[:-1]) * (
                np.diff(start) > 0
            )
            share[chosen] = 1.0 - (1.0 - share[chosen]) * (1.0 - part[number])
        stride = int(len(weights) > 1)
        return self._network(entries, weights, stride, class_of, classes), share

    def _attachments(self) -> NDArray[np.int32]:
        """Return a number for each endpoint: the same for those on the same usable switches."""
        routes = self.routes
        devices = self.fabric.endpoints
        begin, end = routes.uplink_start[devices], routes.uplink_start[devices + 1]
        keys = np.zeros(len(devices), np.int64)
        for place in range(int((end - begin).max(initial=0))):
            up = routes.uplinks[np.minimum(begin + place, len(routes.uplinks) - 1)]
            usable = (begin + place < end) & (self.state.withdrawn[up] == 0)
            last = np.where(usable, routes.target[up], -1)
            keys = np.unique(keys * (len(routes.row) + 1) + last + 1, return_inverse=True)[1]
        result = np.full(len(routes.row), -1, np.int32)
        result[devices] = keys
        return result


def _number(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each distinct key first occurs, and each key's number."""
    place = np.full(int(keys.max(initial=-1)) + 1, -1, np.int64)
    place[keys[::-1]] = np.arange(len(keys))[::-1]
    used = place >= 0
    number = np.cumsum(used) - 1
    return place[used], number[keys]
