"""GraphML as the Internet Topology Zoo has it."""

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files import FORMATS
from fabricscope.topology.files.draft import Draft, Imported


def _read(text: str, source: str = "x.json") -> Imported:
    return FORMATS["graphml"].read(text, Draft(source))


def _links(fabric: Fabric) -> list[tuple[str, float]]:
    return [(n, x.rate_gbps) for n, x in zip(fabric.link_names, fabric.links, strict=True)]


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
    fabric = _read(text).fabric
    assert [device.name for device in fabric.devices] == ["Vienna", "Graz", "2"]
    assert _links(fabric) == [("Vienna-Graz", 10.0), ("Graz-2", 400.0)]
    with pytest.raises(FabricError, match="a document type is not read"):
        _read('<!DOCTYPE x [<!ENTITY a "aaaa">]>' + text)
    with pytest.raises(FabricError, match=r"x\.json: line 2: no XML"):
        _read("<graphml>\n<graph></x>")
