"""Endpoints with several ports: into two leaves of one fabric, or into planes that never meet."""

from fabricscope.topology.builders.wiring import Hardware, Wiring
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.limits import check_size

__all__ = ["build_dual_plane", "build_dual_tor"]


def build_dual_tor(name: str, pairs: int, spines: int, hosts: int, hardware: Hardware) -> Fabric:
    """Return `pairs` pairs of leaves with `hosts` dual-homed hosts each, all under all spines.

    leaf 2p and leaf 2p + 1 are pair p. The rate is that of one port.
    """
    devices = pairs * (hosts + 2) + spines
    check_size(name, devices, 2 * pairs * (hosts + spines * hardware.links))
    wiring = Wiring(hardware)
    leaf_numbers = _add_groups(wiring, "host", pairs, hosts, 2, apart=False)
    spine_numbers = wiring.add("spine", spines)
    for leaf in leaf_numbers:
        for spine in spine_numbers:
            wiring.connect(leaf, spine, hardware.uplink, hardware.spine_length, hardware.links)
    return wiring.finish(name)


def build_dual_plane(
    name: str,
    groups: int,
    spines: int,
    hosts: int,
    hardware: Hardware,
    *,
    planes: int = 2,
    endpoint: str = "host",
) -> Fabric:
    """Return leaf-spine planes of `spines` spines each; an endpoint has a port in every plane.

    A group is `hosts` endpoints with one leaf in each plane: leaf `planes` * g + p is that of
    group g in plane p, and spines p * `spines` and on are in plane p. The rate is that of one port.
    Source: Alibaba HPN: A Data Center Network for Large Language Model Training, SIGCOMM 2024.
    """
    devices = groups * (hosts + planes) + planes * spines
    check_size(name, devices, planes * groups * (hosts + spines * hardware.links))
    wiring = Wiring(hardware)
    leaf_numbers = _add_groups(wiring, endpoint, groups, hosts, planes, apart=True)
    spine_numbers = wiring.add(
        "spine", planes * spines, planes=[n // spines for n in range(planes * spines)]
    )
    for place, leaf in enumerate(leaf_numbers):
        plane = place % planes
        for spine in spine_numbers[plane * spines : (plane + 1) * spines]:
            wiring.connect(leaf, spine, hardware.uplink, hardware.spine_length, hardware.links)
    return wiring.finish(name)


def _add_groups(
    wiring: Wiring, endpoint: str, groups: int, hosts: int, ports: int, *, apart: bool
) -> range:
    """Add groups of endpoints with `ports` leaves each; return the leaves, group by group."""
    hardware = wiring.hardware
    host_numbers = wiring.add(endpoint, groups * hosts)
    leaf_numbers = wiring.add(
        "leaf", ports * groups, planes=list(range(ports)) * groups if apart else ()
    )
    for place, host in enumerate(host_numbers):
        first = place // hosts * ports
        for leaf in leaf_numbers[first : first + ports]:
            wiring.connect(host, leaf, hardware.rate, hardware.host_length)
    return leaf_numbers
