"""The map of a fabric as elements: what stands where, and what lines and nodes stand for."""

import pytest

from fabricscope.dashboard.figures.fabric_map import build_map, choices, map_of_names
from fabricscope.topology.builders import build

SPECIFICATIONS = (
    "leaf-spine:8x4x16@400G",
    "leaf-spine:32x16x46@400G",
    "clos:4x8x4x8x16@400G",
    "dgx-h100-superpod",
)


@pytest.mark.parametrize("specification", SPECIFICATIONS)
@pytest.mark.parametrize("every", [False, True])
def test_every_link_between_nodes_is_in_one_line(specification: str, every: bool) -> None:
    fabric = build(specification)
    shown = build_map(fabric, every)
    drawn = [link for line in shown.lines for link in line]
    assert len(drawn) == len(set(drawn))
    devices = [name for names in shown.nodes.values() for name in names]
    inside_servers = {device.name for device in fabric.devices if device.kind == "nvswitch"}
    assert set(devices) == {device.name for device in fabric.devices} - inside_servers
    assert len(devices) == len(set(devices))
    edges = [one["data"] for one in shown.elements if "source" in one["data"]]
    assert [edge["number"] for edge in edges] == list(range(len(shown.lines)))
    assert all(edge["links"] == len(shown.lines[edge["number"]]) for edge in edges)
    assert inside_servers or len(drawn) == len(fabric.links)


@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_nodes_stand_inside_and_ends_exist(specification: str) -> None:
    shown = build_map(build(specification), every=False)
    nodes = {one["data"]["id"]: one["data"] for one in shown.elements if "u" in one["data"]}
    assert all(0 <= node["u"] <= 1 and 0 <= node["v"] <= 1 for node in nodes.values())
    for one in shown.elements:
        if "source" in one["data"]:
            assert {one["data"]["source"], one["data"]["target"]} <= set(nodes)


def test_groups_keep_two_thousand_links_few() -> None:
    fabric = build("leaf-spine:32x16x46@400G")
    assert len(fabric.links) == 1_984
    assert len(build_map(fabric, every=False).lines) <= 300
    assert build_map(fabric, every=False).grouped


def test_a_choice_dims_the_rest() -> None:
    fabric = build("dgx-h100-superpod")
    assert "rail 3" in choices(fabric)
    shown = build_map(fabric, every=True, choice="rail 3")
    dim = [one for one in shown.elements if "dim" in one["classes"]]
    assert 0 < len(dim) < len(shown.elements)
    assert not [e for e in build_map(fabric, every=True).elements if "dim" in e["classes"]]
    assert choices(build("leaf-spine:8x4x16@400G")) == []


@pytest.mark.parametrize("names", [(), ("x",), ("<b>", "10.0.0.1"), tuple(map(str, range(300)))])
def test_links_without_a_fabric_hang_on_one_node(names: tuple[str, ...]) -> None:
    shown = map_of_names(names)
    assert shown.lines == tuple((name,) for name in names)
    assert len(shown.elements) == 1 + 2 * len(names)
    assert list(shown.nodes.values()) == list(shown.lines)


def test_what_was_picked_is_the_same_when_other_links_come() -> None:
    few, more = map_of_names(("eth1", "eth2")), map_of_names(("eth0", "eth1", "eth2"))
    picked = next(node for node, names in few.nodes.items() if names == ("eth2",))
    assert more.nodes[picked] == ("eth2",)
