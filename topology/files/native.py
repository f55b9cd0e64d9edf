"""The project's own format: TOML with one line a device and one line a link. Nothing is lost.

schema = "fabricscope-fabric/1"
name = "textbook"
plan = "leaf-spine:8x4x16@400G"
device = [{name = "host0", kind = "host"}, ...]
link = [{a = "host0", a_port = "p0", b = "leaf0", b_port = "p0", rate_gbps = 400.0, ...}, ...]
"""

import json
import tomllib
from typing import Final

from fabricscope.topology.fabric import ENDPOINT_KINDS, NVLINK_SWITCH, SWITCH_KINDS, Fabric
from fabricscope.topology.files.draft import SWITCH, Cable, Draft, Imported

__all__ = ["KINDS", "SCHEMA", "read_native", "write_native"]

SCHEMA: Final = "fabricscope-fabric/1"
KINDS: Final = (*ENDPOINT_KINDS, NVLINK_SWITCH, *SWITCH_KINDS, SWITCH)
_PLACES: Final[tuple[str, ...]] = ("pod", "plane", "rail", "server")
_DEVICE_KEYS: Final = {"name", "kind", "forwarding_ns", *_PLACES}
_LINK_KEYS: Final = {"a", "a_port", "b", "b_port", "rate_gbps", "length_m", "optics"}
_TOP_KEYS: Final = {"schema", "name", "plan", "device", "link"}
_MOST: Final = 1_000_000.0


def read_native(text: str, draft: Draft) -> Imported:
    """Return the fabric in `text`. Raises FabricError with the line or key that is wrong."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        draft.fail("TOML", f"{str(error) or 'nested too deeply'}; correct this place")
    _refuse_unknown(draft, document, _TOP_KEYS, "at the top")
    if document.get("schema", SCHEMA) != SCHEMA:
        draft.fail("schema", f"this version reads {SCHEMA} only")
    for number, row in enumerate(_rows(draft, document, "device")):
        _read_device(draft, row, f"device[{number}]")
    for number, row in enumerate(_rows(draft, document, "link")):
        _read_link(draft, row, f"link[{number}]")
    name = draft.check_name(document.get("name", "fabric"), "name")
    plan = document.get("plan", "")
    return draft.finish(name, draft.check_name(plan, "plan") if plan else "")


def write_native(fabric: Fabric) -> str:
    """Return `fabric` as TOML, from which the very same fabric is read."""
    lines = [f"schema = {_quote(SCHEMA)}", f"name = {_quote(fabric.name)}"]
    if fabric.plan:
        lines.append(f"plan = {_quote(fabric.plan)}")
    lines.append("device = [")
    for device in fabric.devices:
        parts = [f"name = {_quote(device.name)}", f"kind = {_quote(device.kind)}"]
        parts += [f"{key} = {value}" for key in _PLACES if (value := getattr(device, key)) != -1]
        parts.append(f"forwarding_ns = {float(device.forwarding_ns)!r}")
        lines.append(f"  {{{', '.join(parts)}}},")
    lines += ["]", "link = ["]
    names = [_quote(device.name) for device in fabric.devices]
    for link in fabric.links:
        lines.append(
            f"  {{a = {names[link.a]}, a_port = {_quote(link.a_port)}, b = {names[link.b]}, "
            f"b_port = {_quote(link.b_port)}, rate_gbps = {float(link.rate_gbps)!r}, "
            f"length_m = {float(link.length_m)!r}, optics = {link.optics}}},"
        )
    return "\n".join([*lines, "]", ""])


def _quote(text: str) -> str:
    return json.dumps(text)  # a JSON string is a basic string of TOML


def _refuse_unknown(draft: Draft, row: dict[str, object], known: set[str], where: str) -> None:
    for key in row:
        if key not in known:
            draft.fail(where, f"unknown key {key[:40]!r}; known are {', '.join(sorted(known))}")


def _rows(draft: Draft, document: dict[str, object], key: str) -> list[dict[str, object]]:
    rows = document.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        draft.fail(key, f"must be a list of tables; write [[{key}]]")
    return rows


def _read_device(draft: Draft, row: dict[str, object], where: str) -> None:
    _refuse_unknown(draft, row, _DEVICE_KEYS, where)
    name = draft.check_name(row.get("name"), f"{where}.name")
    kind = row.get("kind", "")
    if kind and kind not in KINDS:
        draft.fail(f"{where}.kind", f"{str(kind)[:40]!r} is none of {', '.join(KINDS)}")
    fields: dict[str, float] = {
        key: draft.check_number(row[key], f"{where}.{key}", -1, _MOST)
        for key in _PLACES
        if key in row
    }
    if "forwarding_ns" in row:
        where_forwarding = f"{where}.forwarding_ns"
        fields["forwarding_ns"] = draft.check_number(row["forwarding_ns"], where_forwarding, 0, 1e9)
    draft.add_device(name, where, str(kind), fields)


def _read_link(draft: Draft, row: dict[str, object], where: str) -> None:
    _refuse_unknown(draft, row, _LINK_KEYS, where)
    ends = [draft.check_name(row.get(key), f"{where}.{key}") for key in ("a", "b")]
    ports = [
        draft.check_name(row[key], f"{where}.{key}") if row.get(key) else ""
        for key in ("a_port", "b_port")
    ]
    numbers = [
        draft.check_number(row[key], f"{where}.{key}", low, high) if key in row else -1.0
        for key, low, high in (
            ("rate_gbps", 1e-6, _MOST),
            ("length_m", 0, _MOST),
            ("optics", 0, 16),
        )
    ]
    draft.add_cable(
        Cable(ends[0], ends[1], ports[0], ports[1], numbers[0], numbers[1], int(numbers[2])), where
    )
