"""NetJSON as routing daemons write it."""

import json

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.files import FORMATS
from fabricscope.topology.files.draft import Draft, Imported


def _read(text: str, source: str = "x.json") -> Imported:
    return FORMATS["netjson"].read(text, Draft(source))


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
    fabric, _, faults = _read(json.dumps(document))
    assert len(fabric.links) == 2
    assert faults == ("links given in one direction only, while others are given in both: 1",)
    document["links"] = [{"source": "a", "target": "10.0.0.1"}]
    with pytest.raises(FabricError, match=r"x.json: links\[0\]: no node has the id a"):
        _read(json.dumps(document))
