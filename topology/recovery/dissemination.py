"""How the news of a dead port spreads from device to device, and which routes change on its way.

A device that has no next hop left for a destination group tells the devices that send it traffic
for that group; they stop using it for the group, and tell others in turn if nothing is left to
them either. How long each part takes is the `Reaction` of a scheme. Nothing here is random by
itself, and nothing knows a scheme's name.
"""

import heapq
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.failures import find_dead_intervals
from fabricscope.topology.recovery.detection import PortNews
from fabricscope.topology.recovery.plan import ALL_GROUPS, Moments, RouteChange, Situation
from fabricscope.topology.recovery.row_routes import FeedingChannels, RowRoutes

__all__ = ["News", "Reaction", "disseminate"]

MAX_CHANGES: Final = 2_000_000


class News(NamedTuple):
    """What a device learns: `channel` of its own no longer (or again: `up`) leads to `groups`.

    groups: destination groups; empty: the port itself went down or up. event_ns: when it happened.
    moments: how the news came here, without install and switch.
    """

    time_ns: float
    device: int
    channel: int
    groups: NDArray[np.int64]
    up: bool
    carrier: bool
    event_ns: float
    moments: Moments


class Reaction(Protocol):
    """How long a scheme takes for each part of its reaction, ns."""

    applies_local: bool
    applies_remote: bool

    def takes_part(self, device: int) -> bool:
        """Return whether `device` has the scheme."""
        ...

    def install(self, news: News) -> tuple[float, float]:
        """Return the times from the news to written routes, and from there to their use."""
        ...

    def pass_on(self, news: News) -> float:
        """Return the time from the news to the message that leaves for other devices."""
        ...

    def travel(self, channel: int) -> float:
        """Return how long a message takes over `channel`."""
        ...


class _Belief:
    """Which of its next hops a switch believes in."""

    def __init__(self, situation: Situation, device: int) -> None:
        self.row = RowRoutes(situation.routes, device)
        self.down: set[int] = set()
        self.told = np.zeros(len(self.row.channels), np.bool_)
        self.usable = np.ones(len(self.row.channels), np.bool_)
        self.left = self.row.members.copy()

    def update(self, channel: int, groups: NDArray[np.int64], up: bool) -> NDArray[np.int64]:
        """Note the news; return the groups that lost their last next hop, or have one again."""
        places = self.row.places(channel)
        if len(groups):
            wanted = np.zeros(self.row.count, np.bool_)
            wanted[groups] = True
            self.told[places[wanted[self.row.groups[places]]]] = not up
        elif up:
            self.down.discard(channel)
        else:
            self.down.add(channel)
        before = self.usable[places]
        usable = ~self.told[places] & (channel not in self.down)
        self.usable[places] = usable
        concerned = self.row.groups[places]  # each group once
        had = self.left[concerned]
        self.left[concerned] += usable.astype(np.int64) - before
        changed: NDArray[np.int64] = concerned[(had > 0) != (self.left[concerned] > 0)]
        return changed


