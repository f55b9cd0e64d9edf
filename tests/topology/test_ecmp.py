"""ECMP widths against the obvious count of next hops in the networkx graph."""

import networkx as nx
import numpy as np
import pytest

from fabricscope.topology import ecmp
from fabricscope.topology.builders import build
from fabricscope.topology.ecmp import find_ecmp_widths
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.switch_graph import fabric_graph


def _slow_widths(fabric: Fabric) -> dict[int, tuple[int, int, int]]:
    """Return pairs, least and most width by distance."""
    graph = fabric_graph(fabric)
    graph.remove_nodes_from([n for n, device in enumerate(fabric.devices) if not device.tier])
    leaves = [n for n, device in enumerate(fabric.devices) if device.tier == 1]
    found: dict[int, list[int]] = {}
    for target in leaves:
        distance = nx.single_source_shortest_path_length(graph, target)
        for leaf in leaves:
            if leaf != target and leaf in distance:
                width = sum(
                    distance.get(other) == distance[leaf] - 1 for _, other in graph.edges(leaf)
                )
                found.setdefault(distance[leaf], []).append(width)
    return {hops: (len(w), min(w), max(w)) for hops, w in found.items()}


@pytest.mark.parametrize(
    "spec",
    ["textbook", "leaf-spine:3x2x1,links=3", "fat-tree:k=4", "dual-plane:2x3x2", "rail:2x4x2",
     "clos:3x2x2x4x2"],
)  # fmt: skip
def test_widths_of_whole_and_broken_fabrics(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(1)
    whole = build(spec)
    for broken in range(4):
        links = tuple(
            link
            for link in whole.links
            if not broken or whole.devices[link.a].tier == 0 or chance.random() < 0.7
        )
        fabric = Fabric("x", whole.devices, links)
        for chunk in (1, 1 << 20):
            monkeypatch.setattr(ecmp, "_CHUNK", chunk)
            widths, _, counted_all = find_ecmp_widths(fabric)
            assert counted_all
            found = {one.hops: (one.pairs, one.least, one.most) for one in widths}
            assert found == _slow_widths(fabric)


def test_unreachable_pairs_and_narrow_leaves_are_named() -> None:
    widths, unreachable, _ = find_ecmp_widths(build("dual-plane:2x3x2"))
    assert unreachable == 8
    assert [(one.least, one.most, one.narrow) for one in widths] == [(3, 3, ())]
    fabric = build("leaf-spine:3x2x1")
    links = list(fabric.links)
    del links[fabric.find_link("leaf2-spine0")]
    widths, _, _ = find_ecmp_widths(Fabric("x", fabric.devices, tuple(links)))
    assert [(one.least, one.most) for one in widths] == [(1, 2)]
    assert widths[0].narrow == ("leaf2",)


def test_many_leaves_are_represented_by_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ecmp, "_WORK_LIMIT", 200)
    widths, _, counted_all = find_ecmp_widths(build("textbook"))
    assert not counted_all
    assert (widths[0].least, widths[0].most) == (4, 4)
