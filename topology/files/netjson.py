"""NetJSON NetworkGraph (RFC draft of netjson.org): nodes and links with properties, as JSON."""

import json

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files.attributes import (
    add_node,
    join_directions,
    list_edges,
    list_nodes,
    read_edge,
)
from fabricscope.topology.files.draft import Draft, Imported
from fabricscope.topology.files.lldp import parse_json

__all__ = ["read_netjson", "write_netjson"]


def read_netjson(text: str, draft: Draft) -> Imported:
    """Return the fabric in `text`. Raises FabricError with the key that is wrong."""
    document = parse_json(text, draft)
    if not isinstance(document, dict) or document.get("type") != "NetworkGraph":
        draft.fail("type", "must be NetworkGraph; other objects of NetJSON hold no fabric")
    names: dict[str, str] = {}
    for number, node in enumerate(_rows(draft, document, "nodes")):
        where = f"nodes[{number}]"
        identity = draft.check_name(node.get("id"), f"{where}.id")
        name = draft.check_name(node.get("label") or identity, f"{where}.label")
        name = identity if draft.knows(name) else name
        names[identity] = name
        add_node(draft, name, _properties(node), where)
    cables = []
    for number, link in enumerate(_rows(draft, document, "links")):
        where = f"links[{number}]"
        ends = [draft.check_name(link.get(key), f"{where}.{key}") for key in ("source", "target")]
        for key in ends:
            if key not in names:
                draft.fail(where, f"no node has the id {key[:80]}")
        cable = read_edge(draft, names[ends[0]], names[ends[1]], _properties(link), where)
        cables.append((cable, where))
    join_directions(draft, cables)
    return draft.finish(draft.check_name(document.get("label") or "netjson", "label"))


def write_netjson(fabric: Fabric) -> str:
    """Return `fabric` as a NetworkGraph; each link once, with its rate in the properties."""
    nodes = []
    for node in list_nodes(fabric):
        name = node.pop("name")
        nodes.append({"id": name, "label": name, "properties": node})
    links = []
    for edge in list_edges(fabric):
        source, target = edge.pop("a"), edge.pop("b")
        links.append({"source": source, "target": target, "cost": 1.0, "properties": edge})
    document = {
        "type": "NetworkGraph",
        "protocol": "static",
        "version": None,
        "metric": None,
        "label": fabric.name,
        "nodes": nodes,
        "links": links,
    }
    return json.dumps(document, indent=1) + "\n"


def _rows(draft: Draft, document: dict[str, object], key: str) -> list[dict[str, object]]:
    rows = document.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        draft.fail(key, "must be a list of objects")
    return rows


def _properties(row: dict[str, object]) -> dict[str, object]:
    properties = row.get("properties")
    return properties if isinstance(properties, dict) else {}
