"""Checks of a fabric's cabling: what is inconsistent, uneven, narrow, or missing against a plan.

Each check says one sentence, also when all is well. What a failure does to traffic is a matter of
the simulation.
"""

import collections
from typing import Final, NamedTuple

import networkx as nx
import numpy as np

from fabricscope.topology.bisection import Bisection, find_bisection
from fabricscope.topology.ecmp import find_ecmp_widths
from fabricscope.topology.fabric import Fabric
from fabricscope.topology.switch_graph import SwitchGraph, build_switch_graph

__all__ = ["NAMES_LIMIT", "Check", "check_cabling", "check_fabric"]

NAMES_LIMIT: Final = 8
"""Most names that a sentence spells out."""
_ARTICULATIONS_LIMIT: Final = 50
"""Most switches whose loss is worked out."""

Ports = collections.Counter[tuple[int, float]]


class Check(NamedTuple):
    """The outcome of one check. severity: ok, notice, warning or critical.

    names: the devices or links concerned, all of them.
    """

    name: str
    severity: str
    text: str
    names: tuple[str, ...] = ()


def check_fabric(
    fabric: Fabric, plan: Fabric | None = None, faults: tuple[str, ...] = ()
) -> tuple[list[Check], Bisection]:
    """Return all checks of `fabric`, and its bisection bandwidth.

    plan: what it should be cabled like; faults: sentences of the importer on ends that contradict.
    """
    graph = build_switch_graph(fabric)
    bisection = find_bisection(fabric, graph)
    checks = [_check_duplex(fabric, faults)]
    if plan is not None:
        checks.append(check_cabling(fabric, plan))
    checks += [
        _check_symmetry(fabric),
        _check_ecmp(fabric, graph),
        _describe_bisection(bisection),
        _check_endpoints(fabric, graph),
        _check_single_points(fabric, graph),
    ]
    return checks, bisection


def _check_duplex(fabric: Fabric, faults: tuple[str, ...]) -> Check:
    """Two cables in one port, or an end that does not confirm the other, is no duplex pair."""
    seen: collections.Counter[tuple[int, str]] = collections.Counter()
    for link in fabric.links:
        for end, port in ((link.a, link.a_port), (link.b, link.b_port)):
            if port:
                seen[end, port] += 1
    twice = [f"{fabric.devices[end].name}:{port}" for (end, port), n in seen.items() if n > 1]
    if twice:
        return Check(
            "duplex", "critical", f"ports with more than one cable: {_name(twice)}", tuple(twice)
        )
    if faults:
        return Check("duplex", "warning", "; ".join(faults))
    return Check("duplex", "ok", f"{len(fabric.links):,} links, each the only one in its two ports")


def check_cabling(fabric: Fabric, plan: Fabric) -> Check:
    """Compare cables by the names of their ends and their rates with those of `plan`."""
    unknown = sorted(set(fabric.numbers) - set(plan.numbers))
    absent = sorted(set(plan.numbers) - set(fabric.numbers))
    is_there, wanted = _count_cables(fabric), _count_cables(plan)
    extra, missing = is_there - wanted, wanted - is_there
    parts = []
    if absent:
        parts.append(f"missing devices: {_name(absent)}")
    if unknown:
        parts.append(f"devices that are not in the plan: {_name(unknown)}")
    names = [*absent, *unknown]
    slow = {cable[:2] for cable in extra} & {cable[:2] for cable in missing}
    if slow:
        texts = [f"{a}-{b}" for a, b in sorted(slow)]
        parts.append(f"cables at another rate: {_name(texts)}")
        names += texts
    swapped, left_over = _find_swaps(
        [cable for cable in extra.elements() if cable[:2] not in slow],
        [cable for cable in missing.elements() if cable[:2] not in slow],
    )
    if swapped:
        texts = [f"{device}-{found} instead of {device}-{due}" for device, found, due in swapped]
        parts.append(f"wrong ends: {_name(texts)}")
        names += [f"{device}-{found}" for device, found, _ in swapped]
    odd = {*absent, *unknown}
    for cables, what in zip(
        left_over, ("cables that are not in the plan", "missing cables"), strict=True
    ):
        texts = [f"{a}-{b}" for a, b, _ in cables if a not in odd and b not in odd]
        if texts:
            parts.append(f"{what}: {_name(texts)}")
            names += texts
    if not parts:
        return Check("cabling", "ok", f"as planned: {plan.plan or plan.name}")
    return Check("cabling", "critical", "; ".join(parts), tuple(names))


