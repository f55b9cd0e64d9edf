"""The layout of fabrics: nothing is lost when devices are grouped, and the limits hold."""

import pytest

from fabricscope.dashboard.fabric_layout import lay_out, name_group
from fabricscope.topology.builders import PRESETS, build
from fabricscope.topology.fabric import NVLINK_SWITCH, Device, Fabric


@pytest.mark.parametrize("limit", [2, 8, 64])
@pytest.mark.parametrize(
    "spec",
    ["textbook", "dgx-h100-su", "gh200-256", "pod-2048", "clos:12x2x2x4x3", "dual-plane:9x2x3"],
)
def test_every_device_and_link_is_in_the_picture_once(spec: str, limit: int) -> None:
    fabric = build(spec)
    layout = lay_out(fabric, limit, limit)
    drawn = sorted(number for block in layout.blocks for number in block.devices)
    wanted = [n for n, device in enumerate(fabric.devices) if device.kind != NVLINK_SWITCH]
    assert drawn == wanted
    assert sum(bundle.links for bundle in layout.bundles) + layout.inside == len(fabric.links)
    for tier in range(4):
        members = [block for block in layout.blocks if block.tier == tier]
        assert len(members) <= limit
        assert all(0 <= block.x <= 1 for block in members)
        assert len({block.x for block in members}) == len(members)
    for bundle in layout.bundles:
        below, above = layout.blocks[bundle.below], layout.blocks[bundle.above]
        assert below.tier < above.tier


def test_a_small_fabric_is_not_grouped() -> None:
    layout = lay_out(build("leaf-spine:2x2x2@100G"), 8, 8)
    assert not layout.grouped
    assert [block.label for block in layout.blocks] == [
        "spine0", "spine1", "leaf0", "leaf1", "host0", "host1", "host2", "host3"
    ]  # fmt: skip


def test_groups_follow_pods_servers_and_leaves() -> None:
    labels = [block.label for block in lay_out(build("clos:2x4x2x4x4"), 4, 4).blocks]
    assert labels == [
        "core0", "core1", "core2", "core3", "spine0", "spine1", "spine2", "spine3",
        "leaf0-3", "leaf4-7", "host0-15", "host16-31",
    ]  # fmt: skip
    labels = [block.label for block in lay_out(build("rail:4x2x1,units=2"), 4, 4).blocks]
    assert labels[-2:] == ["server0-3", "server4-7"]


def test_endpoints_without_a_switch_and_empty_fabrics_have_a_place() -> None:
    fabric = Fabric("x", (Device("a", "host", 0), Device("s", "leaf", 1)), ())
    assert [block.label for block in lay_out(fabric, 4, 4).blocks] == ["s", "a"]
    assert lay_out(Fabric("x", (), ()), 4, 4).blocks == ()


def test_names_of_groups() -> None:
    assert name_group(["leaf0"]) == "leaf0"
    assert name_group(["leaf0", "leaf1", "leaf2"]) == "leaf0-2"
    assert name_group(["leaf0", "leaf2"]) == "leaf0 +1"
    assert name_group(["a", "b", "c"]) == "a +2"


def test_every_preset_can_be_laid_out() -> None:
    for name in PRESETS:
        assert lay_out(build(name), 16, 16).bundles
