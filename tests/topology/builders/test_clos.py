"""Clos fabrics against what their definitions say of every pair of devices."""

import networkx as nx
import pytest

from fabricscope.topology.builders.clos import build_clos, build_fat_tree, build_leaf_spine
from fabricscope.topology.builders.wiring import Hardware
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.switch_graph import fabric_graph


def _pairs(fabric: Fabric) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for link in fabric.links:
        pair = (fabric.devices[link.a].name, fabric.devices[link.b].name)
        found[pair] = found.get(pair, 0) + 1
    return found


def test_leaf_spine_joins_every_leaf_with_every_spine() -> None:
    fabric = build_leaf_spine("x", 3, 2, 4, Hardware(links=5))
    expected = {(f"host{h}", f"leaf{h // 4}"): 1 for h in range(12)}
    expected |= {(f"leaf{n}", f"spine{s}"): 5 for n in range(3) for s in range(2)}
    assert _pairs(fabric) == expected


def test_clos_joins_spines_with_cores_by_their_place_in_the_pod() -> None:
    pods, leaves, spines, cores, hosts = 3, 2, 2, 6, 4
    fabric = build_clos("x", pods, leaves, spines, cores, hosts, Hardware(core_links=2))
    expected = {(f"host{h}", f"leaf{h // hosts}"): 1 for h in range(pods * leaves * hosts)}
    for leaf in range(pods * leaves):
        for spine in range(spines):
            expected[f"leaf{leaf}", f"spine{leaf // leaves * spines + spine}"] = 1
    for spine in range(pods * spines):
        for core in range(cores):
            if core // (cores // spines) == spine % spines:
                expected[f"spine{spine}", f"core{core}"] = 2
    assert _pairs(fabric) == expected
    assert {d.pod for d in fabric.devices if d.kind == "core"} == {-1}
    assert all(
        d.pod == int(d.name.removeprefix("leaf")) // leaves
        for d in fabric.devices
        if d.kind == "leaf"
    )


@pytest.mark.parametrize("k", [2, 4, 6])
def test_a_fat_tree_has_k_ports_a_switch_and_k_squared_over_4_paths(k: int) -> None:
    fabric = build_fat_tree("x", k, Hardware())
    graph = fabric_graph(fabric)
    kinds = [device.kind for device in fabric.devices]
    counts = [kinds.count(kind) for kind in ("host", "leaf", "spine", "core")]
    assert counts == [k**3 // 4, k * k // 2, k * k // 2, k * k // 4]
    assert {graph.degree(n) for n, kind in enumerate(kinds) if kind != "host"} == {k}
    first, last = fabric.numbers["host0"], fabric.numbers[f"host{k**3 // 4 - 1}"]
    paths = list(nx.all_shortest_paths(nx.Graph(graph), first, last))
    assert len(paths) == k * k // 4
    assert {len(path) for path in paths} == {7}
