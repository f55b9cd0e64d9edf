"""Wiring: names, ports in the order of cabling, copper and fibre."""

from fabricscope.topology.builders.wiring import COPPER_REACH_M, Hardware, Wiring


def test_ports_are_numbered_in_the_order_of_cabling() -> None:
    wiring = Wiring(Hardware(forwarding_ns=700.0))
    leaf, other = wiring.add("leaf", 2, pods=[4, 5])
    wiring.connect(leaf, other, 100.0, COPPER_REACH_M, links=2)
    wiring.connect(other, leaf, 100.0, COPPER_REACH_M + 0.5)
    fabric = wiring.finish("x")
    assert [(x.a_port, x.b_port, x.optics) for x in fabric.links] == [
        ("p0", "p0", 0), ("p1", "p1", 0), ("p2", "p2", 2)
    ]  # fmt: skip
    assert [(d.name, d.pod, d.tier, d.forwarding_ns) for d in fabric.devices] == [
        ("leaf0", 4, 1, 700.0), ("leaf1", 5, 1, 700.0)
    ]  # fmt: skip
    assert (fabric.name, fabric.plan) == ("x", "x")