Cable = tuple[str, str, float]


def _count_cables(fabric: Fabric) -> collections.Counter[Cable]:
    names = [device.name for device in fabric.devices]
    counted: collections.Counter[Cable] = collections.Counter()
    for link in fabric.links:
        a, b = sorted((names[link.a], names[link.b]))
        counted[a, b, link.rate_gbps] += 1
    return counted


def _find_swaps(
    extra: list[Cable], missing: list[Cable]
) -> tuple[list[tuple[str, str, str]], tuple[list[Cable], list[Cable]]]:
    """Pair a cable too many with one that is missing at the same device.

    Return (device, end found, end due), and what is left of both.
    """
    due: dict[str, list[int]] = {}
    for number, (a, b, _) in enumerate(missing):
        due.setdefault(a, []).append(number)
        due.setdefault(b, []).append(number)
    used: set[int] = set()
    swapped = []
    left = []
    for cable in extra:
        for device, found in ((cable[0], cable[1]), (cable[1], cable[0])):
            number = next((n for n in due.get(device, ()) if n not in used), -1)
            if number >= 0:
                a, b, _ = missing[number]
                used.add(number)
                swapped.append((device, found, b if a == device else a))
                break
        else:
            left.append(cable)
    return swapped, (left, [cable for n, cable in enumerate(missing) if n not in used])


def _check_symmetry(fabric: Fabric) -> Check:
    """Devices of one kind should have the same ports up and down, at the same rates."""
    up: list[Ports] = [collections.Counter() for _ in fabric.devices]
    down: list[Ports] = [collections.Counter() for _ in fabric.devices]
    for link in fabric.links:
        for end, other in ((link.a, link.b), (link.b, link.a)):
            above = fabric.devices[other].tier > fabric.devices[end].tier
            side = up[end] if above else down[end]
            side[fabric.devices[other].tier, link.rate_gbps] += 1
    shapes: dict[str, dict[tuple[object, ...], list[str]]] = {}
    for number, device in enumerate(fabric.devices):
        shape = (frozenset(up[number].items()), frozenset(down[number].items()))
        shapes.setdefault(device.kind, {}).setdefault(shape, []).append(device.name)
    parts = []
    odd: list[str] = []
    for kind, found in shapes.items():
        if len(found) > 1:
            usual = max(found.values(), key=len)
            others = [
                name for members in found.values() if members is not usual for name in members
            ]
            parts.append(
                f"{len(others):,} of {sum(map(len, found.values())):,} {kind} devices have other "
                f"links than the rest ({_name(others)})"
            )
            odd += others
    if parts:
        return Check("symmetry", "warning", "; ".join(parts), tuple(odd))
    return Check("symmetry", "ok", "devices of one kind have equal links up and down")


def _check_ecmp(fabric: Fabric, graph: SwitchGraph) -> Check:
    widths, _, counted_all = find_ecmp_widths(fabric, graph)
    if not widths:
        return Check("ECMP", "notice", "no two leaves reach one another")
    narrow = sorted({name for one in widths for name in one.narrow})
    each = [
        f"{one.least}{f' to {one.most}' if one.most > one.least else ''} wide over {one.hops} hops"
        for one in widths
    ]
    text = f"equal-cost links between leaves: {', '.join(each)}"
    if not counted_all:
        text += " (of evenly spread leaves)"
    if narrow:
        return Check("ECMP", "warning", f"{text}; narrow at {_name(narrow)}", tuple(narrow))
    return Check("ECMP", "ok", text)


def _describe_bisection(bisection: Bisection) -> Check:
    if not bisection.full_gbps:
        return Check("bisection", "notice", "fewer than two endpoints have a link to a switch")
    bound = "" if bisection.exact else "at most "
    ratio = bisection.full_gbps / bisection.gbps if bisection.gbps else float("inf")
    text = (
        f"{bound}{_tbps(bisection.gbps)} of {_tbps(bisection.full_gbps)} Tb/s "
        f"({bisection.share * 100:.0f} %)"
    )
    if not bisection.gbps:
        return Check("bisection", "critical", f"{text}: the halves do not reach one another")
    if bisection.share < 0.995:
        return Check("bisection", "notice", f"{text}: oversubscribed {ratio:.3g}:1")
    return Check("bisection", "ok", f"{text}: not oversubscribed")


