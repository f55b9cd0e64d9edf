"""For how long switches have no working route to destination groups, while a plan is carried out.

A route is bad while it uses a next hop that is dead, or whose switch has no working route itself.
All hash choices count: a switch and group are bad as long as a single choice fails.
"""

import functools
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.failures import find_dead_intervals
from fabricscope.topology.intervals import Intervals, intersect, subtract, unite
from fabricscope.topology.recovery.plan import ALL_GROUPS, RouteChange, Situation
from fabricscope.topology.recovery.row_routes import FeedingChannels, RowRoutes
from fabricscope.topology.recovery.union import find_exclusions

__all__ = ["LOCAL", "REMOTE", "OutageMap", "find_outages"]

LOCAL: Final = 1
REMOTE: Final = 2
_UNREACHABLE: Final = 255


class OutageMap(NamedTuple):
    """When switches have no working route.

    bad: by switch, (groups) number of the intervals in `times` in which some choice fails.
    hopeless: likewise, in which every choice is physically dead, whatever is done about routes.
    lost_share: by switch, (groups) share of hash choices that met a dead channel at first.
    role: by switch, (groups) LOCAL where a switch with another path lost a port of its own, REMOTE
    where one upstream of it must be told, both added where both happen.
    times: intervals by number; number 0 is none.
    """

    bad: dict[int, NDArray[np.int64]]
    hopeless: dict[int, NDArray[np.int64]]
    lost_share: dict[int, NDArray[np.float64]]
    role: dict[int, NDArray[np.uint8]]
    times: list[Intervals]


class _Times:
    """Intervals by number; equal ones share a number."""

    def __init__(self) -> None:
        self.times: list[Intervals] = [()]
        self.numbers: dict[Intervals, int] = {(): 0}

    def number(self, intervals: Intervals) -> int:
        if intervals not in self.numbers:
            self.numbers[intervals] = len(self.times)
            self.times.append(intervals)
        return self.numbers[intervals]


def find_outages(
    situation: Situation, changes: tuple[RouteChange, ...], carrying_only: bool = False
) -> OutageMap:
    """Return when the switches that `situation.failure` concerns have no working route.

    carrying_only: leave out next hops of which `situation.traffic` says that nothing ran over them
    towards the group.
    """
    return _Outages(situation, changes, carrying_only).find()


