"""The switch graph: parallel cables bundled, endpoints apart, NVLink left out."""

import numpy as np

from fabricscope.topology.builders import build
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.switch_graph import build_switch_graph


def test_bundles_and_access_links() -> None:
    fabric = build("rail:2x2x3@100G,links=4,uplink=200G")
    graph = build_switch_graph(fabric)
    assert len(graph.switches) == 5
    assert len(graph.source) == 2 * 2 * 3
    assert (np.diff(graph.source) >= 0).all()
    assert set(graph.links.tolist()) == {4}
    assert set(graph.rate.tolist()) == {800.0}
    assert sorted(graph.access_end.tolist()) == fabric.endpoints.tolist()
    assert set(graph.access_rate.tolist()) == {100.0}
    simple = graph.graph()
    assert (simple.number_of_nodes(), simple.number_of_edges()) == (5, 6)
    assert {links for _, _, links in simple.edges(data="links")} == {4}


def test_a_fabric_without_switches() -> None:
    graph = build_switch_graph(Fabric("x", (), ()))
    assert len(graph.switches) == len(graph.source) == len(graph.access) == 0
