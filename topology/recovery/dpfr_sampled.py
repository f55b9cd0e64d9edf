"""`dpfr-sampled`: data plane fast recovery as it is published, from sampled packets, hop by hop.

A packet whose egress port is dead is sampled with probability 1/N. The sample writes an entry
{destination, port} into the device's fault table, and packets that match it take another path. A
device without one sends an advertisement to the upstream device that the packet came from, which
does the same with {destination, port that the advertisement came in on}, or relays it. Entries
age; a destination switches over once only as long as its entry lives; a full table takes none.

Destinations are the destination groups of `Routes`: build them with every endpoint alone to look at
single hosts.
"""

import heapq
import math
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from fabricscope.topology.recovery.detection import PortNews, find_port_news
from fabricscope.topology.recovery.dpfr import CommonParameters, find_participants, keep_included
from fabricscope.topology.recovery.durations import TimeSetting
from fabricscope.topology.recovery.fault_table import FaultTables
from fabricscope.topology.recovery.parameters import setting
from fabricscope.topology.recovery.plan import (
    ALL_GROUPS,
    DataPlane,
    Moments,
    Plan,
    RouteChange,
    Scheme,
    Situation,
)
from fabricscope.topology.recovery.streams import Stream, StreamFinder
from fabricscope.topology.recovery.union import find_exclusions, unite

__all__ = ["DpfrSampled", "DpfrSampledParameters", "draw_first_sample"]

_MANUAL = "Huawei CloudEngine manual, V300R023C00"
MAX_ROUNDS = 12
"""How often a stream may be entered anew after its entry has aged: a minute at the default age."""


class DpfrSampledParameters(CommonParameters):
    """Those of both modes, and the published sampler and table."""

    sampler: Annotated[int, Field(ge=1, le=65_535)] = setting(
        1024, "one packet in so many into a dead port is sampled", "", f"{_MANUAL}: 1-65,535"
    )
    ageing: TimeSetting = setting(
        5e9, "life of a fault-table entry", "ns", f"{_MANUAL}: 1-600 s", gt=0
    )
    table_size: Annotated[int, Field(ge=1, le=1_000_000)] = setting(
        4096, "fault-table entries of a device", "", "assumed: no figure is published"
    )
    load: Annotated[float, Field(ge=0, le=1)] = setting(
        1.0, "load of dead channels whose traffic is not given", "", "a busy link"
    )
    packet_bytes: Annotated[int, Field(ge=64, le=9_216)] = setting(
        4178, "size of packets where traffic is not given", "B", "RoCE v2 with 4,096 B of payload"
    )


def draw_first_sample(packets_per_ns: float, sampler: int, rng: np.random.Generator) -> float:
    """Return the time in ns until one of evenly spaced packets is sampled; inf if none come.

    The mean is (sampler - 1/2) / packets_per_ns: the first packet comes half a gap after the start.
    """
    if packets_per_ns <= 0:
        return math.inf
    return (int(rng.geometric(1 / sampler)) - float(rng.random())) / packets_per_ns


