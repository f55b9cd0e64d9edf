"""Dual homing: both leaves of a pair in one fabric, or planes that never meet."""

import networkx as nx

from fabricscope.topology.builders.dual import build_dual_plane, build_dual_tor
from fabricscope.topology.builders.wiring import Hardware
from fabricscope.topology.switch_graph import fabric_graph


def test_dual_tor_hosts_hang_on_both_leaves_of_their_pair() -> None:
    fabric = build_dual_tor("x", 2, 3, 4, Hardware())
    for host in range(8):
        found = {
            fabric.devices[link.b].name
            for link in fabric.links
            if fabric.devices[link.a].name == f"host{host}"
        }
        assert found == {f"leaf{host // 4 * 2}", f"leaf{host // 4 * 2 + 1}"}
    spines = [link for link in fabric.links if fabric.devices[link.b].kind == "spine"]
    assert len(spines) == 4 * 3


def test_planes_never_meet_but_at_the_hosts() -> None:
    for planes in (2, 3):
        fabric = build_dual_plane("x", 2, 3, 4, Hardware(), planes=planes)
        graph = nx.Graph(fabric_graph(fabric))
        graph.remove_nodes_from(fabric.endpoints.tolist())
        parts = list(nx.connected_components(graph))
        assert len(parts) == planes
        for part in parts:
            assert len({fabric.devices[number].plane for number in part}) == 1
        degrees = [fabric_graph(fabric).degree(n) for n in fabric.endpoints.tolist()]
        assert set(degrees) == {planes}
