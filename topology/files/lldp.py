"""LLDP neighbours as `lldpctl -f json` prints them, of one device or of many.

A file holds the output of one device, which does not say its own name: that is the file's name
without .json. A folder of such files, or one file of {"device": output, ...}, holds many.
"""

import json
import re
from typing import Final

from fabricscope.topology.fabric import ENDPOINT_KINDS, NVLINK_SWITCH, Fabric
from fabricscope.topology.files.draft import SWITCH, Draft, Imported
from fabricscope.topology.files.sides import Side, join_sides

__all__ = ["parse_json", "read_lldp", "read_lldp_outputs", "write_lldp"]

_MAU: Final = re.compile(r"(\d{1,4}(?:\.\d)?)\s*(G|M)(?:ig)?[bB]ase", re.ASCII)
_UNITS: Final = {"G": 1.0, "M": 0.001}


def parse_json(text: str, draft: Draft) -> object:
    """Return the JSON document in `text`. Raises FabricError with the line."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "nested too deeply or a number too long")
        draft.fail(f"line {getattr(error, 'lineno', 1)}", f"no JSON ({reason})")


def read_lldp(text: str, draft: Draft, name: str) -> Imported:
    """Return the fabric in one file; `name`: of the device that printed it.

    Raises FabricError with the key that is wrong.
    """
    document = parse_json(text, draft)
    if not isinstance(document, dict):
        draft.fail("top", "must be what lldpctl -f json prints, an object with lldp")
    outputs = {name: document} if "lldp" in document else document
    return read_lldp_outputs(outputs, draft)


def read_lldp_outputs(outputs: dict[str, object], draft: Draft) -> Imported:
    """Return the fabric that several devices see; outputs: parsed documents by device name."""
    sides: list[Side] = []
    kinds: dict[str, str] = {}
    for device, output in outputs.items():
        name = draft.check_name(device, "device")
        sides += _read_output(draft, name, output, kinds)
    listed = set(outputs)
    named = {name.partition(".")[0]: name for name in listed}
    if len(named) == len(listed):  # peers may state full names where files have short ones
        sides = [
            side._replace(peer=named.get(side.peer.partition(".")[0], side.peer)) for side in sides
        ]
    for name in outputs:
        draft.add_device(name, name, kinds.get(name, ""))
    for side in sides:
        if not draft.knows(side.peer):
            draft.add_device(side.peer, side.where, kinds.get(side.peer, ""))
    join_sides(draft, sides, listed)
    return draft.finish("lldp")


def _read_output(draft: Draft, device: str, output: object, kinds: dict[str, str]) -> list[Side]:
    lldp = output.get("lldp") if isinstance(output, dict) else None
    lldp = lldp[0] if isinstance(lldp, list) and lldp else lldp
    if not isinstance(lldp, dict):
        draft.fail(f"{device}.lldp", "is missing; this is not what lldpctl -f json prints")
    entries = lldp.get("interface", [])
    if isinstance(entries, dict):
        entries = [{port: entry} for port, entry in entries.items()]
    if not isinstance(entries, list):
        draft.fail(f"{device}.lldp.interface", "must be a list or an object of interfaces")
    sides = []
    for number, item in enumerate(entries):
        where = f"{device}.lldp.interface[{number}]"
        if not isinstance(item, dict):
            draft.fail(where, "must be an object")
        pairs = [(item["name"], item)] if isinstance(item.get("name"), str) else list(item.items())
        for port, entry in pairs:
            entry = entry[0] if isinstance(entry, list) and entry else entry
            if not isinstance(entry, dict):
                draft.fail(where, "must be an object with chassis and port")
            sides.append(_read_neighbour(draft, device, port, entry, kinds, where))
    return sides


def _read_neighbour(
    draft: Draft,
    device: str,
    port: str,
    entry: dict[str, object],
    kinds: dict[str, str],
    where: str,
) -> Side:
    chassis = _first(entry.get("chassis"))
    peer = ""
    if isinstance(chassis, dict):
        peer = _text(chassis.get("name"))
        if (
            not peer
            and len(chassis) == 1
            and isinstance(_first(next(iter(chassis.values()))), dict)
        ):
            peer, inner = next(iter(chassis.items()))
            chassis = _first(inner)
    if not isinstance(chassis, dict):
        draft.fail(f"{where}.chassis", "is missing")
    peer = draft.check_name(peer or _text(chassis.get("id")), f"{where}.chassis.name")
    _note_kind(peer, chassis, kinds)
    theirs = _first(entry.get("port"))
    if not isinstance(theirs, dict):
        draft.fail(f"{where}.port", "is missing")
    identity = _first(theirs.get("id"))
    is_name = isinstance(identity, dict) and identity.get("type") in ("ifname", "local")
    descr = _text(theirs.get("descr"))
    peer_port = _text(identity) if is_name or not descr else descr
    negotiation = _first(theirs.get("auto-negotiation"))
    found = _MAU.search(_text(negotiation.get("current")) if isinstance(negotiation, dict) else "")
    rate_gbps = float(found[1]) * _UNITS[found[2]] if found else -1.0
    return Side(device, str(port)[:200], peer, peer_port[:200], rate_gbps or -1.0, where)


def _note_kind(peer: str, chassis: dict[str, object], kinds: dict[str, str]) -> None:
    capabilities = chassis.get("capability")
    for capability in capabilities if isinstance(capabilities, list) else [capabilities]:
        if isinstance(capability, dict) and capability.get("enabled") is True:
            if capability.get("type") in ("Bridge", "Router"):
                kinds[peer] = SWITCH
            elif capability.get("type") == "Station":
                kinds.setdefault(peer, "")


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else value


def _text(value: object) -> str:
    value = _first(value)
    if isinstance(value, dict):
        value = value.get("value", "")
    return value if isinstance(value, str) else ""


def write_lldp(fabric: Fabric) -> tuple[str, tuple[str, ...]]:
    """Return what every device would print, by name, and notes on what LLDP cannot say."""
    outputs: list[list[dict[str, object]]] = [[] for _ in fabric.devices]
    left_out = 0
    for link in fabric.links:
        a, b = fabric.devices[link.a], fabric.devices[link.b]
        if NVLINK_SWITCH in (a.kind, b.kind):
            left_out += 1
            continue
        for own, own_port, peer, peer_port in (
            (link.a, link.a_port, b, link.b_port),
            (link.b, link.b_port, a, link.a_port),
        ):
            capability = "Station" if peer.kind in ENDPOINT_KINDS else "Router"
            entry = {
                "via": "LLDP",
                "chassis": {peer.name: {"capability": [{"type": capability, "enabled": True}]}},
                "port": {
                    "id": {"type": "ifname", "value": peer_port},
                    "auto-negotiation": {"current": f"{link.rate_gbps:g}GBase"},
                },
            }
            outputs[own].append({own_port: entry})
    document = {
        device.name: {"lldp": {"interface": interfaces}}
        for device, interfaces in zip(fabric.devices, outputs, strict=True)
        if device.kind != NVLINK_SWITCH
    }
    lost = "lengths, pods, planes, rails and servers are not known to LLDP"
    inside = (f"NVLinks, which carry no LLDP, left out: {left_out:,}",)
    return json.dumps(document, indent=1) + "\n", (lost, *(inside if left_out else ()))
