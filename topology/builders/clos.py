"""Folded Clos fabrics: leaf-spine, three tiers, and the k-ary fat-tree as its regular case."""

from fabricscope.errors import FabricError
from fabricscope.topology.builders.wiring import Hardware, Wiring
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.limits import check_size

__all__ = ["build_clos", "build_fat_tree", "build_leaf_spine"]


def build_leaf_spine(name: str, leaves: int, spines: int, hosts: int, hardware: Hardware) -> Fabric:
    """Return every leaf cabled to every spine, and `hosts` hosts below each leaf."""
    devices = leaves + spines + leaves * hosts
    check_size(name, devices, leaves * (hosts + spines * hardware.links))
    wiring = Wiring(hardware)
    host_numbers = wiring.add("host", leaves * hosts)
    leaf_numbers = wiring.add("leaf", leaves)
    spine_numbers = wiring.add("spine", spines)
    for place, host in enumerate(host_numbers):
        wiring.connect(host, leaf_numbers[place // hosts], hardware.rate, hardware.host_length)
    for leaf in leaf_numbers:
        for spine in spine_numbers:
            wiring.connect(leaf, spine, hardware.uplink, hardware.spine_length, hardware.links)
    return wiring.finish(name)


def build_clos(
    name: str,
    pods: int,
    leaves: int,
    spines: int,
    cores: int,
    hosts: int,
    hardware: Hardware,
) -> Fabric:
    """Return three tiers: leaves and spines fully cabled in each pod, spines to cores by place.

    leaves, spines: in each pod; hosts: below each leaf; cores: in all. The spine at place s of
    every pod reaches the cores s * cores / spines and on: spine planes, as in A. Andreyev,
    Introducing Data Center Fabric, the Next-Generation Facebook Data Center Network, 2014.
    Raises FabricError when the cores cannot be shared out evenly.
    """
    if cores % spines:
        raise FabricError(
            f"{name}: {cores} cores cannot be shared out evenly among {spines} spines of a pod; "
            f"use a multiple of {spines}"
        )
    devices = cores + pods * (leaves + spines + leaves * hosts)
    per_pod = leaves * (hosts + spines * hardware.links) + cores * hardware.core_links
    check_size(name, devices, pods * per_pod)
    wiring = Wiring(hardware)
    total = pods * leaves
    host_numbers = wiring.add(
        "host", total * hosts, pods=[n // (leaves * hosts) for n in range(total * hosts)]
    )
    leaf_numbers = wiring.add("leaf", total, pods=[n // leaves for n in range(total)])
    for place, host in enumerate(host_numbers):
        wiring.connect(host, leaf_numbers[place // hosts], hardware.rate, hardware.host_length)
    connect_upper_tiers(wiring, leaf_numbers, pods, spines, cores)
    return wiring.finish(name)


def build_fat_tree(name: str, k: int, hardware: Hardware) -> Fabric:
    """Return the k-ary fat-tree: k pods of k/2 leaves and k/2 spines, k^3/4 hosts.

    Source: Al-Fares, Loukissas, Vahdat, A Scalable, Commodity Data Center Network Architecture,
    SIGCOMM 2008. Raises FabricError for an odd k.
    """
    if k % 2:
        raise FabricError(
            f"{name}: a fat-tree of {k}-port switches is not possible; k must be even"
        )
    half = k // 2
    return build_clos(name, k, half, half, half * half, half, hardware)


def connect_upper_tiers(wiring: Wiring, leaves: range, pods: int, spines: int, cores: int) -> None:
    """Add `spines` spines a pod above the leaves (in order of pod), and `cores` above the spines.

    Without cores, the pods stay apart from one another.
    """
    hardware = wiring.hardware
    per_pod = len(leaves) // pods
    spine_numbers = wiring.add(
        "spine", pods * spines, pods=[n // spines if cores else -1 for n in range(pods * spines)]
    )
    for place, leaf in enumerate(leaves):
        pod = place // per_pod
        for spine in spine_numbers[pod * spines : (pod + 1) * spines]:
            wiring.connect(leaf, spine, hardware.uplink, hardware.spine_length, hardware.links)
    if not cores:
        return
    core_numbers = wiring.add("core", cores)
    share = cores // spines
    for place, spine in enumerate(spine_numbers):
        first = place % spines * share
        for core in core_numbers[first : first + share]:
            wiring.connect(spine, core, hardware.core, hardware.core_length, hardware.core_links)
