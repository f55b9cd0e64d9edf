"""Files as their own programs write them, typed by hand after the formats' documentation."""

import json
from pathlib import Path

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files import FORMATS, read_fabric, read_pairs, render_fabric
from fabricscope.topology.files.draft import Draft, Imported
from fabricscope.topology.files.htsim import Pair, write_matrix
from fabricscope.topology.files.slurm import expand_hostlist, fold_hostlist
from fabricscope.topology.files.yaml_subset import parse_yaml

CONTAINERLAB = """
name: two-tier # a comment
topology:
  kinds:
    linux:
      image: some/host:latest
  nodes:
    spine1:
      kind: nokia_srlinux
      startup-config: |
        set / interface: "ethernet-1/1"
          admin-state enable
    leaf1: {kind: nokia_srlinux, labels: {graph-level: 2}}
    "client 1":
      kind: linux
      exec:
      - ip addr add 10.0.0.1/24 dev eth1
      - 'ip link set eth1 up: now'
  links:
  - endpoints: ["leaf1:e1-49", "spine1:e1-1"]
    mtu: 9000
  - type: veth
    endpoints:
      - node: client 1
        interface: eth1
      - node: leaf1
        interface: e1-1
  - endpoints: ["leaf1:e1-9", "host:tap0"]
  - type: mgmt-net
    endpoint: {node: leaf1, interface: mgmt0}
"""

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


def _read(name: str, text: str, source: str = "x.json") -> Imported:
    return FORMATS[name].read(text, Draft(source))


def _links(fabric: Fabric) -> list[tuple[str, float]]:
    return [(n, x.rate_gbps) for n, x in zip(fabric.link_names, fabric.links, strict=True)]


def test_containerlab_as_people_write_it() -> None:
    fabric, notes, _ = _read("containerlab", CONTAINERLAB)
    assert fabric.name == "two-tier"
    assert [(d.name, d.kind) for d in fabric.devices] == [
        ("spine1", "spine"), ("leaf1", "leaf"), ("client 1", "host")
    ]  # fmt: skip
    assert [(x.a_port, x.b_port) for x in fabric.links] == [("e1-49", "e1-1"), ("eth1", "e1-1")]
    assert notes[0] == "links that do not join two nodes of the lab, left out: 2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x 1", "x.yml: line 1: 'a: &x 1' uses an anchor"),
        ("a:\n\tb: 1", "x.yml: line 2: YAML is indented with spaces"),
        ("a: [1, 2", "line 1: 'a: [1, 2' has a bracket that does not close"),
        ('a: "b', "has a quote that does not end on its line"),
        ("a: 1\na: 2", "line 2: 'a: 2' gives a key a second time"),
        ("a: {b: 1} c", "goes on behind its closing bracket"),
        ("just text", "is no KEY: VALUE"),
        ("a: 1\n  b: 2", "line 2: 'b: 2' is indented unlike"),
        ("a: " + "[" * 100, "is nested more than 40 deep"),
        ("\n".join(" " * n + "a:" for n in range(100)), "is nested more than 40 deep"),
        ("a" * 20_000, "is longer than 10,000 characters"),
    ],
)
def test_yaml_that_is_not_read_is_refused_by_line(text: str, says: str) -> None:
    with pytest.raises(FabricError) as caught:
        parse_yaml(text, "x.yml")
    assert says in str(caught.value)


def test_yaml_scalars_and_collections() -> None:
    text = """
a: 1 # one
'it''s': "x\\"y # no comment"
list:
  - x: 1
    y: [a, {b: c, "d": 'e'}, []]
  -
    - nested
  - plain text: with colon
empty:
url: http://h:1/x#y
block: |
  one
  two
"""
    assert parse_yaml(text, "x") == {
        "a": "1",
        "it's": 'x"y # no comment',
        "list": [
            {"x": "1", "y": ["a", {"b": "c", "d": "e"}, []]},
            ["nested"],
            {"plain text": "with colon"},
        ],
        "empty": "",
        "url": "http://h:1/x#y",
        "block": "one\ntwo",
    }


def test_ibnetdiscover_with_contradictions() -> None:
    fabric, _, notes = _read("ibnetdiscover", IBNETDISCOVER)
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


def test_slurm_tree_as_in_the_manual() -> None:
    fabric, notes, _ = _read(
        "slurm",
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
        _read("slurm", text, "x")
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
    tree = _read("slurm", text).fabric
    below = {name for name in fabric.link_names if name.startswith("host")}
    assert {name for name in tree.link_names if name.startswith("host")} == below


def test_host_lists_fold_and_unfold() -> None:
    names = ["a0", "a1", "a2", "a4", "b", "c07", "d10"]
    assert fold_hostlist(names) == "a[0-2,4],b,c07,d10"
    assert list(expand_hostlist(Draft("x"), fold_hostlist(names), "")) == names


def _neighbour(peer: str, port: str, current: str = "") -> dict[str, object]:
    return {
        "via": "LLDP",
        "chassis": {
            peer: {
                "id": {"type": "mac", "value": "00:00:00:00:00:02"},
                "capability": [{"type": "Router", "enabled": peer.startswith("sw")}],
            }
        },
        "port": {
            "id": {"type": "mac", "value": "00:00:00:00:00:02"},
            "descr": port,
            "auto-negotiation": {"supported": False, "current": current},
        },
    }


def test_lldp_of_several_hosts_in_a_folder(tmp_path: Path) -> None:
    outputs: dict[str, object] = {
        "sw1": [
            {"swp1": _neighbour("h1.example.com", "eth0", "100GBaseCR4 - 100G copper")},
            {"swp2": _neighbour("h2.example.com", "eth0", "100GBaseCR4 - 100G copper")},
            {"swp3": _neighbour("h9", "eth0")},
        ],
        "h1": {"eth0": _neighbour("sw1", "swp1", "25GBaseCR - 25G copper")},  # one: an object
        "h2": [{"eth0": _neighbour("sw1", "swp7")}],
    }
    for name, interface in outputs.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"lldp": {"interface": interface}}))
    fabric, _, notes = read_fabric(tmp_path)
    assert {d.name: d.kind for d in fabric.devices} == {
        "sw1": "leaf", "h1": "host", "h2": "host", "h9": "host"
    }  # fmt: skip
    rates = {frozenset(name.split("-")): rate for name, rate in _links(fabric)}
    assert rates[frozenset(("sw1", "h1"))] == 25.0
    assert "links with different rates at their two ends, of which the lower is taken: 1" in notes
    assert any("names another one" in note or "one end only" in note for note in notes)


