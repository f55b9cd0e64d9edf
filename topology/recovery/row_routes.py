"""The part of a route table that belongs to one switch, and the channels that lead to a switch."""

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.routing.routes import Routes

__all__ = ["FeedingChannels", "RowRoutes"]


class RowRoutes:
    """The next hops of one switch.

    channels, groups: (entries) channel and destination group of each, as `Routes` orders them.
    members: (groups) next hops of each group.
    """

    def __init__(self, routes: Routes, device: int) -> None:
        """Take the switch's part; `device` must be a switch."""
        self.count = routes.distance.shape[0]
        row = int(routes.row[device])
        bounds = routes.start[row * self.count : (row + 1) * self.count + 1]
        self.channels = routes.channels[bounds[0] : bounds[-1]]
        self.members = np.diff(bounds)
        self.groups = np.repeat(np.arange(self.count), self.members)
        self._places: dict[int, NDArray[np.int64]] = {}

    def places(self, channel: int) -> NDArray[np.int64]:
        """Return where `channel` stands among the entries, once for each of its groups."""
        if channel not in self._places:
            self._places[channel] = np.flatnonzero(self.channels == channel)
        return self._places[channel]

    def used_for(self, channel: int) -> NDArray[np.int64]:
        """Return the groups that the switch uses `channel` for, ascending."""
        groups: NDArray[np.int64] = self.groups[self.places(channel)]
        return groups


class FeedingChannels:
    """The channels between switches, by the switch that they lead to."""

    def __init__(self, routes: Routes) -> None:
        """Sort the channels."""
        target = routes.target
        source = target.reshape(-1, 2)[:, ::-1].ravel()
        between = np.flatnonzero((routes.row[source] >= 0) & (routes.row[target] >= 0))
        order = between[np.argsort(target[between], kind="stable")]
        self._order = order
        self._first = np.searchsorted(target[order], np.arange(len(routes.row) + 1))

    def into(self, device: int) -> list[int]:
        """Return the channels from other switches to `device`."""
        channels: list[int] = self._order[self._first[device] : self._first[device + 1]].tolist()
        return channels
