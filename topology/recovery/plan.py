"""What a recovery scheme answers to a failure: route changes with the moments that led to them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failures import Failure
from fabricscope.topology.routing.routes import Routes

__all__ = [
    "ALL_GROUPS",
    "DataPlane",
    "Moments",
    "Plan",
    "RouteChange",
    "Scheme",
    "Situation",
    "Traffic",
]

ALL_GROUPS = -1


@dataclass(frozen=True, slots=True)
class Moments:
    """How long each part of one device's recovery took, ns; they add up to its switch-over.

    detect: failure to the first device that knows. sample: wait for a packet to sample. notify:
    messages on their way, all hops. install: computing and writing the routes. switch: until
    forwarding uses them. hops: messages passed on.
    """

    detect_ns: float = 0.0
    sample_ns: float = 0.0
    notify_ns: float = 0.0
    install_ns: float = 0.0
    switch_ns: float = 0.0
    hops: int = 0

    @property
    def total_ns(self) -> float:
        """Return the time from the failure to the switch-over."""
        return self.detect_ns + self.sample_ns + self.notify_ns + self.install_ns + self.switch_ns


@dataclass(frozen=True, slots=True)
class RouteChange:
    """From `time_ns` on `device` uses (`use`) or no longer uses `channel` for `group`.

    group: destination group of `Routes`, or ALL_GROUPS (the port is withdrawn altogether).
    role: `local` where the device lost its own port, `remote` where it was told.
    """

    time_ns: float
    device: int
    channel: int
    group: int
    use: bool
    role: str
    moments: Moments


@dataclass(frozen=True, slots=True)
class DataPlane:
    """A recovery that the packet engine carries out itself, packet by packet.

    mode: `port` (port-driven, all destinations behind the port, notification to all neighbours)
    or `sampled` (per destination, from sampled packets, hop by hop). Times in ns. sampler: each
    packet into a dead port is sampled with probability 1/sampler. table_size: fault-table entries
    of a device. ageing_ns: life of an entry. takes_part: (devices) 1 for those that have it.
    """

    mode: str
    local: bool
    remote: bool
    detect_ns: float
    install_ns: float
    sampler: int
    table_size: int
    ageing_ns: float
    notification_bytes: int
    process_ns: float
    takes_part: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer of one scheme to one failure.

    changes: in order of time; what the flow engine applies, and the packet engine too unless
    `data_plane` is given: then the packet engine makes its own from the packets that it sees, and
    applies those `beneath` besides. beneath: changes of the routing that runs under a data plane.
    relabel_ns: host-based schemes: a sender without ACK for this long takes another path; else
    None. notes: what the scheme could not do, in sentences (table full, no other path, ...).
    """

    changes: tuple[RouteChange, ...]
    data_plane: DataPlane | None = None
    relabel_ns: float | None = None
    beneath: tuple[RouteChange, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traffic:
    """What ran over each channel when it failed, for schemes that sample.

    packets_per_ns: (channels, groups) packets/ns towards each destination group, dense only for
    the channels in `channels` (row i belongs to channels[i]).
    """

    channels: NDArray[np.int32]
    packets_per_ns: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a scheme may know: fabric, routes, failure and the traffic at that moment."""

    fabric: Fabric
    routes: Routes
    failure: Failure
    traffic: Traffic


class Scheme(Protocol):
    """One recovery scheme with its parameters."""

    name: str

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return what happens after `situation.failure`; all randomness comes from `rng`."""
        ...
