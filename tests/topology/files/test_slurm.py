"""Slurm's topology.conf and its host lists."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.files import FORMATS, render_fabric
from fabricscope.topology.files.draft import Draft, Imported
from fabricscope.topology.files.slurm import expand_hostlist, fold_hostlist


def _read(text: str, source: str = "x.json") -> Imported:
    return FORMATS["slurm"].read(text, Draft(source))


def test_slurm_tree_as_in_the_manual() -> None:
    fabric, notes, _ = _read(
        """# Switch Configuration
SwitchName=s0 Nodes=tux[0-1]
SwitchName=s1 Nodes=tux[2-3]  LinkSpeed=900
switchname=s2 nodes=tux[04,6-7]
SwitchName=s4 Switches=s[0-1]
SwitchName=s5 Switches=s2
SwitchName=s6 Switches=s[4-5]
""",
    )
    kinds = {d.name: d.kind for d in fabric.devices}
    assert kinds | {"s0": "leaf", "s4": "spine", "s6": "core", "tux04": "host"} == kinds
    assert len(fabric.endpoints) == 7
    assert len(fabric.links) == 7 + 3 + 2
    assert notes[0].endswith("leaves its unit open: 1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SwitchName=a Switches=b", "x: line 1: switch b has no line of its own"),
        ("SwitchName=a Nodes=n\nSwitchName=a Nodes=m", "line 2: switch a was given before"),
        ("SwitchName=a Nodes=n[1-", "'[1-' is no host list"),
        ("SwitchName=a Nodes=n[3-1]", "'3-1' is no range"),
        ("SwitchName=a Nodes=n[0-999999999]", "is no range of numbers"),
        ("SwitchName=a Ports=3", "'Ports=3' is none of SwitchName="),
        ("SwitchName=a Switches=a", "a is cabled to itself"),
        ("SwitchName=a Nodes=b\nSwitchName=b Nodes=c", "b is a switch and cannot be"),
    ],
)
def test_slurm_errors_name_the_line(text: str, says: str) -> None:
    with pytest.raises(FabricError) as caught:
        _read(text, "x")
    assert says in str(caught.value)


def test_slurm_keeps_which_node_is_below_which_leaf() -> None:
    fabric = build("clos:2x2x2x2x3@100G")
    text, _ = render_fabric(fabric, "topology.conf")
    assert text == (
        "SwitchName=leaf0 Nodes=host[0-2]\nSwitchName=leaf1 Nodes=host[3-5]\n"
        "SwitchName=leaf2 Nodes=host[6-8]\nSwitchName=leaf3 Nodes=host[9-11]\n"
        "SwitchName=spines-of-pod0 Switches=leaf[0-1]\n"
        "SwitchName=spines-of-pod1 Switches=leaf[2-3]\n"
        "SwitchName=cores Switches=spines-of-pod[0-1]\n"
    )
    tree = _read(text).fabric
    below = {name for name in fabric.link_names if name.startswith("host")}
    assert {name for name in tree.link_names if name.startswith("host")} == below


def test_host_lists_fold_and_unfold() -> None:
    names = ["a0", "a1", "a2", "a4", "b", "c07", "d10"]
    assert fold_hostlist(names) == "a[0-2,4],b,c07,d10"
    assert list(expand_hostlist(Draft("x"), fold_hostlist(names), "")) == names
