"""containerlab files as people write them."""

from fabricscope.topology.files import FORMATS
from fabricscope.topology.files.draft import Draft, Imported

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


def _read(text: str, source: str = "x.json") -> Imported:
    return FORMATS["containerlab"].read(text, Draft(source))


def test_containerlab_as_people_write_it() -> None:
    fabric, notes, _ = _read(CONTAINERLAB)
    assert fabric.name == "two-tier"
    assert [(d.name, d.kind) for d in fabric.devices] == [
        ("spine1", "spine"), ("leaf1", "leaf"), ("client 1", "host")
    ]  # fmt: skip
    assert [(x.a_port, x.b_port) for x in fabric.links] == [("e1-49", "e1-1"), ("eth1", "e1-1")]
    assert notes[0] == "links that do not join two nodes of the lab, left out: 2"
