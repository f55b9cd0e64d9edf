"""Devices and cables of a fabric while a builder makes it: names, ports, optics.

Which device is cabled to which is the builders' part.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from fabricscope.topology.fabric import NVLINK_SWITCH, Device, Fabric, Link

__all__ = ["COPPER_REACH_M", "Hardware", "Wiring"]

COPPER_REACH_M: Final = 3.0
"""Passive copper reaches 3 m at 50 Gb/s a lane (IEEE 802.3cd, clause 136); further is fibre."""

_TIERS: Final = {"host": 0, "gpu": 0, NVLINK_SWITCH: 0, "leaf": 1, "spine": 2, "core": 3}


class Hardware(NamedTuple):
    """Rates, lengths and latencies; the builders' options with their defaults.

    rate: of an endpoint's port, Gb/s; uplink: of a cable from leaf to spine, core: from spine to
    core. links, core_links: parallel cables between each pair. Lengths in metres: copper within
    the rack, fibre within the row and across the hall.
    forwarding_ns: of a switch; cut-through switches of this class state 300 to 800 ns.
    nvlink: of a GPU into its server's NVLink switch in one direction, Gb/s; 0 for none. 3,600 is
    18 links of 200 Gb/s, NVIDIA H100 Tensor Core GPU Architecture. The latency of the NVLink
    switch is an assumption, as none is published.
    """

    rate: float = 400.0
    uplink: float = 400.0
    core: float = 400.0
    links: int = 1
    core_links: int = 1
    host_length: float = 3.0
    spine_length: float = 30.0
    core_length: float = 100.0
    forwarding_ns: float = 500.0
    nvlink: float = 3600.0
    nvlink_forwarding_ns: float = 100.0


class Wiring:
    """Collects devices and cables; ports are numbered from 0 in the order of cabling."""

    def __init__(self, hardware: Hardware) -> None:
        """Start without any device."""
        self.hardware = hardware
        self.devices: list[Device] = []
        self.links: list[Link] = []
        self._ports: list[int] = []

    def add(
        self,
        kind: str,
        count: int,
        *,
        pods: Sequence[int] = (),
        planes: Sequence[int] = (),
        rails: Sequence[int] = (),
        servers: Sequence[int] = (),
    ) -> range:
        """Add `count` devices called kind0, kind1, ...; return their numbers.

        pods, planes, rails, servers: one entry a device, or empty for none.
        """
        first = len(self.devices)
        tier = _TIERS[kind]
        forwarding = self.hardware.forwarding_ns if tier else 0.0
        if kind == NVLINK_SWITCH:
            forwarding = self.hardware.nvlink_forwarding_ns
        none = (-1,) * count
        self.devices.extend(
            Device(f"{kind}{number}", kind, tier, pod, plane, rail, server, forwarding)
            for number, (pod, plane, rail, server) in enumerate(
                zip(pods or none, planes or none, rails or none, servers or none, strict=True)
            )
        )
        self._ports.extend([0] * count)
        return range(first, first + count)

    def connect(self, a: int, b: int, rate: float, length_m: float, links: int = 1) -> None:
        """Cable `a` to `b` with `links` parallel cables."""
        optics = 2 if length_m > COPPER_REACH_M else 0
        ports = self._ports
        for _ in range(links):
            self.links.append(Link(a, b, rate, length_m, f"p{ports[a]}", f"p{ports[b]}", optics))
            ports[a] += 1
            ports[b] += 1

    def finish(self, name: str) -> Fabric:
        """Return the fabric; `name` is also its plan, from which it can be built again."""
        return Fabric(name, tuple(self.devices), tuple(self.links), name)
