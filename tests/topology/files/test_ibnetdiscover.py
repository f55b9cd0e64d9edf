"""Output of ibnetdiscover, typed after its manual and with ends that contradict."""

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files import FORMATS
from fabricscope.topology.files.draft import Draft, Imported

IBNETDISCOVER = """#
# Topology file: generated on Thu Jan  1 00:00:00 2026
#
# Initiated from node 0002c903000010a0 port 0002c903000010a1

vendid=0x2c9
devid=0xd2f0
sysimgguid=0x2c9020040f160
switchguid=0x2c9020040f160(2c9020040f160)
Switch\t40 "S-0002c9020040f160"\t\t# "MF0;leaf-a:MQM8700/U1" enhanced port 0 lid 1 lmc 0
[1]\t"H-0002c903000010a0"[1](2c903000010a1) \t\t# "node01 HCA-1" lid 2 4xHDR
[2]\t"H-0002c903000010b0"[1](2c903000010b1) \t\t# "node02 mlx5_0" lid 3 4xHDR
[3]\t"H-0002c903000010c0"[1](2c903000010c1) \t\t# "node02 mlx5_1" lid 4 4xHDR
[4]\t"S-0002c9020040f161"[9]\t\t# "spine-a" lid 5 2xHDR

Switch\t40 "S-0002c9020040f161"\t\t# "spine-a" enhanced port 0 lid 5 lmc 0
[9]\t"S-0002c9020040f160"[4]\t\t# "MF0;leaf-a:MQM8700/U1" lid 1 2xHDR

vendid=0x2c9
caguid=0x2c903000010a0
Ca\t1 "H-0002c903000010a0"\t\t# "node01 HCA-1"
[1](2c903000010a1) \t"S-0002c9020040f160"[1]\t\t# lid 2 lmc 0 "leaf-a" lid 1 4xEDR

Ca\t1 "H-0002c903000010b0"\t\t# "node02 mlx5_0"
[1](2c903000010b1) \t"S-0002c9020040f160"[7]\t\t# lid 3 lmc 0 "leaf-a" lid 1 4xHDR

Ca\t1 "H-0002c903000010c0"\t\t# "node02 mlx5_1"
"""


def _read(text: str, source: str = "x.json") -> Imported:
    return FORMATS["ibnetdiscover"].read(text, Draft(source))


def _links(fabric: Fabric) -> list[tuple[str, float]]:
    return [(n, x.rate_gbps) for n, x in zip(fabric.link_names, fabric.links, strict=True)]


def test_ibnetdiscover_with_contradictions() -> None:
    fabric, _, notes = _read(IBNETDISCOVER)
    assert [(d.name, d.kind, d.server) for d in fabric.devices] == [
        ("MF0;leaf-a:MQM8700/U1", "leaf", -1), ("spine-a", "spine", -1), ("node01", "host", -1),
        ("node02/1", "host", 0), ("node02/2", "host", 0),
    ]  # fmt: skip
    assert _links(fabric)[0] == ("MF0;leaf-a:MQM8700/U1-node01", 100.0)
    assert ("MF0;leaf-a:MQM8700/U1-spine-a", 100.0) in _links(fabric)
    assert "links with different rates at their two ends, of which the lower is taken: 1" in notes
    assert "ports whose neighbour names another one: 1" in notes
    assert "links seen from one end only: 1" in notes
    assert len(fabric.links) == 4
