"""Output of `ibnetdiscover` (infiniband-diags): an InfiniBand subnet, each node with its ports."""

import re
from typing import Final

from fabricscope.topology.fabric import ENDPOINT_KINDS, NVLINK_SWITCH, Fabric
from fabricscope.topology.files.draft import SWITCH, Draft, Imported
from fabricscope.topology.files.sides import Side, join_sides

__all__ = ["read_ibnetdiscover", "write_ibnetdiscover"]

_NODE: Final = re.compile(r'(Switch|Ca|Rt)\s+\d+\s+"([^"]{1,80})"\s*(?:#\s*"([^"]{0,200})")?')
_PORT: Final = re.compile(
    r'\[(\d{1,4})\](?:\([0-9a-fA-F]+\))?\s*"([^"]{1,80})"\[(\d{1,4})\](?:\([0-9a-fA-F]+\))?(.*)'
)
_RATE: Final = re.compile(r"\b(1|2|4|8|12)x(SDR|DDR|QDR|FDR10|FDR|EDR|HDR|NDR|XDR)\b")
_LANE_GBPS: Final = {
    "SDR": 2.0, "DDR": 4.0, "QDR": 8.0, "FDR10": 10.0, "FDR": 13.64, "EDR": 25.0,
    "HDR": 50.0, "NDR": 100.0, "XDR": 200.0,
}  # fmt: skip
"""Data rate of a lane, Gb/s, after coding: InfiniBand Architecture Specification, volume 2."""
_HCA: Final = re.compile(r"\s+(?:HCA-\d+|mlx\d+_\d+|\S*ibp\S*)$")
_HEADER: Final = re.compile(r"(vendid|devid|sysimgguid|switchguid|caguid|rtguid)=")


def read_ibnetdiscover(text: str, draft: Draft) -> Imported:
    """Return the fabric in `text`. Raises FabricError with the line that is wrong.

    A node is called by its description; host channel adapters of one host stay apart, as
    host/1, host/2, with the same server number.
    """
    names: dict[str, str] = {}
    nodes: list[tuple[str, str, str, str]] = []
    ports: list[tuple[str, str, str, str, str, str]] = []
    node = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(("#", "(")) or _HEADER.match(line):
            continue
        where = f"line {number}"
        found = _NODE.match(line)
        if found:
            node = found[2]
            nodes.append((node, found[1], (found[3] or node).strip(), where))
            continue
        port = _PORT.match(line)
        if not port or not node:
            draft.fail(where, f"{line[:40]!r} is neither a node nor a port of ibnetdiscover")
        ports.append((node, port[1], port[2], port[3], port[4], where))
    _name_nodes(draft, nodes, names)
    sides = []
    for node, own, peer, peer_port, rest, where in ports:
        if peer not in names:
            draft.fail(where, f"node {peer} has no entry of its own")
        rate = _RATE.search(rest)
        gbps = int(rate[1]) * _LANE_GBPS[rate[2]] if rate else -1.0
        sides.append(Side(names[node], own, names[peer], peer_port, gbps, where))
    join_sides(draft, sides, set(names.values()))
    return draft.finish("infiniband")


def _name_nodes(
    draft: Draft, nodes: list[tuple[str, str, str, str]], names: dict[str, str]
) -> None:
    """Add all nodes to `draft`; fill `names`, each node's name by its GUID."""
    plain = [_HCA.sub("", title) if kind == "Ca" else title for _, kind, title, _ in nodes]
    times: dict[str, int] = {}
    for name in plain:
        times[name] = times.get(name, 0) + 1
    used: dict[str, int] = {}
    servers: dict[str, int] = {}
    for (guid, kind, _, where), name in zip(nodes, plain, strict=True):
        if guid in names:
            draft.fail(where, f"node {guid} is listed twice")
        fields = {}
        full = draft.check_name(name, where)
        if times[name] > 1:
            used[name] = used.get(name, 0) + 1
            full = f"{full}/{used[name]}"
            if kind == "Ca":
                fields = {"server": float(servers.setdefault(name, len(servers)))}
        names[guid] = full
        draft.add_device(full, where, SWITCH if kind != "Ca" else _endpoint_kind(full), fields)


def _endpoint_kind(name: str) -> str:
    return "gpu" if name.startswith("gpu") else "host"


def write_ibnetdiscover(fabric: Fabric) -> tuple[str, tuple[str, ...]]:
    """Return `fabric` as ibnetdiscover would print it, and notes on what it cannot say."""
    ports: list[list[tuple[int, int, float]]] = [[] for _ in fabric.devices]
    left_out = 0
    for link in fabric.links:
        if NVLINK_SWITCH in (fabric.devices[link.a].kind, fabric.devices[link.b].kind):
            left_out += 1
            continue
        a_port, b_port = len(ports[link.a]) + 1, len(ports[link.b]) + 1
        ports[link.a].append((link.b, b_port, link.rate_gbps))
        ports[link.b].append((link.a, a_port, link.rate_gbps))
    lines = []
    guids = [
        f"{'H' if d.kind in ENDPOINT_KINDS else 'S'}-{0xF5C0000000000000 + n:016x}"
        for n, d in enumerate(fabric.devices)
    ]
    for number, device in enumerate(fabric.devices):
        if device.kind == NVLINK_SWITCH:
            continue
        kind = "Ca" if device.kind in ENDPOINT_KINDS else "Switch"
        lines.append(f'{kind}\t{len(ports[number])} "{guids[number]}"\t\t# "{device.name}"')
        for own, (peer, peer_port, gbps) in enumerate(ports[number], 1):
            lines.append(
                f'[{own}]\t"{guids[peer]}"[{peer_port}] \t\t# "{fabric.devices[peer].name}" '
                f"lid {peer + 1} {_describe_rate(gbps)}"
            )
        lines.append("")
    lost = "port names and lengths are not in ibnetdiscover's output"
    inside = (f"NVLinks, which are no part of InfiniBand, left out: {left_out:,}",)
    return "\n".join(lines), (lost, *(inside if left_out else ()))


def _describe_rate(gbps: float) -> str:
    """Return width and speed, such as 4xNDR: the narrowest port that carries the rate."""
    for width in (4, 8, 12, 1, 2):
        for speed, lane in _LANE_GBPS.items():
            if width * lane == gbps:
                return f"{width}x{speed}"
    fits = [(w * lane, f"{w}x{s}") for w in (4, 8, 12) for s, lane in _LANE_GBPS.items()]
    return min((one for one in fits if one[0] >= gbps), default=max(fits))[1]
