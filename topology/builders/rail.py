"""Rail-optimised fabrics: GPU g of every server of a unit hangs on leaf g of that unit.

Ranks that talk most (the same place in different servers) then meet at one leaf; inside a server
there is an NVLink switch. Source: NVIDIA DGX SuperPOD Reference Architecture, compute fabric.
"""

from fabricscope.errors import FabricError
from fabricscope.topology.builders.clos import connect_upper_tiers
from fabricscope.topology.builders.wiring import Hardware, Wiring
from fabricscope.topology.fabric import NVLINK_SWITCH, Fabric
from fabricscope.topology.limits import check_size

__all__ = ["build_rail"]


def build_rail(
    name: str,
    servers: int,
    gpus: int,
    spines: int,
    hardware: Hardware,
    *,
    units: int = 1,
    pods: int = 1,
    cores: int = 0,
) -> Fabric:
    """Return `pods` pods of `units` units of `servers` servers with `gpus` GPUs each.

    A unit has one leaf for each rail (GPU place); a pod's `spines` spines join all its leaves, and
    `cores` cores join the pods. GPUs are numbered server by server.
    Raises FabricError when several pods have no cores, or they cannot be shared out evenly.
    """
    if pods > 1 and (not cores or cores % spines):
        raise FabricError(
            f"{name}: {pods} pods need cores, a multiple of the {spines} spines of a pod; "
            f"add cores={spines}"
        )
    if pods == 1 and cores:
        raise FabricError(f"{name}: {cores} cores above a single pod join nothing; add pods=2")
    all_servers = pods * units * servers
    leaves = pods * units * gpus
    endpoints = all_servers * gpus
    inside = hardware.nvlink > 0
    devices = endpoints + leaves + pods * spines + cores + inside * all_servers
    links = endpoints * (1 + inside) + leaves * spines * hardware.links
    check_size(name, devices, links + pods * cores * hardware.core_links)
    wiring = Wiring(hardware)
    several = pods > 1
    server_of = [n // gpus for n in range(endpoints)]
    pod_of = [s // (units * servers) if several else -1 for s in server_of]
    rails = list(range(gpus))
    gpu_numbers = wiring.add(
        "gpu", endpoints, pods=pod_of, rails=rails * all_servers, servers=server_of
    )
    leaf_numbers = wiring.add(
        "leaf",
        leaves,
        pods=[n // (units * gpus) if several else -1 for n in range(leaves)],
        rails=rails * (leaves // gpus),
    )
    for place, gpu in enumerate(gpu_numbers):
        unit = place // (gpus * servers)
        leaf = leaf_numbers[unit * gpus + place % gpus]
        wiring.connect(gpu, leaf, hardware.rate, hardware.host_length)
    connect_upper_tiers(wiring, leaf_numbers, pods, spines, cores)
    if inside:
        switches = wiring.add(
            NVLINK_SWITCH, all_servers, pods=pod_of[::gpus], servers=range(all_servers)
        )
        for place, gpu in enumerate(gpu_numbers):
            wiring.connect(gpu, switches[place // gpus], hardware.nvlink, 0.0)
    return wiring.finish(name)
