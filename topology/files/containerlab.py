"""containerlab topology files (*.clab.yml): an emulated fabric of containers and veth pairs.

Rates and lengths, which containerlab does not know, stand in the links' `vars`, kinds in the
nodes' `labels`.
"""

import json
from typing import Final

from fabricscope.topology.fabric import ENDPOINT_KINDS, Fabric
from fabricscope.topology.files.draft import Cable, Draft, Imported
from fabricscope.topology.files.native import KINDS
from fabricscope.topology.files.yaml_text import parse_yaml

__all__ = ["read_containerlab", "write_containerlab"]

_ENDPOINT_KINDS: Final = ("linux", "ext-container", "k8s-kind")
_KIND_LABEL: Final = "fabricscope-kind"
_MOST: Final = 1e6
_IMAGE: Final = "frrouting/frr"


def read_containerlab(text: str, draft: Draft) -> Imported:
    """Return the fabric in `text`. Raises FabricError with the line or key that is wrong."""
    document = parse_yaml(text, draft.source)
    topology = document.get("topology") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(topology, dict):
        draft.fail("topology", "is missing; a containerlab file has topology: nodes: and links:")
    nodes = topology.get("nodes") or {}
    links = topology.get("links") or []
    if not isinstance(nodes, dict):
        draft.fail("topology.nodes", "must be a mapping of node names")
    if not isinstance(links, list):
        draft.fail("topology.links", "must be a list")
    for name, node in nodes.items():
        where = f"topology.nodes.{name[:80]}"
        node = node if isinstance(node, dict) else {}
        kind = _find_kind(node)
        draft.add_device(draft.check_name(name, where), where, kind)
    for number, link in enumerate(links):
        _read_link(draft, link, f"topology.links[{number}]")
    return draft.finish(draft.check_name(document.get("name") or "containerlab", "name"))


def _find_kind(node: dict[str, object]) -> str:
    labels = node.get("labels")
    label = labels.get(_KIND_LABEL) if isinstance(labels, dict) else None
    if label in KINDS:
        return str(label)
    group = str(node.get("group", "")).rstrip("s")
    return group if group in KINDS else ""


def _read_link(draft: Draft, link: object, where: str) -> None:
    if not isinstance(link, dict):
        draft.fail(where, "must be a mapping with endpoints")
    if link.get("type", "veth") != "veth" or "endpoints" not in link:
        draft.note("links that do not join two nodes of the lab, left out: {}")
        return
    ends = link["endpoints"]
    if not isinstance(ends, list) or len(ends) != 2:
        draft.fail(f"{where}.endpoints", "must name two interfaces")
    pairs = [_read_end(draft, end, f"{where}.endpoints") for end in ends]
    for name, _ in pairs:
        if name in ("host", "mgmt-net", "macvlan", "dummy") and not draft.knows(name):
            draft.note("links that do not join two nodes of the lab, left out: {}")
            return
    if pairs[0][0] == pairs[1][0]:
        draft.note("links from a node to itself, left out: {}")
        return
    values = link.get("vars")
    values = values if isinstance(values, dict) else {}
    rate_gbps, length_m, optics = (
        draft.check_number(values[key], f"{where}.vars.{key}", low, _MOST) if key in values else -1
        for key, low in (("rate_gbps", 1e-6), ("length_m", 0.0), ("optics", 0.0))
    )
    (a, a_port), (b, b_port) = pairs
    draft.add_cable(Cable(a, b, a_port, b_port, rate_gbps, length_m, int(optics)), where)


def _read_end(draft: Draft, end: object, where: str) -> tuple[str, str]:
    if isinstance(end, dict):
        name, port = end.get("node"), end.get("interface", "")
    else:
        name, _, port = str(end).partition(":")
    return draft.check_name(name, where), str(port)[:200]


def write_containerlab(fabric: Fabric) -> tuple[str, tuple[str, ...]]:
    """Return `fabric` as a containerlab file whose nodes run FRR, and notes on what is lost."""
    lines = [
        f"name: {json.dumps(fabric.name)}",
        "topology:",
        "  kinds:",
        "    linux:",
        f"      image: {_IMAGE}",
        "  nodes:",
    ]
    for device in fabric.devices:
        group = "hosts" if device.kind in ENDPOINT_KINDS else "switches"
        lines.append(
            f"    {json.dumps(device.name)}: {{kind: linux, group: {group}, "
            f"labels: {{{_KIND_LABEL}: {device.kind}}}}}"
        )
    lines.append("  links:")
    names = [device.name for device in fabric.devices]
    for link in fabric.links:
        ends = json.dumps([f"{names[link.a]}:{link.a_port}", f"{names[link.b]}:{link.b_port}"])
        lines.append(
            f"    - {{endpoints: {ends}, vars: {{rate_gbps: {float(link.rate_gbps)!r}, "
            f"length_m: {float(link.length_m)!r}, optics: {link.optics}}}}}"
        )
    lost = "pods, planes, rails, servers and forwarding times are not in a containerlab file"
    return "\n".join([*lines, ""]), (lost,)
