"""GraphML, as Gephi, yEd, networkx and the Internet Topology Zoo read and write it.

A document type is refused before it is parsed: it could define entities that grow without bound.
"""

import xml.etree.ElementTree as ElementTree
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files.attributes import (
    add_node,
    join_directions,
    list_edges,
    list_nodes,
    read_edge,
)
from fabricscope.topology.files.draft import Draft, Imported

__all__ = ["read_graphml", "write_graphml"]

_NAMESPACE: Final = "http://graphml.graphdrawing.org/xmlns"
_KEYS: Final = {
    "node": {
        "name": "string", "kind": "string", "pod": "int", "plane": "int", "rail": "int",
        "server": "int", "forwarding_ns": "double",
    },
    "edge": {
        "a_port": "string", "b_port": "string", "rate_gbps": "double", "length_m": "double",
        "optics": "int",
    },
}  # fmt: skip
_TITLES: Final = ("name", "label")


def read_graphml(text: str, draft: Draft) -> Imported:
    """Return the fabric in `text`. Raises FabricError with the line or the element."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        draft.fail("top", "a document type is not read; remove <!DOCTYPE ...>")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        line = getattr(error, "position", (1, 0))[0]
        draft.fail(f"line {line}", f"no XML ({error})")
    graph = next((one for one in root.iter() if _tag(one) == "graph"), None)
    if _tag(root) != "graphml" or graph is None:
        draft.fail("top", "is no GraphML, which has a graph within graphml")
    keys = {
        one.get("id", ""): one.get("attr.name", "") for one in root.iter() if _tag(one) == "key"
    }
    names: dict[str, str] = {}
    for number, node in enumerate(one for one in graph.iter() if _tag(one) == "node"):
        _read_node(draft, node, keys, names, f"node[{number}]")
    cables = []
    for number, edge in enumerate(one for one in graph.iter() if _tag(one) == "edge"):
        where = f"edge[{number}]"
        ends = [edge.get(key, "") for key in ("source", "target")]
        for end in ends:
            if end not in names:
                draft.fail(where, f"no node has the id {end[:80]!r}")
        given = _read_data(edge, keys)
        cables.append((read_edge(draft, names[ends[0]], names[ends[1]], given, where), where))
    join_directions(draft, cables)
    return draft.finish(draft.check_name(graph.get("id") or "graphml", "graph"))


def _read_node(
    draft: Draft,
    node: ElementTree.Element,
    keys: dict[str, str],
    names: dict[str, str],
    where: str,
) -> None:
    identity = node.get("id", "")
    if not identity or identity in names:
        draft.fail(where, f"id {identity[:80]!r} is missing or taken")
    given = _read_data(node, keys)
    title = next((given[key] for key in _TITLES if given.get(key, "").strip()), identity)
    name = draft.check_name(title, where)
    if draft.knows(name):  # labels need not differ from one another
        name = draft.check_name(identity, where)
    names[identity] = name
    add_node(draft, name, given, where)


def _read_data(element: ElementTree.Element, keys: dict[str, str]) -> dict[str, str]:
    found = {}
    for one in element:
        if _tag(one) == "data":
            found[keys.get(one.get("key", ""), "")] = one.text or ""
    return found


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def write_graphml(fabric: Fabric) -> str:
    """Return `fabric` as an undirected GraphML graph."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<graphml xmlns={quoteattr(_NAMESPACE)}>"]
    for kind, attributes in _KEYS.items():
        for name, of in attributes.items():
            lines.append(
                f'  <key id="{kind}-{name}" for="{kind}" attr.name="{name}" attr.type="{of}"/>'
            )
    lines.append(f'  <graph id={quoteattr(fabric.name)} edgedefault="undirected">')
    for node in list_nodes(fabric):
        lines.append(f"    <node id={quoteattr(str(node['name']))}>{_data('node', node)}</node>")
    for edge in list_edges(fabric):
        source, target = quoteattr(str(edge.pop("a"))), quoteattr(str(edge.pop("b")))
        lines.append(f"    <edge source={source} target={target}>{_data('edge', edge)}</edge>")
    return "\n".join([*lines, "  </graph>", "</graphml>", ""])


def _data(kind: str, values: dict[str, str | int | float]) -> str:
    return "".join(
        f'<data key="{kind}-{key}">{escape(str(value))}</data>' for key, value in values.items()
    )