def _tbps(gbps: float) -> str:
    return f"{gbps / 1000:,.0f}" if gbps >= 1e6 else f"{gbps / 1000:.4g}"


def _check_endpoints(fabric: Fabric, graph: SwitchGraph) -> Check:
    """Every endpoint must reach every other: one connected part of the switches has all of them."""
    loose = np.setdiff1d(fabric.endpoints, graph.access_end)
    if len(loose):
        names = [fabric.devices[number].name for number in loose.tolist()]
        return Check(
            "reach", "critical", f"endpoints without a switch: {_name(names)}",
            tuple(names),
        )  # fmt: skip
    parts = list(nx.connected_components(graph.graph()))
    part_of = np.zeros(len(graph.switches), np.int64)
    for number, part in enumerate(parts):
        part_of[list(part)] = number
    pairs = np.unique(np.stack([part_of[graph.access_row], graph.access_end]), axis=1)
    reached = np.bincount(pairs[0], minlength=len(parts)) if len(parts) else np.zeros(1)
    total = len(fabric.endpoints)
    whole = int((reached == total).sum())
    if not whole and total:
        best = int(reached.max())
        return Check(
            "reach", "critical", f"no part of the fabric reaches more than {best:,} of {total:,} "
            "endpoints",
        )  # fmt: skip
    planes = f" in each of {whole} planes" if whole > 1 else ""
    return Check("reach", "ok", f"all {total:,} endpoints reach one another{planes}")


def _check_single_points(fabric: Fabric, graph: SwitchGraph) -> Check:
    """Switches and links without which endpoints are cut off."""
    leaves_of = np.unique(np.stack([graph.access_end, graph.access_row]), axis=1)
    homes = np.bincount(leaves_of[0], minlength=len(fabric.devices))
    single = leaves_of[1][homes[leaves_of[0]] == 1]
    below = np.bincount(single, minlength=len(graph.switches))
    simple = graph.graph()
    points = sorted(nx.articulation_points(simple))
    inner = [n for n in points[:_ARTICULATIONS_LIMIT] if _separates(graph, simple, n)]
    bridges = [
        pair
        for pair in nx.bridges(simple)
        if simple.edges[pair]["links"] == 1 and not set(pair) & set(inner)
    ]
    names = [fabric.devices[number].name for number in graph.switches.tolist()]
    parts = []
    severity = "ok"
    if inner:
        severity = "warning"
        more = "" if len(points) <= _ARTICULATIONS_LIMIT else ", among others,"
        parts.append(f"without {_name([names[n] for n in inner])}{more} the fabric falls apart")
    if bridges:
        severity = "warning"
        texts = [f"{names[a]}-{names[b]}" for a, b in bridges]
        parts.append(f"one cable joins {_name(texts)}")
    leaves = np.flatnonzero(below)
    if len(leaves):
        severity = "notice" if severity == "ok" else severity
        least, most = int(below[leaves].min()), int(below[leaves].max())
        many = f"{most:,}" if least == most else f"{least:,} to {most:,}"
        parts.append(
            f"{len(single):,} endpoints hang on one switch each; "
            f"losing one of {len(leaves):,} leaves cuts off {many}"
        )
    if not parts:
        parts.append("no single switch cuts an endpoint off")
    concerned = [names[n] for n in (*inner, *leaves.tolist())]
    return Check("single points", severity, "; ".join(parts), tuple(concerned))


def _separates(graph: SwitchGraph, simple: nx.Graph, switch: int) -> bool:
    """Return whether endpoints fall apart without `switch`, its own aside."""
    rest = simple.subgraph(set(simple) - {switch})
    part_of = np.full(len(graph.switches), -1, np.int64)
    for number, part in enumerate(nx.connected_components(rest)):
        part_of[list(part)] = number
    parts = part_of[graph.access_row]
    kept = parts >= 0
    pairs = np.unique(np.stack([parts[kept], graph.access_end[kept]]), axis=1)
    reached = np.bincount(pairs[0]) if pairs.size else np.zeros(0, np.int64)
    return not (reached == len(np.unique(graph.access_end[kept]))).any() and bool(len(reached))


def _name(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_LIMIT])
    more = len(names) - NAMES_LIMIT
    return f"{shown} and {more:,} more" if more > 0 else shown
