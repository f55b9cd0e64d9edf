"""Bisection bandwidth against formulas, and against the maximum flow of the whole graph."""

import networkx as nx
import numpy as np
import pytest

from fabricscope.topology import bisection as module
from fabricscope.topology.bisection import find_bisection
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import NVLINK_SWITCH, Fabric


def _slow_flow(fabric: Fabric) -> float:
    """Return the maximum flow between the halves, every device a node of its own."""
    leaf = {}
    for link in fabric.links:
        for end, other in ((link.a, link.b), (link.b, link.a)):
            if fabric.devices[end].tier == 0 and fabric.devices[other].tier == 1:
                leaf[end] = min(leaf.get(end, other), other)
    ends = sorted(leaf, key=lambda n: (fabric.devices[n].pod, leaf[n], n))
    graph = nx.DiGraph()
    for link in fabric.links:
        if NVLINK_SWITCH in (fabric.devices[link.a].kind, fabric.devices[link.b].kind):
            continue
        for a, b in ((link.a, link.b), (link.b, link.a)):
            before = graph.edges[a, b]["capacity"] if graph.has_edge(a, b) else 0.0
            graph.add_edge(a, b, capacity=before + link.rate_gbps)
    for place, end in enumerate(ends):
        if place < len(ends) // 2:
            graph.add_edge("left", end)
        else:
            graph.add_edge(end, "right")
    return float(nx.maximum_flow_value(graph, "left", "right"))


@pytest.mark.parametrize(
    ("spec", "gbps", "share"),
    [
        ("leaf-spine:8x4x16@400G", 4 * 4 * 400, 0.25),
        ("leaf-spine:8x4x16@400G,oversubscription=1", 64 * 400, 1.0),
        ("leaf-spine:8x4x16@400G,oversubscription=0.5", 64 * 400, 1.0),
        ("fat-tree:k=4@100G", 8 * 100, 1.0),
        ("clos:4x4x4x8x8@100G,oversubscription=2,core=200G", 64 * 50, 0.5),
        ("clos:4x4x4x4x8@100G", 4 * 4 * 2 * 100 // 4, 0.125),
        ("gh200-256", 57_600 * 8, 1.0),
        ("pod-16384", 8192 * 400, 1.0),
    ],
)
def test_clos_fabrics_have_the_bandwidth_of_their_narrowest_tier(
    spec: str, gbps: float, share: float
) -> None:
    found = find_bisection(build(spec))
    assert found.exact
    assert found.gbps == pytest.approx(gbps)
    assert found.share == pytest.approx(share)


@pytest.mark.parametrize(
    "spec",
    ["leaf-spine:5x3x3@100G", "clos:3x3x2x4x3@100G", "rail:3x2x2@100G,units=2",
     "dual-tor:3x2x3@100G", "dual-plane:3x2x3@100G"],
)  # fmt: skip
def test_it_is_the_maximum_flow_of_the_whole_graph(spec: str) -> None:
    fabric = build(spec)
    assert find_bisection(fabric).gbps == pytest.approx(_slow_flow(fabric))


def test_it_is_so_for_irregular_fabrics_and_the_bound_is_none_below() -> None:
    chance = np.random.default_rng(3)
    for _ in range(25):
        fabric = build(f"clos:2x3x2x4x{chance.integers(1, 4)}@100G")
        links = tuple(
            link._replace(rate_gbps=float(chance.choice([10, 25, 100])))
            for link in fabric.links
            if fabric.devices[link.a].tier == 0 or chance.random() < 0.8
        )
        fabric = Fabric("random", fabric.devices, links)
        found = find_bisection(fabric)
        assert found.exact
        assert found.gbps == pytest.approx(_slow_flow(fabric))


def test_beyond_the_limit_a_cut_is_an_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    fabrics = [build(spec) for spec in ("textbook", "clos:4x4x4x4x8@100G", "rail:4x4x2@100G")]
    exact = [find_bisection(fabric).gbps for fabric in fabrics]
    monkeypatch.setattr(module, "_EDGES_LIMIT", 0)
    for fabric, gbps in zip(fabrics, exact, strict=True):
        found = find_bisection(fabric)
        assert not found.exact
        assert found.gbps >= gbps - 1e-6
