"""Devices and cables as attribute dictionaries, for the graph formats (NetJSON, GraphML)."""

from collections.abc import Mapping
from typing import Final

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.files.draft import Cable, Draft
from fabricscope.topology.files.native import KINDS

__all__ = ["add_node", "join_directions", "list_edges", "list_nodes", "read_edge"]

_PLACES: Final[tuple[str, ...]] = ("pod", "plane", "rail", "server")
_MOST: Final = 1e6
_BITS: Final = 1e9


def list_nodes(fabric: Fabric) -> list[dict[str, str | int | float]]:
    """Return each device's name and properties; what it does not have is left out."""
    return [
        {
            "name": device.name,
            "kind": device.kind,
            **{key: value for key in _PLACES if (value := getattr(device, key)) != -1},
            "forwarding_ns": float(device.forwarding_ns),
        }
        for device in fabric.devices
    ]


def list_edges(fabric: Fabric) -> list[dict[str, str | int | float]]:
    """Return each link's properties; a and b are names."""
    names = [device.name for device in fabric.devices]
    return [{**link._asdict(), "a": names[link.a], "b": names[link.b]} for link in fabric.links]


def add_node(draft: Draft, name: str, given: Mapping[str, object], where: str) -> None:
    """Add a device with what `given` says of it; unknown properties are ignored."""
    kind = str(given.get("kind", given.get("role", "")))
    fields = {
        key: draft.check_number(given[key], f"{where}.{key}", low, most)
        for key, low, most in (*((key, -1, _MOST) for key in _PLACES), ("forwarding_ns", 0, 1e9))
        if key in given
    }
    draft.add_device(name, where, kind if kind in KINDS else "", fields)


def read_edge(draft: Draft, a: str, b: str, given: Mapping[str, object], where: str) -> Cable:
    """Return the cable that `given` describes."""
    ports = [str(given.get(key, ""))[:200] for key in ("a_port", "b_port")]
    rate_gbps = -1.0
    if "rate_gbps" in given:
        rate_gbps = draft.check_number(given["rate_gbps"], f"{where}.rate_gbps", 1e-6, _MOST)
    elif "LinkSpeedRaw" in given:  # the Internet Topology Zoo's rate in bit/s
        key = f"{where}.LinkSpeedRaw"
        rate_gbps = draft.check_number(given["LinkSpeedRaw"], key, 1e3, _MOST * _BITS) / _BITS
    length_m, optics = (
        draft.check_number(given[key], f"{where}.{key}", 0, most) if key in given else -1.0
        for key, most in (("length_m", _MOST), ("optics", 16))
    )
    return Cable(a, b, ports[0], ports[1], rate_gbps, length_m, int(optics))


def join_directions(draft: Draft, cables: list[tuple[Cable, str]]) -> None:
    """Add cables to `draft`; two without ports in opposite directions are one, in both."""
    waiting: dict[tuple[str, str], int] = {}
    kept: list[tuple[Cable, str]] = []
    joined = 0
    for cable, where in cables:
        back = waiting.get((cable.b, cable.a))
        if back and not (cable.a_port or cable.b_port):
            waiting[cable.b, cable.a] -= 1
            joined += 1
            continue
        if not (cable.a_port or cable.b_port):
            waiting[cable.a, cable.b] = waiting.get((cable.a, cable.b), 0) + 1
        kept.append((cable, where))
    alone = sum(waiting.values())
    if joined and alone:
        draft.fault("links given in one direction only, while others are given in both: {}", alone)
    for cable, where in kept:
        draft.add_cable(cable, where)
