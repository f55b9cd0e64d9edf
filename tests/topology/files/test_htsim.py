"""htsim's fabrics and traffic matrices."""

from pathlib import Path

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.files import FORMATS, read_pairs
from fabricscope.topology.files.draft import Draft, Imported
from fabricscope.topology.files.htsim import Pair, write_matrix


def _read(text: str, source: str = "x.json") -> Imported:
    return FORMATS["htsim"].read(text, Draft(source))


def test_htsim_topologies() -> None:
    tiny = """Nodes 32
Tiers 2
Podsize 32

Tier 0
Downlink_speed_Gbps 100
Radix_Down 8
Radix_Up 2
Downlink_Latency_ns 1000
Switch_Latency_ns 0
Oversubscribed 4

Tier 1
Downlink_speed_Gbps 100
Radix_Down 4
Downlink_Latency_ns 1000
Switch_Latency_ns 0
"""
    fabric = _read(tiny).fabric
    kinds = [device.kind for device in fabric.devices]
    assert [kinds.count(kind) for kind in ("host", "leaf", "spine")] == [32, 4, 2]
    assert set(fabric.channels.delay_ns.tolist()) == {1000.0}
    with pytest.raises(FabricError, match="Radix_Down of Tier 1: is 5 where the other radixes"):
        _read(tiny.replace("Radix_Down 4", "Radix_Down 5"))
    with pytest.raises(FabricError, match="line 5: '0' is no key that htsim knows"):
        _read(tiny.replace("Tier 0", "Tier 0 0").replace("Tier 0 0", "0 0"))


def test_htsim_fat_tree_of_1024() -> None:
    sections = "".join(
        f"\nTier {n}\nDownlink_speed_Gbps 100\nRadix_Down {down}\n{up}Downlink_Latency_ns 1000\n"
        for n, down, up in ((0, 8, "Radix_Up 8\n"), (1, 8, "Radix_Up 8\n"), (2, 16, ""))
    )
    fabric = _read(f"Nodes 1024\nTiers 3\nPodsize 64\n{sections}").fabric
    kinds = [device.kind for device in fabric.devices]
    assert [kinds.count(kind) for kind in ("host", "leaf", "spine", "core")] == [1024, 128, 128, 64]


def test_htsim_traffic_matrix(tmp_path: Path) -> None:
    pairs = (Pair(7, 5, 2_000_000, 0.0), Pair(0, 3, 1, 2.5))
    path = tmp_path / "x.cm"
    path.write_text(write_matrix(8, pairs) + "1->2 id 3 trigger 1 size 5\ntrigger id 1 oneshot\n")
    nodes, found, notes = read_pairs(path)
    assert (nodes, found) == (8, (*pairs, Pair(1, 2, 5, 0.0)))
    assert len(notes) == 2
    path.write_text("Nodes 4\n1->4 size 5\n")
    with pytest.raises(
        FabricError, match=r"x\.cm: line 2: 1->4 needs two endpoints below Nodes, 4"
    ):
        read_pairs(path)
    path.write_text("1->4 size 5\n")
    with pytest.raises(FabricError, match=r"x\.cm: line 1: Nodes must come before"):
        read_pairs(path)
