"""Files of the htsim simulator: `.topo` (a fat-tree by its radixes) and `.cm` (who sends to whom).

htsim knows latencies where this project knows lengths: one is the other at 5 ns a metre.
"""

import re
from typing import Final, NamedTuple

from fabricscope.topology.builders.clos import build_clos, build_leaf_spine
from fabricscope.topology.builders.wiring import Hardware
from fabricscope.topology.fabric import NANOSECONDS_PER_METRE, Fabric
from fabricscope.topology.files.draft import Draft, Imported

__all__ = ["Pair", "read_matrix", "read_topo", "write_matrix", "write_topo"]

_TOP_KEYS: Final = ("nodes", "tiers", "podsize")
_TIER_KEYS: Final = (
    "oversubscribed", "downlink_speed_gbps", "radix_down", "radix_up", "downlink_latency_ns",
    "switch_latency_ns", "bundle", "queue_up", "queue_down",
)  # fmt: skip
_IGNORED: Final = ("queue_up", "queue_down")
_PAIR: Final = re.compile(r"(\d{1,7})->(\d{1,7})((?:\s+\S+\s+\S+)*)\s*", re.ASCII)
_PAIRS_LIMIT: Final = 10_000_000
_PICOSECONDS: Final = 1000.0


class Pair(NamedTuple):
    """One transfer of a traffic matrix: endpoints by place, bytes, and when it starts."""

    source: int
    destination: int
    size_bytes: int
    start_ns: float


def read_topo(text: str, draft: Draft) -> Imported:
    """Return the leaf-spine (2 tiers) or Clos (3 tiers) fabric in `text`.

    Raises FabricError with the line, or the radix that does not divide.
    """
    top, tiers = _read_keys(draft, text)
    nodes, count = int(top.get("nodes", 0)), int(top.get("tiers", 0))
    if nodes < 1 or count not in (2, 3) or sorted(tiers) != list(range(count)):
        draft.fail("Nodes, Tiers", "must be given, with a section for each of 2 or 3 tiers")
    for key in ("radix_down", "downlink_speed_gbps"):
        for number in range(count):
            if not tiers[number].get(key):
                draft.fail(f"Tier {number}", f"needs {key}")
    first, second = tiers[0], tiers[1]
    hosts = int(first["radix_down"])
    uplinks = _find_uplinks(draft, first, 0)
    bundle = int(second.get("bundle", 1)) or 1
    spines = _divide(draft, uplinks, bundle, "Radix_Up of Tier 0", "Bundle of Tier 1")
    hardware = Hardware(
        rate=first["downlink_speed_gbps"],
        uplink=second["downlink_speed_gbps"],
        links=bundle,
        host_length=first.get("downlink_latency_ns", 0.0) / NANOSECONDS_PER_METRE,
        spine_length=second.get("downlink_latency_ns", 0.0) / NANOSECONDS_PER_METRE,
        forwarding_ns=first.get("switch_latency_ns", 0.0),
    )
    leaves = _divide(draft, nodes, hosts, "Nodes", "Radix_Down of Tier 0")
    if len({tier.get("switch_latency_ns", 0.0) for tier in tiers.values()}) > 1:
        draft.note("switch latencies differ by tier: that of Tier 0 is taken for all")
    if count == 2:
        _expect(draft, int(second["radix_down"]), leaves * bundle, "Radix_Down of Tier 1")
        fabric = build_leaf_spine(draft.source, leaves, spines, hosts, hardware)
    else:
        fabric = _read_three_tiers(draft, top, tiers, hardware, leaves, spines, hosts)
    named = Fabric("htsim", fabric.devices, fabric.links)
    return Imported(named, draft.list_notes())


def _read_three_tiers(
    draft: Draft,
    top: dict[str, float],
    tiers: dict[int, dict[str, float]],
    hardware: Hardware,
    leaves: int,
    spines: int,
    hosts: int,
) -> Fabric:
    second, third = tiers[1], tiers[2]
    pod_size = int(top.get("podsize", 0))
    pods = _divide(draft, int(top["nodes"]), pod_size, "Nodes", "Podsize")
    per_pod = _divide(draft, leaves, pods, "leaves", "pods")
    _expect(draft, int(second["radix_down"]), per_pod * hardware.links, "Radix_Down of Tier 1")
    core_links = int(third.get("bundle", 1)) or 1
    uplinks = _find_uplinks(draft, second, 1)
    share = _divide(draft, uplinks, core_links, "Radix_Up of Tier 1", "Bundle of Tier 2")
    _expect(draft, int(third["radix_down"]), pods * core_links, "Radix_Down of Tier 2")
    hardware = hardware._replace(
        core=third["downlink_speed_gbps"],
        core_links=core_links,
        core_length=third.get("downlink_latency_ns", 0.0) / NANOSECONDS_PER_METRE,
    )
    return build_clos(draft.source, pods, per_pod, spines, spines * share, hosts, hardware)


