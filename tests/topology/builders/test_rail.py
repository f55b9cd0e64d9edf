"""Rail-optimised fabrics: the same place of every server meets at one leaf."""

from fabricscope.topology.builders.rail import build_rail
from fabricscope.topology.builders.wiring import Hardware


def test_gpu_g_of_every_server_is_on_leaf_g_of_its_unit() -> None:
    servers, gpus, units, pods = 3, 4, 2, 2
    fabric = build_rail("x", servers, gpus, 2, Hardware(), units=units, pods=pods, cores=2)
    names = [device.name for device in fabric.devices]
    seen = set()
    for link in fabric.links:
        a, b = fabric.devices[link.a], fabric.devices[link.b]
        if a.kind != "gpu":
            continue
        number = int(a.name.removeprefix("gpu"))
        server, place = divmod(number, gpus)
        assert (a.server, a.rail, a.pod) == (server, place, server // (servers * units))
        if b.kind == "leaf":
            unit = server // servers
            assert b.name == f"leaf{unit * gpus + place}"
            assert (b.rail, b.pod) == (place, unit // units)
        else:
            assert (b.name, b.server, link.rate_gbps) == (f"nvswitch{server}", server, 3600.0)
        seen.add((number, b.kind))
    assert len(seen) == 2 * servers * gpus * units * pods
    assert names.count("core1") == 1


def test_without_nvlink_there_are_no_switches_inside() -> None:
    fabric = build_rail("x", 2, 2, 1, Hardware(nvlink=0.0))
    assert {device.kind for device in fabric.devices} == {"gpu", "leaf", "spine"}