def test_lldp_json0_and_one_host() -> None:
    document = {
        "lldp": [
            {
                "interface": [
                    {
                        "name": "eth0",
                        "chassis": [{"id": [{"type": "mac", "value": "m"}],
                                     "name": [{"value": "switch-1"}]}],
                        "port": [{"id": [{"type": "ifname", "value": "Eth1/1"}],
                                  "descr": [{"value": "to host"}]}],
                    }
                ]
            }
        ]
    }  # fmt: skip
    fabric = _read("lldp", json.dumps(document), "some/server-1.json").fabric
    assert fabric.link_names == ("server-1-switch-1",)
    assert fabric.links[0].b_port == "Eth1/1"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "x.json: top: must be what lldpctl"),
        ({"h": 3}, "x.json: h.lldp: is missing"),
        ({"lldp": {"interface": 3}}, "x.lldp.interface: must be a list"),
        ({"lldp": {"interface": [{"eth0": 3}]}}, "x.lldp.interface[0]: must be an object"),
        ({"lldp": {"interface": [{"eth0": {}}]}}, "x.lldp.interface[0].chassis: is missing"),
    ],
)
def test_lldp_errors_name_the_key(document: object, says: str) -> None:
    with pytest.raises(FabricError) as caught:
        _read("lldp", json.dumps(document))
    assert says in str(caught.value)


def test_netjson_with_both_directions_is_one_link_each() -> None:
    document = {
        "type": "NetworkGraph", "protocol": "OLSR", "version": "0.6", "metric": "ETX",
        "nodes": [{"id": "10.0.0.1", "label": "node-a"}, {"id": "10.0.0.2"}, {"id": "10.0.0.3"}],
        "links": [
            {"source": "10.0.0.1", "target": "10.0.0.2", "cost": 1.5},
            {"source": "10.0.0.2", "target": "10.0.0.1", "cost": 1.0},
            {"source": "10.0.0.2", "target": "10.0.0.3", "cost": 1.0},
        ],
    }  # fmt: skip
    fabric, _, faults = _read("netjson", json.dumps(document))
    assert len(fabric.links) == 2
    assert faults == ("links given in one direction only, while others are given in both: 1",)
    document["links"] = [{"source": "a", "target": "10.0.0.1"}]
    with pytest.raises(FabricError, match=r"x.json: links\[0\]: no node has the id a"):
        _read("netjson", json.dumps(document))


def test_graphml_of_the_topology_zoo() -> None:
    text = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d1"/>
  <key attr.name="label" attr.type="string" for="node" id="d0"/>
  <graph edgedefault="undirected">
    <node id="0"><data key="d0">Vienna</data></node>
    <node id="1"><data key="d0">Graz</data></node>
    <node id="2"><data key="d0">Graz</data></node>
    <edge source="0" target="1"><data key="d1">10000000000.0</data></edge>
    <edge source="1" target="2"/>
  </graph>
</graphml>"""
    fabric = _read("graphml", text).fabric
    assert [device.name for device in fabric.devices] == ["Vienna", "Graz", "2"]
    assert _links(fabric) == [("Vienna-Graz", 10.0), ("Graz-2", 400.0)]
    with pytest.raises(FabricError, match="a document type is not read"):
        _read("graphml", '<!DOCTYPE x [<!ENTITY a "aaaa">]>' + text)
    with pytest.raises(FabricError, match=r"x\.json: line 2: no XML"):
        _read("graphml", "<graphml>\n<graph></x>")


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
    fabric = _read("htsim", tiny).fabric
    kinds = [device.kind for device in fabric.devices]
    assert [kinds.count(kind) for kind in ("host", "leaf", "spine")] == [32, 4, 2]
    assert set(fabric.channels.delay_ns.tolist()) == {1000.0}
    with pytest.raises(FabricError, match="Radix_Down of Tier 1: is 5 where the other radixes"):
        _read("htsim", tiny.replace("Radix_Down 4", "Radix_Down 5"))
    with pytest.raises(FabricError, match="line 5: '0' is no key that htsim knows"):
        _read("htsim", tiny.replace("Tier 0", "Tier 0 0").replace("Tier 0 0", "0 0"))


def test_htsim_fat_tree_of_1024() -> None:
    sections = "".join(
        f"\nTier {n}\nDownlink_speed_Gbps 100\nRadix_Down {down}\n{up}Downlink_Latency_ns 1000\n"
        for n, down, up in ((0, 8, "Radix_Up 8\n"), (1, 8, "Radix_Up 8\n"), (2, 16, ""))
    )
    fabric = _read("htsim", f"Nodes 1024\nTiers 3\nPodsize 64\n{sections}").fabric
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
