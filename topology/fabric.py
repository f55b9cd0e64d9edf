"""The fabric: devices, links and the arrays that routing and the engines work on.

Builders and importers make a `Fabric`; nothing here knows a file format, a route or a failure.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.errors import FabricError

__all__ = ["ENDPOINT_KINDS", "SWITCH_KINDS", "Channels", "Device", "Fabric", "Link"]

ENDPOINT_KINDS: Final = ("host", "gpu")
"""Devices that send and receive, and never forward: a host with one port, or a GPU with its NIC."""

SWITCH_KINDS: Final = ("leaf", "spine", "core")

NVLINK_SWITCH: Final = "nvswitch"
"""The switch inside a server; it carries the traffic between GPUs of one server only."""

NANOSECONDS_PER_METRE: Final = 5.0
"""Propagation in fibre: the speed of light over a refractive index of 1.5."""

NO_LINK: Final = -1


class Device(NamedTuple):
    """One host, GPU or switch.

    tier: 0 endpoints (and NVLink switches), 1 leaves, 2 spines, 3 cores. A negative pod, plane,
    rail or server means that there is none. server: devices with the same number share a chassis.
    forwarding_ns: from a packet's last bit in to its first bit out, without queueing.
    """

    name: str
    kind: str
    tier: int
    pod: int = -1
    plane: int = -1
    rail: int = -1
    server: int = -1
    forwarding_ns: float = 0.0


class Link(NamedTuple):
    """One cable between devices `a` and `b` (numbers), both directions.

    optics: transceivers at its ends (2 for fibre between two ports, 0 for copper or a backplane).
    """

    a: int
    b: int
    rate_gbps: float
    length_m: float = 0.0
    a_port: str = ""
    b_port: str = ""
    optics: int = 2


class Channels(NamedTuple):
    """The directions of the links as arrays: channel 2l runs from a to b of link l, 2l + 1 back.

    rate: bits/ns (which is Gb/s); delay_ns: propagation and the forwarding of the device that the
    channel leads to.
    """

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    rate: NDArray[np.float64]
    delay_ns: NDArray[np.float64]


@dataclass(frozen=True)
class Fabric:
    """A network that does not change: failures are states of a simulation, not of the fabric.

    devices and links are numbered by their place; names are unique. plan: the builder's own
    description in words, empty for imports.
    Raises FabricError for a name that occurs twice, a link without rate, or a loop to itself.
    """

    name: str
    devices: tuple[Device, ...]
    links: tuple[Link, ...]
    plan: str = ""

    def __post_init__(self) -> None:
        """Refuse what no engine could work with."""
        if len(self.numbers) != len(self.devices):
            seen: set[str] = set()
            twice = next(d.name for d in self.devices if d.name in seen or seen.add(d.name))  # type: ignore[func-returns-value]
            raise FabricError(f"fabric {self.name}: device {twice} occurs twice; name each once")
        for link in self.links:
            if not 0 <= link.a < len(self.devices) or not 0 <= link.b < len(self.devices):
                raise FabricError(f"fabric {self.name}: a link names a device that does not exist")
            ends = f"{self.devices[link.a].name}-{self.devices[link.b].name}"
            if link.a == link.b:
                raise FabricError(f"fabric {self.name}: link {ends} leads back to its own device")
            if not link.rate_gbps > 0 or link.length_m < 0:
                raise FabricError(
                    f"fabric {self.name}: link {ends} needs a rate above 0 Gb/s and a length of "
                    "0 m or more"
                )

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        """Return each device's number by its name."""
        return {device.name: number for number, device in enumerate(self.devices)}

    @functools.cached_property
    def endpoints(self) -> NDArray[np.int32]:
        """Return the devices that send and receive, in order of number."""
        kinds = [n for n, device in enumerate(self.devices) if device.kind in ENDPOINT_KINDS]
        return np.array(kinds, np.int32)

    @functools.cached_property
    def channels(self) -> Channels:
        """Return the directions of all links."""
        count = len(self.links)
        ends = np.array([(link.a, link.b) for link in self.links], np.int32).reshape(count, 2)
        source = ends.ravel()
        target = ends[:, ::-1].ravel()
        rate = np.repeat(np.array([link.rate_gbps for link in self.links], np.float64), 2)
        metres = np.repeat(np.array([link.length_m for link in self.links], np.float64), 2)
        forwarding = np.array([device.forwarding_ns for device in self.devices], np.float64)
        delay = metres * NANOSECONDS_PER_METRE
        delay += forwarding[target] if len(forwarding) else 0.0
        return Channels(np.ascontiguousarray(source), np.ascontiguousarray(target), rate, delay)

    @functools.cached_property
    def link_names(self) -> tuple[str, ...]:
        """Return `a-b` for each link; parallel ones get #2, #3 behind it."""
        names = []
        seen: dict[tuple[int, int], int] = {}
        for link in self.links:
            pair = (min(link.a, link.b), max(link.a, link.b))
            seen[pair] = seen.get(pair, 0) + 1
            number = f"#{seen[pair]}" if seen[pair] > 1 else ""
            names.append(f"{self.devices[link.a].name}-{self.devices[link.b].name}{number}")
        return tuple(names)

    @functools.cached_property
    def _link_numbers(self) -> dict[str, int]:
        numbers = {name: number for number, name in enumerate(self.link_names)}
        for number, name in enumerate(self.link_names):
            link = self.links[number]
            suffix = name[name.rindex("#") :] if "#" in name else ""
            back = f"{self.devices[link.b].name}-{self.devices[link.a].name}{suffix}"
            numbers.setdefault(back, number)
        return numbers

    def find_device(self, name: str) -> int:
        """Return the number of the device called `name`.

        Raises FabricError with the nearest names.
        """
        if name in self.numbers:
            return self.numbers[name]
        raise FabricError(
            f"fabric {self.name} has no device {name!r}; {_nearest(name, self.numbers)}"
        )

    def find_link(self, name: str) -> int:
        """Return the number of the link called `a-b` or `b-a` (`a-b#2` for a parallel one).

        Raises FabricError with the nearest names.
        """
        if name in self._link_numbers:
            return self._link_numbers[name]
        raise FabricError(
            f"fabric {self.name} has no link {name!r}; {_nearest(name, self._link_numbers)}"
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 3, 0.4)
    return f"did you mean {', '.join(close)}?" if close else "see `fabricscope topology show`"
