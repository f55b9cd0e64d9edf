"""LLDP neighbours of one device and of many, in both of lldpctl's JSON forms."""

import json
from pathlib import Path

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files import FORMATS, read_fabric
from fabricscope.topology.files.draft import Draft, Imported


def _read(text: str, source: str = "x.json") -> Imported:
    return FORMATS["lldp"].read(text, Draft(source))


def _links(fabric: Fabric) -> list[tuple[str, float]]:
    return [(n, x.rate_gbps) for n, x in zip(fabric.link_names, fabric.links, strict=True)]


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
    fabric = _read(json.dumps(document), "some/server-1.json").fabric
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
        _read(json.dumps(document))
    assert says in str(caught.value)