def _read_keys(draft: Draft, text: str) -> tuple[dict[str, float], dict[int, dict[str, float]]]:
    top: dict[str, float] = {}
    tiers: dict[int, dict[str, float]] = {}
    here = top
    for number, raw in enumerate(text.splitlines(), 1):
        words = raw.partition("#")[0].split()
        where = f"line {number}"
        if not words:
            continue
        key = words[0].lower()
        if len(words) != 2:
            draft.fail(where, f"{raw.strip()[:40]!r} is no KEY VALUE")
        value = draft.check_number(words[1], where, 0, 1e9)
        if key == "tier":
            here = tiers.setdefault(int(value), {})
            continue
        if key not in (_TOP_KEYS if here is top else _TIER_KEYS):
            draft.fail(where, f"{words[0][:40]!r} is no key that htsim knows here")
        if key in _IGNORED:
            draft.note("queue sizes, an option of the simulation, left out: {}")
        if key in here:
            draft.fail(where, f"{words[0]} was given before")
        here[key] = value
    return top, tiers


def _find_uplinks(draft: Draft, tier: dict[str, float], number: int) -> int:
    if "radix_up" in tier:
        return int(tier["radix_up"])
    ratio = int(tier.get("oversubscribed", 1)) or 1
    what = f"Radix_Down of Tier {number}"
    return _divide(draft, int(tier["radix_down"]), ratio, what, "Oversubscribed")


def _divide(draft: Draft, a: int, b: int, what: str, by: str) -> int:
    if b < 1 or a < 1 or a % b:
        draft.fail(what, f"{a} cannot be shared out evenly by {by}, {b}")
    return a // b


def _expect(draft: Draft, found: int, wanted: int, what: str) -> None:
    if found != wanted:
        draft.fail(what, f"is {found} where the other radixes make it {wanted}")


