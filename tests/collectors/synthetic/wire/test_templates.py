"""Templates: layers in the order of the recipe, and every field to fill found."""

import pytest

from fabricscope.collectors.synthetic import load_recipe
from fabricscope.collectors.synthetic.wire import kernels, templates


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        ("none", 42),
        ("vlan", 46),
        ("vxlan", 14 + 20 + 8 + 8 + 42),
        ("erspan1", 14 + 20 + 4 + 42),
        ("erspan2", 14 + 20 + 8 + 8 + 42),
        ("erspan3", 14 + 20 + 8 + 12 + 42),
        ("gre", 14 + 20 + 8 + 28),
        ("gretap", 14 + 20 + 8 + 42),
        ("vlan+vxlan+vlan", 18 + 20 + 8 + 8 + 46),
    ],
)
def test_length_and_patches(kind: str, length: int) -> None:
    recipe = load_recipe("ring-allreduce", {"encapsulation.kind": kind})
    template = templates.roce_template(recipe, cnp=False)
    assert len(template.header) == length == template.layout[kernels.LAYOUT_LENGTH]
    # UDP is the innermost field to fill, and the header ends with it.
    first = template.layout[kernels.LAYOUT_FIRST : kernels.LAYOUT_FIRST + 2].tolist()
    assert first == [kernels.PATCH_UDP, length - 8]
    assert template.layout[kernels.LAYOUT_IP] == length - 28


def test_addresses_count_from_one() -> None:
    assert templates.host_address(0, 4) == "10.0.0.1"
    assert templates.host_address(255, 4) == "10.0.1.0"
    assert templates.host_address(9, 6) == "fd00::a"
    assert templates.gid_bytes(0, 4).hex() == "00000000000000000000ffff0a000001"


def test_pause_frames_stay_out_of_overlays() -> None:
    plain = load_recipe("ring-allreduce", {"encapsulation.kind": "vlan+vxlan"})
    assert len(templates.pause_template(plain, 8, 65_535, False).header) == 60
    mirrored = load_recipe("ring-allreduce", {"encapsulation.kind": "erspan2"})
    assert len(templates.pause_template(mirrored, 8, 65_535, False).header) == 60 + 50