class _Spread:
    """The state of one dissemination."""

    def __init__(self, situation: Situation, reaction: Reaction) -> None:
        self.situation = situation
        self.reaction = reaction
        self.beliefs: dict[int, _Belief] = {}
        self.queue: list[tuple[float, int, News]] = []
        self.changes: list[RouteChange] = []
        self.order = 0
        self.arrived: dict[int, float] = {}
        self.switched: dict[tuple[int, int], float] = {}
        self.dead = find_dead_intervals(situation.failure)
        self.feeding = FeedingChannels(situation.routes)

    def belief(self, device: int) -> _Belief:
        if device not in self.beliefs:
            self.beliefs[device] = _Belief(self.situation, device)
        return self.beliefs[device]

    def push(self, news: News) -> None:
        self.order += 1
        heapq.heappush(self.queue, (news.time_ns, self.order, news))

    def run(self) -> None:
        while self.queue and len(self.changes) < MAX_CHANGES:
            news = heapq.heappop(self.queue)[2]
            if not self.reaction.takes_part(news.device):
                continue
            self.apply(news)
            groups = self.find_lost(news)
            if len(groups):
                self.tell(news, groups)

    def apply(self, news: News) -> None:
        """Change the device's routes, never before an earlier change of the same port."""
        local = not len(news.groups)
        if not (self.reaction.applies_local if local else self.reaction.applies_remote):
            return
        install_ns, switch_ns = self.reaction.install(news)
        moments = news.moments
        time_ns = news.time_ns + install_ns + switch_ns
        key = (news.device, news.channel)
        wait_ns = self.switched.get(key, time_ns) - time_ns
        if wait_ns > 0:
            install_ns += wait_ns
            time_ns += wait_ns
        self.switched[key] = time_ns
        moments = Moments(
            moments.detect_ns, moments.sample_ns, moments.notify_ns, install_ns, switch_ns,
            moments.hops,
        )  # fmt: skip
        role = "local" if local else "remote"
        for group in [ALL_GROUPS] if local else news.groups.tolist():
            self.changes.append(
                RouteChange(time_ns, news.device, news.channel, group, news.up, role, moments)
            )

    def find_lost(self, news: News) -> NDArray[np.int64]:
        """Return the groups that the device must speak about after this news."""
        routes = self.situation.routes
        if routes.row[news.device] < 0:
            return np.empty(0, np.int64)
        lost = self.belief(news.device).update(news.channel, news.groups, news.up)
        endpoint = int(routes.target[news.channel])
        if not len(news.groups) and routes.group[endpoint] >= 0:
            group = routes.group[endpoint]
            if np.count_nonzero(routes.group == group) == 1:
                lost = np.array([group], np.int64)
        return lost

    def tell(self, news: News, groups: NDArray[np.int64]) -> None:
        """Send what was lost (or is back) to the devices that use this one for it."""
        device = news.device
        ready_ns: float | None = None
        lost = np.zeros(self.situation.routes.distance.shape[0], np.bool_)
        lost[groups] = True
        for channel in self.feeding.into(device):
            upstream = int(self.situation.fabric.channels.source[channel])
            theirs = self.belief(upstream).row.used_for(channel)
            theirs = theirs[lost[theirs]]
            if not len(theirs):
                continue
            if ready_ns is None:
                ready_ns = self.reaction.pass_on(news)
                if news.up:  # what works again is announced when the device itself uses it
                    used_ns = self.switched.get((device, news.channel), news.time_ns)
                    ready_ns = max(ready_ns, used_ns - news.time_ns)
            back = channel ^ 1
            sent_ns = news.time_ns + ready_ns
            if any(start <= sent_ns < end for start, end in self.dead.get(back, ())):
                continue
            arrival_ns = sent_ns + self.reaction.travel(back)
            arrival_ns = max(arrival_ns, self.arrived.get(back, arrival_ns))
            self.arrived[back] = arrival_ns
            old = news.moments
            moments = Moments(
                old.detect_ns, old.sample_ns, old.notify_ns + arrival_ns - news.time_ns,
                hops=old.hops + 1,
            )  # fmt: skip
            self.push(
                News(
                    arrival_ns, upstream, channel, theirs, news.up, news.carrier, news.event_ns,
                    moments,
                )
            )  # fmt: skip


def disseminate(
    situation: Situation, ports: Iterable[PortNews], reaction: Reaction
) -> list[RouteChange]:
    """Return the route changes, in order of time, that follow from what devices saw at ports."""
    spread = _Spread(situation, reaction)
    nothing = np.empty(0, np.int64)
    for port in ports:
        device = int(situation.fabric.channels.source[port.channel])
        moments = Moments(detect_ns=port.time_ns - port.event_ns)
        spread.push(
            News(
                port.time_ns, device, port.channel, nothing, port.up, port.carrier, port.event_ns,
                moments,
            )
        )  # fmt: skip
    spread.run()
    return sorted(spread.changes, key=lambda change: change.time_ns)
