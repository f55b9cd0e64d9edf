"""Devices and cables as attributes: parallel cables, directions, values out of range."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.files.attributes import (
    add_node,
    join_directions,
    list_edges,
    list_nodes,
    read_edge,
)
from fabricscope.topology.files.draft import Cable, Draft


def test_attributes_give_the_same_fabric_again() -> None:
    fabric = build("rail:2x2x1@100G,links=2")
    draft = Draft("x")
    for node in list_nodes(fabric):
        add_node(draft, str(node["name"]), node, "")
    cables = [
        (read_edge(draft, str(edge["a"]), str(edge["b"]), edge, ""), "")
        for edge in list_edges(fabric)
    ]
    join_directions(draft, cables)
    again = draft.finish("x").fabric
    assert (again.devices, again.links) == (fabric.devices, fabric.links)


def test_directions_without_ports_pair_up_and_parallel_ones_stay() -> None:
    draft = Draft("x")
    for name in "ab":
        draft.add_device(name, "", "leaf")
    pairs = ("ab", "ab", "ba", "ba", "ab")
    join_directions(draft, [(Cable(*pair), "") for pair in pairs])
    fabric, _, faults = draft.finish("x")
    assert len(fabric.links) == 3
    assert faults[0].endswith(": 1")


@pytest.mark.parametrize(
    "given", [{"rate_gbps": 0}, {"rate_gbps": "fast"}, {"length_m": -1}, {"LinkSpeedRaw": 5}]
)
def test_values_out_of_range_name_their_key(given: dict[str, object]) -> None:
    with pytest.raises(FabricError, match=rf"x: links\[3\]\.{next(iter(given))}: "):
        read_edge(Draft("x"), "a", "b", given, "links[3]")
