"""Which link a tap, a host or a port belongs to, how fast it is, and which links run in parallel.

Names come from a topology and from what the user says (`cli`); neighbours that LLDP announces on
the wire fill what is left open. Nothing here reads a file.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from fabricscope.topology.fabric import ENDPOINT_KINDS, Fabric

__all__ = ["DIRECTIONS", "Naming", "Place", "naming_of"]

DIRECTIONS: Final = ("up", "down", "both")
_OPPOSITE: Final = {"up": "down", "down": "up", "both": "both"}


@dataclass(frozen=True)
class Place:
    """A link, and a direction of it. For a port: the direction of what it calls `up`."""

    link: str
    direction: str = "both"

    def turned(self, direction: str) -> str:
        """Return the link's direction for what a port calls `up` or `down`."""
        return _OPPOSITE[direction] if self.direction == "down" else direction


@dataclass
class Naming:
    """Names to link names. taps by tap name, hosts by address, ports by their own names.

    rates: Gb/s by link; group: links that share their traffic have the same. neighbours: ports by
    (system, port) as LLDP announces them; learned: what was named so, for people to see.
    """

    taps: dict[str, Place] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    ports: dict[str, Place] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    neighbours: dict[tuple[str, str], Place] = field(default_factory=dict)
    default_rate_gbps: float = 100.0
    learned: dict[str, str] = field(default_factory=dict)

    def rate_of(self, link: str) -> float:
        """Return a link's rate, the default where nothing is known."""
        return self.rates.get(link, self.default_rate_gbps)

    def group_of(self, link: str) -> str:
        """Return what the links have in common that run in parallel with `link`.

        Without a topology these are the cables between the same two ends: a-b, a-b#2, ...
        """
        group = self.groups.get(link)
        if group is None:
            return link.partition("#")[0] if "#" in link else link
        return group

    def learn(self, taps: Iterable[Mapping[str, str]]) -> None:
        """Name taps by the LLDP frames seen on them: rows of tap, system, port.

        A tap with one neighbour is named after it; with two, as on a port that mirrors both
        directions of a link, after the one that the topology knows, or the first by name.
        """
        seen: dict[str, list[tuple[str, str]]] = {}
        for row in taps:
            seen.setdefault(row["tap"], []).append((row["system"], row["port"]))
        for tap, ends in seen.items():
            if tap in self.taps:
                continue
            known = [self.neighbours[end] for end in ends if end in self.neighbours]
            if known:
                direction = known[0].direction if len(ends) == 1 else "both"
                place = Place(known[0].link, direction)
            else:
                place = Place(":".join(part for part in min(ends) if part))
            self.taps[tap] = place
            self.learned[tap] = f"{place.link} {place.direction}"


def naming_of(fabric: Fabric, default_rate_gbps: float = 100.0) -> Naming:
    """Return the names that a fabric gives: links, rates, ports, and which links are parallel.

    Ports are known as `device port` and `device:port`. Links from one device to devices of the next
    tier run in parallel; so do cables between the same two devices.
    """
    naming = Naming(default_rate_gbps=default_rate_gbps)
    for name, link in zip(fabric.link_names, fabric.links, strict=True):
        a, b = fabric.devices[link.a], fabric.devices[link.b]
        lower, upper = (a, b) if a.tier <= b.tier else (b, a)
        naming.rates[name] = link.rate_gbps
        if lower.kind not in ENDPOINT_KINDS:
            naming.groups[name] = f"{lower.name} to {upper.kind} {upper.plane}"
        for device, port in ((a, link.a_port), (b, link.b_port)):
            # A switch's port calls up what it receives, a host's what it sends.
            sends_up = device is lower and device.kind not in ENDPOINT_KINDS
            place = Place(name, "down" if sends_up else "up")
            # An LLDP frame is sent by the port that it names.
            heard = Place(name, "up" if device is lower else "down")
            if device.kind in ENDPOINT_KINDS:
                naming.hosts.setdefault(device.name, name)
                naming.neighbours.setdefault((device.name, ""), heard)
            if port:
                naming.ports[f"{device.name} {port}"] = place
                naming.ports[f"{device.name}:{port}"] = place
                naming.neighbours[device.name, port] = heard
    return naming
