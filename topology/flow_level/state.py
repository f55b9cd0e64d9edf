"""The arrays that the flow-level kernels work on, and how they begin."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.routing.routes import Routes, RouteState
from fabricscope.topology.workloads.transfers import Transfers

__all__ = ["Network", "Pairs", "Queue", "Schedule", "Settings", "Sharing", "Way", "Work"]

LANES = 4
MAX_LANE = 1 << 16

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bytes = NDArray[np.uint8]


class Network(NamedTuple):
    """Which channels each flow (queue pair) uses, now.

    capacity: (channels) payload bytes/ns. packet_ns: (channels) serialisation of a full packet;
    delay_ns: that, propagation and forwarding. alive: (channels) 0 for dead ones. loss: (channels)
    share of packets lost. entries: (flows, hops) own channels, -1 behind the last; weights: (flows
    or 1, hops) share of the flow's rate on each, `stride` 1 or 0 times the flow's number. class_of:
    (flows) class of a sprayed flow, -1 for none; class_start, class_channels, class_weights: each
    class's channels; channel_start, channel_classes, channel_weights: the same the other way round.
    """

    capacity: Floats
    delay_ns: Floats
    packet_ns: Floats
    alive: Bytes
    loss: Floats
    entries: Ints
    weights: Floats
    stride: int
    class_of: Ints
    class_start: NDArray[np.int64]
    class_channels: Ints
    class_weights: Floats
    channel_start: NDArray[np.int64]
    channel_classes: Ints
    channel_weights: Floats


class Sharing(NamedTuple):
    """Active flows and their rates.

    first: (channels + classes) first slot of each list; following, previous: (flows * (hops + 1)).
    members, used, bound: (channels) active flows, their bytes/ns (without sprayed ones), flows that
    the channel limits. class_count, class_rate: (classes). rate, label: (flows) bytes/ns, and the
    channel that limits it, -1 for none. linked: is on the lists; parked: keeps its share, but
    pauses.
    """

    first: Ints
    following: Ints
    previous: Ints
    members: Ints
    used: Floats
    bound: Ints
    class_count: Ints
    class_rate: Floats
    rate: Floats
    label: Ints
    linked: Bytes
    parked: Bytes

    @classmethod
    def empty(cls, net: Network) -> "Sharing":
        """Return a state without active flows."""
        flows, hops = net.entries.shape
        channels = len(net.capacity)
        classes = len(net.class_start) - 1
        slots = flows * (hops + 1)
        return cls(
            np.full(channels + classes, -1, np.int32),
            np.full(slots, -1, np.int32),
            np.full(slots, -1, np.int32),
            np.zeros(channels, np.int32),
            np.zeros(channels),
            np.zeros(channels, np.int32),
            np.zeros(classes, np.int32),
            np.zeros(classes),
            np.zeros(flows),
            np.full(flows, -1, np.int32),
            np.zeros(flows, np.uint8),
            np.zeros(flows, np.uint8),
        )


class Work(NamedTuple):
    """Scratch memory of the sharing kernels; nothing in it is meant to last."""

    stamp: NDArray[np.int64]
    flow_stamp: NDArray[np.int64]
    channel_stamp: NDArray[np.int64]
    class_stamp: NDArray[np.int64]
    flows: Ints
    channels: Ints
    classes: Ints
    rate: Floats
    weight: Floats
    class_left: Ints
    heap_share: Floats
    heap_channel: Ints

    @classmethod
    def empty(cls, net: Network) -> "Work":
        """Return memory that is large enough for all flows, channels and classes."""
        flows = len(net.entries)
        channels = len(net.capacity)
        classes = len(net.class_start) - 1
        return cls(
            np.zeros(1, np.int64),
            np.zeros(flows, np.int64),
            np.zeros(channels, np.int64),
            np.zeros(classes, np.int64),
            np.empty(flows, np.int32),
            np.empty(channels, np.int32),
            np.empty(classes, np.int32),
            np.empty(flows),
            np.empty(channels),
            np.empty(classes, np.int32),
            np.empty(channels),
            np.empty(channels, np.int32),
        )


class Schedule(NamedTuple):
    """What is to be sent. All but the successors, queue_start and head: (transfers).

    queue_start (flows + 1), queue: each flow's transfers in order; head (flows): the place in
    `queue` of the one it sends or would send next. waits: arrivals still missing. released: 1
    once nothing is missing. finish_ns: arrival, or the one to come; nan before.
    """

    size_bytes: Floats
    flow: Ints
    queue_start: NDArray[np.int64]
    queue: Ints
    head: NDArray[np.int64]
    waits: Ints
    released: Bytes
    finish_ns: Floats
    delay_ns: Floats
    successor_start: NDArray[np.int64]
    successors: Ints

    @classmethod
    def of(cls, transfers: Transfers) -> "Schedule":
        """Return the schedule of `transfers` before the start."""
        count = len(transfers.source)
        flows = int(transfers.queue_pair.max(initial=-1)) + 1
        in_order = count == 0 or bool(np.all(np.diff(transfers.queue_pair) >= 0))
        order = np.arange(count) if in_order else np.argsort(transfers.queue_pair, kind="stable")
        start = np.zeros(flows + 1, np.int64)
        np.cumsum(np.bincount(transfers.queue_pair, minlength=flows), out=start[1:])
        return cls(
            transfers.size_bytes.astype(np.float64),
            transfers.queue_pair,
            start,
            order.astype(np.int32),
            start[:-1].copy(),
            transfers.waits.copy(),
            np.zeros(count, np.uint8),
            np.full(count, np.nan),
            transfers.delay_ns,
            transfers.successor_start,
            transfers.successors,
        )


class Pairs(NamedTuple):
    """Transport state of each flow (queue pair).

    active: sends now. joins: sends to itself. remaining,
    since_ns: payload bytes left of its transfer at that moment. sent: payload bytes sent since the
    last window began. progress: share of the sent bytes that counts. loss: share of packets lost on
    its path. latency_ns: from the first bit sent to its arrival. bad: no path, or a dead channel on
    it. stalled: waits for its transport. stall_ns, wake_ns, timer_ns: since when, and when it goes
    on after a NAK or a time-out (inf: not at all). retries: time-outs in this stall. blind_bytes,
    blind_end_ns, blind_rate: what it goes on sending before it notices. line_rate: of the slowest
    channel of its path. credit: bytes that it might send more. affected, recovered: 1 once it lost
    something; 1 round trip, 2 time-out, 3 given up. idle_ns: since when it sends nothing. hashes:
    of its path.
    """

    active: Bytes
    joins: Bytes
    remaining: Floats
    since_ns: Floats
    sent: Floats
    progress: Floats
    loss: Floats
    latency_ns: Floats
    bad: Bytes
    stalled: Bytes
    stall_ns: Floats
    wake_ns: Floats
    timer_ns: Floats
    retries: Ints
    blind_bytes: Floats
    blind_end_ns: Floats
    blind_rate: Floats
    line_rate: Floats
    credit: Floats
    affected: Bytes
    recovered: Bytes
    idle_ns: Floats
    hashes: NDArray[np.uint64]
    source: Ints
    destination: Ints

    @classmethod
    def idle(cls, source: Ints, destination: Ints, hashes: NDArray[np.uint64]) -> "Pairs":
        """Return queue pairs that have sent nothing."""
        flows = len(source)

        def zeros() -> Floats:
            return np.zeros(flows)

        def flags() -> Bytes:
            return np.zeros(flows, np.uint8)

        return cls(
            active=flags(),
            joins=(source == destination).astype(np.uint8),
            remaining=zeros(),
            since_ns=zeros(),
            sent=zeros(),
            progress=np.ones(flows),
            loss=zeros(),
            latency_ns=zeros(),
            bad=flags(),
            stalled=flags(),
            stall_ns=zeros(),
            wake_ns=np.full(flows, np.inf),
            timer_ns=np.full(flows, np.inf),
            retries=np.zeros(flows, np.int32),
            blind_bytes=zeros(),
            blind_end_ns=zeros(),
            blind_rate=zeros(),
            line_rate=np.ones(flows),
            credit=zeros(),
            affected=flags(),
            recovered=flags(),
            idle_ns=np.full(flows, -np.inf),
            hashes=hashes.copy(),
            source=source,
            destination=destination,
        )


class Queue(NamedTuple):
    """What happens next.

    finish_ns, place: (flows) when a flow has sent its transfer, and where it is in `heap` (-1: not
    at all). event_ns, event_code: a heap of arrivals (code: the transfer), releases (transfer +
    transfers), wake-ups (flow + 2 transfers) and time-outs (flow + 2 transfers + flows). lane_ns,
    lane_code, lane_end, lane_next: (lanes, room) more events, each lane's head and tail, and its
    first time. sizes: of both heaps, of `touched` and of `dirty`. touched: (flows) those that began
    or ended to send. dirty: (channels) whose shares are to be made again; is_touched, is_dirty:
    marks of both. clock: now, when shares of many flows may be made again, first and last loss,
    bytes lost, events, arrivals, packets that arrived.
    """

    finish_ns: Floats
    heap: Ints
    place: Ints
    event_ns: Floats
    event_code: NDArray[np.int64]
    lane_ns: Floats
    lane_code: NDArray[np.int64]
    lane_end: NDArray[np.int64]
    lane_next: Floats
    sizes: NDArray[np.int64]
    touched: Ints
    is_touched: Bytes
    dirty: Ints
    is_dirty: Bytes
    clock: Floats

    @classmethod
    def empty(cls, events: int, flows: int, channels: int) -> "Queue":
        """Return a queue with room for `events`."""
        clock = np.zeros(8)
        room = 1 << min(max(flows, 16) - 1, MAX_LANE - 1).bit_length()
        clock[1:4] = (-np.inf, np.inf, -np.inf)
        return cls(
            np.full(flows, np.inf),
            np.empty(flows, np.int32),
            np.full(flows, -1, np.int32),
            np.empty(events),
            np.empty(events, np.int64),
            np.empty((LANES, room)),
            np.empty((LANES, room), np.int64),
            np.zeros((LANES, 2), np.int64),
            np.full(LANES, np.inf),
            np.zeros(4, np.int64),
            np.empty(flows, np.int32),
            np.zeros(flows, np.uint8),
            np.empty(channels, np.int32),
            np.zeros(channels, np.uint8),
            clock,
        )

    def grown(self) -> "Queue":
        """Return the queue with twice the room for events."""
        room = np.zeros(len(self.event_ns))
        return self._replace(
            event_ns=np.concatenate((self.event_ns, room)),
            event_code=np.concatenate((self.event_code, room.astype(np.int64))),
        )


class Way(NamedTuple):
    """How a flow finds another path, and where what it sent on the old one is counted.

    sent_into: (channels) payload bytes of this window. path: scratch of one row.
    """

    routes: Routes
    state: RouteState
    seeds: NDArray[np.uint64]
    sent_into: Floats
    path: Ints


class Settings(NamedTuple):
    """Numbers that kernels need; see `engine.FlowOptions`. rtt_ns below 0: twice the latency."""

    packet_bytes: float
    window_bytes: float
    rto_ns: float
    doubling: bool
    retry_count: int
    rtt_ns: float
    relabel_ns: float
    flowlet_ns: float
    selective: bool
    share_again: float
    at_once: bool
    seed: int