def write_topo(fabric: Fabric, draft: Draft) -> tuple[str, tuple[str, ...]]:
    """Return `fabric` as a .topo file, and notes on what is lost.

    Raises FabricError when it is no regular leaf-spine or Clos fabric of single-homed hosts.
    """
    counts = [sum(device.tier == tier for device in fabric.devices) for tier in range(4)]
    by_tier: dict[int, list[tuple[float, float]]] = {}
    pairs: dict[tuple[int, int], int] = {}
    for link in fabric.links:
        below = min(fabric.devices[link.a].tier, fabric.devices[link.b].tier)
        by_tier.setdefault(below, []).append((link.rate_gbps, link.length_m))
        key = (min(link.a, link.b), max(link.a, link.b))
        pairs[key] = pairs.get(key, 0) + 1
    hosts, leaves, spines, cores = counts
    pods = len({device.pod for device in fabric.devices if device.tier == 2}) if cores else 1
    if not (hosts and leaves and spines) or hosts % leaves or leaves % pods or spines % pods:
        _refuse(draft)
    if sorted(by_tier) != list(range(3 if cores else 2)) or any(
        len(set(one)) > 1 for one in by_tier.values()
    ):
        _refuse(draft)
    leaf_links = len(by_tier[1]) * pods // (leaves * spines)
    core_links = len(by_tier[2]) * (spines // pods) // (spines * cores) if cores else 1
    latency = next(device.forwarding_ns for device in fabric.devices if device.tier)
    hardware = Hardware(
        rate=by_tier[0][0][0], uplink=by_tier[1][0][0], core=by_tier[2][0][0] if cores else 1.0,
        links=leaf_links, core_links=core_links, forwarding_ns=latency,
    )  # fmt: skip
    per_pod = (leaves // pods, spines // pods)
    if cores and cores % per_pod[1]:
        _refuse(draft)
    regular = (
        build_clos("regular", pods, *per_pod, cores, hosts // leaves, hardware)
        if cores
        else build_leaf_spine("regular", leaves, spines, hosts // leaves, hardware)
    )
    if _wires(regular) != _wires(fabric):
        _refuse(draft)
    sections = [
        (hosts // leaves, per_pod[1] * leaf_links, 1, by_tier[0][0]),
        (per_pod[0] * leaf_links, cores // per_pod[1] * core_links, leaf_links, by_tier[1][0]),
    ]
    if cores:
        sections.append((pods * core_links, 0, core_links, by_tier[2][0]))
    lines = [f"Nodes {hosts}", f"Tiers {len(sections)}", f"Podsize {hosts // pods}"]
    for number, (down, up, bundle, (rate, length_m)) in enumerate(sections):
        lines += ["", f"Tier {number}", f"Downlink_speed_Gbps {rate:g}", f"Radix_Down {down}"]
        lines += [f"Radix_Up {up}"] if up else []
        lines += [f"Downlink_Latency_ns {length_m * NANOSECONDS_PER_METRE:g}"]
        lines += [f"Switch_Latency_ns {latency:g}"]
        lines += [f"Bundle {bundle}"] if number else []
    return "\n".join([*lines, ""]), ("names and ports are not in a .topo file",)


def _refuse(draft: Draft) -> None:
    draft.fail(
        "htsim",
        "a .topo file holds regular leaf-spine and Clos fabrics of single-homed hosts only; "
        "export this fabric to another format",
    )


def _wires(fabric: Fabric) -> list[tuple[int, int, int, int]]:
    """Return each cable as (tier, place in it) of both ends, sorted."""
    places: list[tuple[int, int]] = []
    count: dict[int, int] = {}
    for device in fabric.devices:
        places.append((device.tier, count.get(device.tier, 0)))
        count[device.tier] = count.get(device.tier, 0) + 1
    return sorted(
        (*min(places[link.a], places[link.b]), *max(places[link.a], places[link.b]))
        for link in fabric.links
    )


def read_matrix(text: str, draft: Draft) -> tuple[int, tuple[Pair, ...]]:
    """Return the number of endpoints and the transfers of a .cm file.

    `start` is in picoseconds (htsim's simtime_picosec). Triggers and priorities are left out, with
    a note. Raises FabricError with the line that is wrong.
    """
    nodes = -1
    pairs = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        where = f"line {number}"
        words = line.split()
        if not line or words[0].lower() in ("connections", "triggers", "failures"):
            continue
        if words[0].lower() == "nodes" and len(words) == 2:
            nodes = int(draft.check_number(words[1], where, 1, 1e7))
            continue
        found = _PAIR.fullmatch(line)
        if not found:
            draft.note("lines that are no transfers (triggers, failures), left out: {}")
            continue
        if nodes < 0:
            draft.fail(where, "Nodes must come before the transfers")
        rest = found[3].split()
        fields = dict(zip(rest[::2], rest[1::2], strict=True))
        if set(fields) - {"id", "start", "size"}:
            draft.note("transfers whose trigger or priority is left out: {}")
        source, destination = int(found[1]), int(found[2])
        if source == destination or not max(source, destination) < nodes:
            draft.fail(where, f"{found[1]}->{found[2]} needs two endpoints below Nodes, {nodes}")
        size = int(draft.check_number(fields.get("size", "0"), where, 0, 1e15))
        start = draft.check_number(fields.get("start", "0"), where, 0, 1e24)
        pairs.append(Pair(source, destination, size, start / _PICOSECONDS))
        if len(pairs) > _PAIRS_LIMIT:
            draft.fail(where, f"more than {_PAIRS_LIMIT:,} transfers")
    if nodes < 0:
        draft.fail("Nodes", "is missing; is this a .cm file of htsim?")
    return nodes, tuple(pairs)


def write_matrix(nodes: int, pairs: tuple[Pair, ...]) -> str:
    """Return transfers as a .cm file."""
    lines = [f"Nodes {nodes}", f"Connections {len(pairs)}"]
    for number, pair in enumerate(pairs, 1):
        start = round(pair.start_ns * _PICOSECONDS)
        lines.append(
            f"{pair.source}->{pair.destination} id {number} start {start} size {pair.size_bytes}"
        )
    return "\n".join([*lines, ""])