class DpfrSampled:
    """Sampled DPFR over the scheme `beneath`."""

    def __init__(
        self, name: str, parameters: DpfrSampledParameters, beneath: Scheme | None
    ) -> None:
        """Take the parameters, and what runs beneath."""
        self.name = name
        self.parameters = parameters
        self.beneath = beneath

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return when each device changes which routes."""
        given = self.parameters
        below = self.beneath.plan(situation, rng) if self.beneath else Plan(())
        ports = find_port_news(
            situation.fabric,
            situation.failure,
            lambda: given.detection.draw(rng),
            None,
            lambda: 0.0,
        )
        kept, notes = keep_included(situation.fabric, ports, given.exclude)
        sampling = _Sampling(given, situation, below.changes, rng)
        sampling.run(kept)
        data_plane = DataPlane(
            mode="sampled",
            local=given.local,
            remote=given.remote,
            detect_ns=given.detection.draw(rng),
            install_ns=given.install.draw(rng),
            sampler=given.sampler,
            table_size=given.table_size,
            ageing_ns=given.ageing,
            notification_bytes=given.notification_bytes,
            process_ns=given.notify.draw(rng),
            takes_part=sampling.participants,
        )
        return Plan(
            unite(sorted(sampling.changes, key=lambda change: change.time_ns), below.changes),
            data_plane,
            beneath=below.changes,
            notes=(*notes, *sampling.notes(), *below.notes),
        )


class _Sample(NamedTuple):
    """A sample of `stream`, known at its first device with another path at `time_ns`."""

    time_ns: float
    order: int
    stream: Stream
    port: PortNews
    sampled_ns: float
    round: int


class _Sampling:
    """The state of one run: samples in order of time, and the fault tables."""

    def __init__(
        self,
        given: DpfrSampledParameters,
        situation: Situation,
        beneath: tuple[RouteChange, ...],
        rng: np.random.Generator,
    ) -> None:
        self.given = given
        self.fabric = situation.fabric
        self.finder = StreamFinder(situation, given.load, given.packet_bytes)
        self.participants = find_participants(situation.fabric, given.devices)
        self.rng = rng
        self.beneath = find_exclusions(beneath)
        self.tables = FaultTables(given.table_size, given.ageing)
        self.queue: list[_Sample] = []
        self.order = 0
        self.up_ns: dict[tuple[int, float], float] = {}
        self.changes: list[RouteChange] = []
        self.silent_devices: set[int] = set()
        self.endless = False

    def run(self, ports: list[PortNews]) -> None:
        """Sample what runs into the ports, and switch over what can be."""
        known: dict[int, float] = {}
        for port in ports:
            if port.up:
                self.up_ns[port.channel, known.pop(port.channel)] = port.time_ns
            else:
                known[port.channel] = port.time_ns
        known = {}
        for port in ports:
            if port.up:
                del known[port.channel]
            else:
                known[port.channel] = port.time_ns
                self.start(port, set(known))
        while self.queue:
            self.receive(heapq.heappop(self.queue))

    def start(self, port: PortNews, known: set[int]) -> None:
        """Begin to sample the streams into a port that went down."""
        device = self.source(port.channel)
        if self.finder.situation.routes.row[device] < 0:
            return
        groups = self.finder.row(device).used_for(port.channel).tolist()
        for stream in self.finder.find(port.channel, groups, known):
            wanted = self.given.local if len(stream.path) == 1 else self.given.remote
            if wanted and self.relayed(stream):
                self.draw(stream, port, port.time_ns, 0)

    def source(self, channel: int) -> int:
        return int(self.fabric.channels.source[channel])

    def relayed(self, stream: Stream) -> bool:
        """Return whether all devices on the way take part; else remember who does not."""
        devices = {self.source(channel) for channel in stream.path}
        missing = {device for device in devices if not self.participants[device]}
        self.silent_devices |= missing
        return not missing

    def draw(self, stream: Stream, port: PortNews, from_ns: float, number: int) -> None:
        """Draw the next sample of a stream after `from_ns`, if its packets still come then."""
        sampled_ns = from_ns + draw_first_sample(
            stream.packets_per_ns, self.given.sampler, self.rng
        )
        if number == MAX_ROUNDS:
            self.endless = True
            return
        until_ns = self.up_ns.get((port.channel, port.time_ns), math.inf)
        if sampled_ns >= until_ns or self.moved_beneath(stream, sampled_ns):
            return
        arrival_ns = sampled_ns
        for channel in stream.path[:-1]:
            arrival_ns += self.given.notify.draw(self.rng) + self.travel(channel ^ 1)
        self.order += 1
        sample = _Sample(arrival_ns, self.order, stream, port, sampled_ns, number)
        heapq.heappush(self.queue, sample)

    def travel(self, channel: int) -> float:
        channels = self.fabric.channels
        bits = 8 * self.given.notification_bytes
        return float(bits / channels.rate[channel] + channels.delay_ns[channel])

    def moved_beneath(self, stream: Stream, time_ns: float) -> bool:
        """Return whether routing has taken the stream off its path by `time_ns`."""
        for channel in stream.path:
            for group in (stream.group, ALL_GROUPS):
                times = self.beneath.get((self.source(channel), channel, group), ())
                if any(start <= time_ns < end for start, end in times):
                    return True
        return False

    def receive(self, sample: _Sample) -> None:
        """Write the entries of a sample, and wait for the next one until they have aged."""
        stream = sample.stream
        device = self.source(stream.path[0])
        for channel in stream.path[:0:-1]:
            at = self.source(channel)
            if self.tables.enter(at, stream.group, channel, sample.time_ns) == "full":
                self.retry(sample, at)
                return
        outcome = self.tables.enter(device, stream.group, stream.path[0], sample.time_ns)
        if outcome == "new":
            self.switch_over(sample, device)
        self.retry(sample, device)

    def retry(self, sample: _Sample, device: int) -> None:
        free_ns = max(self.tables.free_ns(device, sample.stream.group), sample.time_ns)
        self.draw(sample.stream, sample.port, free_ns, sample.round + 1)

    def switch_over(self, sample: _Sample, device: int) -> None:
        """Add the changes of an entry: out of use when it is written, in use when it ages."""
        given, port, stream = self.given, sample.port, sample.stream
        local = len(stream.path) == 1
        install_ns = (given.local_install if local else given.install).draw(self.rng)
        moments = Moments(
            detect_ns=port.time_ns - port.event_ns,
            sample_ns=sample.sampled_ns - port.time_ns,
            notify_ns=sample.time_ns - sample.sampled_ns,
            install_ns=install_ns,
            hops=len(stream.path) - 1,
        )
        role = "local" if local else "remote"
        written_ns = sample.time_ns + install_ns
        aged_ns = sample.time_ns + given.ageing
        for time_ns, use in ((written_ns, False), (max(aged_ns, written_ns), True)):
            self.changes.append(
                RouteChange(
                    time_ns, device, stream.path[0], stream.group, use, role,
                    moments if not use else Moments(detect_ns=time_ns - port.event_ns),
                )
            )  # fmt: skip

    def notes(self) -> tuple[str, ...]:
        """Return what could not be done, in sentences."""
        out = []
        names = [device.name for device in self.fabric.devices]
        if self.silent_devices:
            shown = _list([names[device] for device in sorted(self.silent_devices)])
            out.append(f"no advertisement passes devices that take no part: {shown}")
        if self.tables.full:
            shown = _list([names[device] for device in sorted(self.tables.full)])
            out.append(f"resource-fail: the fault table was full on {shown}")
        if self.tables.second:
            shown = _list([names[device] for device in sorted({d for d, _ in self.tables.second})])
            out.append(
                f"one switch-over only: {len(self.tables.second)} destinations lost their other "
                f"path too, on {shown}"
            )
        if self.endless:
            out.append(f"routing had not converged when entries had aged {MAX_ROUNDS} times")
        return tuple(out)


def _list(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