class _Outages:
    """The work of `find_outages`: switches by distance from their destination, nearest first."""

    def __init__(
        self, situation: Situation, changes: tuple[RouteChange, ...], carrying_only: bool
    ) -> None:
        self.routes = situation.routes
        self.feeding = FeedingChannels(situation.routes)
        self.source = situation.fabric.channels.source
        self.table = _Times()
        self.dead = {
            channel: self.table.number(tuple(times))
            for channel, times in find_dead_intervals(situation.failure).items()
        }
        self.start_ns = situation.failure.start_ns
        self.withdrawn: dict[int, int] = {}
        self.excluded: dict[int, dict[int, dict[int, int]]] = {}
        for (device, channel, group), times in find_exclusions(changes).items():
            number = self.table.number(tuple(times))
            if group == ALL_GROUPS:
                self.withdrawn[channel] = number
            else:
                self.excluded.setdefault(device, {}).setdefault(channel, {})[group] = number
        traffic = situation.traffic
        self.carried = {
            int(channel): traffic.packets_per_ns[place] > 0
            for place, channel in enumerate(traffic.channels)
            if carrying_only
        }
        self.rows: dict[int, RowRoutes] = {}
        self.watched: dict[int, set[int]] = {}
        self.bad: dict[int, NDArray[np.int64]] = {}
        self.hopeless: dict[int, NDArray[np.int64]] = {}
        self.lost: dict[int, NDArray[np.float64]] = {}
        self.role: dict[int, NDArray[np.uint8]] = {}
        self.memo: dict[tuple[int, tuple[int, ...]], tuple[int, int]] = {}

    def find(self) -> OutageMap:
        self.take_downlinks()
        for channel in (*self.dead, *self.withdrawn):
            self.watch(channel)
        for device, told in self.excluded.items():
            self.watched.setdefault(device, set()).update(told)
        farthest = int(
            np.max(self.routes.distance, where=self.routes.distance < _UNREACHABLE, initial=0)
        )
        spread: set[int] = set()
        for distance in range(farthest + 1):
            for device in self.bad.keys() - spread:
                spread.add(device)
                for channel in self.feeding.into(device):
                    self.watch(channel)
            for device in sorted(self.watched):
                self.work_out(device, distance)
        return OutageMap(self.bad, self.hopeless, self.lost, self.role, self.table.times)

    def watch(self, channel: int) -> None:
        """Remember a switch's channel that may lead nowhere."""
        device = int(self.source[channel])
        if self.routes.row[device] >= 0:
            self.watched.setdefault(device, set()).add(channel)

    def take_downlinks(self) -> None:
        """Mark switches that cannot reach an endpoint of their own, where it is a whole group."""
        for channel, number in self.dead.items():
            switch, endpoint = int(self.source[channel]), int(self.routes.target[channel])
            group = int(self.routes.group[endpoint])
            if group < 0 or self.routes.row[switch] < 0:
                continue
            if np.count_nonzero(self.routes.group == group) > 1:
                continue
            self.mark(switch, group, (number, number), 1.0, LOCAL)

    def mark(self, device: int, group: int, found: tuple[int, int], lost: float, role: int) -> None:
        if device not in self.bad:
            groups = self.routes.distance.shape[0]
            self.bad[device] = np.zeros(groups, np.int64)
            self.hopeless[device] = np.zeros(groups, np.int64)
            self.lost[device] = np.zeros(groups, np.float64)
            self.role[device] = np.zeros(groups, np.uint8)
        self.bad[device][group], self.hopeless[device][group] = found
        self.lost[device][group] = lost
        self.role[device][group] = role

    def work_out(self, device: int, distance: int) -> None:
        """Find the groups at `distance` that `device` cannot reach, from its next hops."""
        if device not in self.rows:
            self.rows[device] = RowRoutes(self.routes, device)
        row = self.rows[device]
        excluded = self.excluded.get(device, {})
        level = self.routes.distance[:, self.routes.row[device]] == distance
        parts: dict[int, list[int]] = {}
        shares: dict[int, float] = {}
        roles: dict[int, int] = {}
        for channel in sorted(self.watched[device]):
            peer = int(self.routes.target[channel])
            dead, gone = self.dead.get(channel, 0), self.withdrawn.get(channel, 0)
            lost_here = self.dead_at_first(channel) if dead else 0.0
            groups = row.used_for(channel)
            groups = groups[level[groups]]
            if channel in self.carried:
                groups = groups[self.carried[channel][groups]]
            told_of = excluded.get(channel, {})
            if not (dead or gone):
                groups = self.concerned(peer, groups, told_of)
            below = self.look_below(peer, groups)
            for group, bad, hopeless, lost, role in zip(groups.tolist(), *below, strict=True):
                told = told_of.get(group, 0)
                if not (dead or gone or bad or told):
                    continue
                parts.setdefault(group, []).extend((dead, bad, hopeless, gone, told))
                shares[group] = shares.get(group, 0.0) + max(lost_here, lost)
                own = LOCAL if dead else REMOTE if hopeless else role
                roles[group] = roles.get(group, 0) | own
        for group, key in parts.items():
            members = int(row.members[group])
            found = self.combine(members, tuple(key))
            if any(found):
                self.mark(device, group, found, shares[group] / members, roles[group])

    def concerned(
        self, peer: int, groups: NDArray[np.int64], told_of: dict[int, int]
    ) -> NDArray[np.int64]:
        """Return those of `groups` that the next switch cannot reach, or that were told of."""
        concerned = np.zeros(self.routes.distance.shape[0], np.bool_)
        concerned[list(told_of)] = True
        if peer in self.bad:
            concerned |= self.bad[peer] > 0
        return groups[concerned[groups]]

    def look_below(
        self, peer: int, groups: NDArray[np.int64]
    ) -> tuple[list[int], list[int], list[float], list[int]]:
        """Return what is known of the next switch: (bad, hopeless, lost share, role) by group."""
        if peer not in self.bad:
            nothing = [0] * len(groups)
            return nothing, nothing, [0.0] * len(groups), nothing
        return (
            self.bad[peer][groups].tolist(),
            self.hopeless[peer][groups].tolist(),
            self.lost[peer][groups].tolist(),
            self.role[peer][groups].tolist(),
        )

    def dead_at_first(self, channel: int) -> float:
        """Return 1 for a channel that the first failure kills, else 0."""
        return float(self.table.times[self.dead[channel]][0][0] <= self.start_ns)

    def combine(self, members: int, key: tuple[int, ...]) -> tuple[int, int]:
        """Return the numbers of (bad, hopeless) of a group from those of its next hops.

        key: for each next hop that is concerned: dead, bad, hopeless, withdrawn, told.
        """
        memo = self.memo.get((members, key))
        if memo is not None:
            return memo
        times = self.table.times
        failing: list[Intervals] = []
        unused: list[Intervals] = []
        impossible: list[Intervals] = []
        for place in range(0, len(key), 5):
            dead, bad, hopeless, gone, told = (times[n] for n in key[place : place + 5])
            excluded = unite((gone, told))
            failing.append(subtract(unite((dead, bad)), excluded))
            unused.append(excluded)
            impossible.append(unite((dead, hopeless)))
        if len(unused) == members:
            failing.append(_intersect_all(unused))
        never = _intersect_all(impossible) if len(impossible) == members else ()
        found = self.table.number(unite(failing)), self.table.number(never)
        self.memo[members, key] = found
        return found


def _intersect_all(parts: list[Intervals]) -> Intervals:
    return functools.reduce(intersect, parts)
