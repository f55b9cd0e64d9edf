"""The packets that end in a dead port, by destination and by the device that could avoid it."""

from typing import NamedTuple

from fabricscope.topology.recovery.plan import Situation
from fabricscope.topology.recovery.row_routes import FeedingChannels, RowRoutes

__all__ = ["Stream", "StreamFinder"]

MAX_HOPS = 8


class Stream(NamedTuple):
    """Packets towards `group` that end in a dead port.

    path: channels from that of the first device with another path to the dead one.
    packets_per_ns: of this stream.
    """

    group: int
    path: tuple[int, ...]
    packets_per_ns: float


class StreamFinder:
    """Finds streams from the traffic of a situation.

    Channels that `Traffic` does not list carry `default_load` of their rate in packets of
    `packet_bytes`, spread evenly over the groups that they are used for.
    """

    def __init__(self, situation: Situation, default_load: float, packet_bytes: int) -> None:
        """Index the traffic."""
        self.situation = situation
        self.default_load = default_load
        self.packet_bits = 8 * packet_bytes
        traffic = situation.traffic
        self.listed = {int(channel): place for place, channel in enumerate(traffic.channels)}
        self.feeding = FeedingChannels(situation.routes)
        self.rows: dict[int, RowRoutes] = {}

    def row(self, device: int) -> RowRoutes:
        """Return the next hops of a switch."""
        if device not in self.rows:
            self.rows[device] = RowRoutes(self.situation.routes, device)
        return self.rows[device]

    def rate(self, channel: int, group: int) -> float:
        """Return the packets/ns that ran over `channel` towards `group`."""
        if channel in self.listed:
            return float(self.situation.traffic.packets_per_ns[self.listed[channel], group])
        channels = self.situation.fabric.channels
        used = len(self.row(int(channels.source[channel])).used_for(channel))
        full = float(channels.rate[channel]) / self.packet_bits
        return full * self.default_load / max(used, 1)

    def find(self, dead: int, groups: list[int], down: set[int]) -> list[Stream]:
        """Return the streams into the dead port `dead` towards `groups` that someone can avoid.

        down: channels that their own devices know to be dead.
        """
        streams = []
        for group in groups:
            rate = self.rate(dead, group)
            if rate > 0:
                streams += self._extend(group, (dead,), rate, down)
        return streams

    def _extend(
        self, group: int, path: tuple[int, ...], rate: float, down: set[int]
    ) -> list[Stream]:
        """Follow a stream upstream until a device has another path."""
        device = int(self.situation.fabric.channels.source[path[0]])
        row = self.row(device)
        members = set(row.channels[row.groups == group].tolist())
        if members - down - {path[0]}:
            return [Stream(group, path, rate)]
        source = self.situation.fabric.channels.source
        feeders = [
            channel
            for channel in self.feeding.into(device)
            if group in self.row(int(source[channel])).used_for(channel)
        ]
        if not feeders or len(path) == MAX_HOPS:
            return []
        shares = [
            self.rate(channel, group) if channel in self.listed else 0.0 for channel in feeders
        ]
        total = sum(shares)
        out: list[Stream] = []
        for channel, share in zip(feeders, shares, strict=True):
            part = share / total if total > 0 else 1 / len(feeders)
            if part > 0:
                out += self._extend(group, (channel, *path), rate * part, down)
        return out
