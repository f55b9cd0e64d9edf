"""A fabric as few blocks as can be looked at: devices side by side by tier, grouped when many.

Both drawings of a fabric, on a terminal and on a page, show this layout.
"""

import math
import re
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Final, NamedTuple, TypeVar

from fabricscope.topology.fabric import ENDPOINT_KINDS, NVLINK_SWITCH, SWITCH_KINDS, Fabric

__all__ = ["Block", "Bundle", "Layout", "lay_out", "name_group"]

_T = TypeVar("_T")
_NUMBERED: Final = re.compile(r"(.*?)(\d{1,9})", re.ASCII)


class Block(NamedTuple):
    """Devices drawn as one: kind and tier of all, x from 0 to 1 from left to right."""

    label: str
    kind: str
    tier: int
    devices: tuple[int, ...]
    x: float


class Bundle(NamedTuple):
    """All links between two blocks, the lower one first: how many, Gb/s in all, and each's rate."""

    below: int
    above: int
    links: int
    gbps: float
    rates_gbps: tuple[float, ...]


class Layout(NamedTuple):
    """grouped: whether a block stands for more than one device; inside: links within blocks."""

    blocks: tuple[Block, ...]
    bundles: tuple[Bundle, ...]
    grouped: bool
    inside: int


def lay_out(fabric: Fabric, limit: int, endpoint_limit: int) -> Layout:
    """Return `fabric` with at most `limit` blocks a switch tier, and of endpoints that many.

    Switches are grouped by pod and plane, or by consecutive numbers; endpoints by their server,
    or by the blocks that they hang on. NVLink switches are part of their servers.
    """
    groups: list[list[int]] = []
    for kind in reversed(SWITCH_KINDS):
        members = [n for n, device in enumerate(fabric.devices) if device.kind == kind]
        groups += _group_switches(fabric, members, limit)
    block_of = {number: place for place, group in enumerate(groups) for number in group}
    attached: dict[int, set[int]] = {}
    for link in fabric.links:
        for end, other in ((link.a, link.b), (link.b, link.a)):
            if fabric.devices[end].kind in ENDPOINT_KINDS and other in block_of:
                attached.setdefault(end, set()).add(block_of[other])
    groups += _group_endpoints(fabric, attached, endpoint_limit)
    block_of = {number: place for place, group in enumerate(groups) for number in group}
    servers = {fabric.devices[n].server: block_of[n] for n in fabric.endpoints.tolist()}
    for number, device in enumerate(fabric.devices):
        if device.kind == NVLINK_SWITCH and device.server in servers:
            block_of[number] = servers[device.server]
    bundles, inside = _bundle(fabric, block_of)
    blocks = _place(fabric, groups, attached)
    return Layout(blocks, bundles, any(len(group) > 1 for group in groups), inside)


def name_group(names: Sequence[str]) -> str:
    """Return one label for several names: leaf0-7 for a run of numbers, else the first and a count.

    The names must be in order of number.
    """
    if len(names) == 1:
        return names[0]
    found = [_NUMBERED.fullmatch(name) for name in names]
    heads = {one[1] if one else None for one in found}
    if len(heads) == 1 and None not in heads:
        numbers = [int(one[2]) for one in found if one]
        steps = {b - a for a, b in pairwise(numbers)}
        if steps == {1}:
            return f"{names[0]}-{numbers[-1]}"
    return f"{names[0]} +{len(names) - 1:,}"


def _group_switches(fabric: Fabric, members: list[int], limit: int) -> list[list[int]]:
    if len(members) <= limit:
        return [[number] for number in members]
    places: dict[tuple[int, int], list[int]] = {}
    for number in members:
        device = fabric.devices[number]
        places.setdefault((device.pod, device.plane), []).append(number)
    groups = list(places.values())
    if len(groups) == 1:
        return _chunk(members, limit)
    if len(groups) <= limit:
        return groups
    return [list(chain.from_iterable(part)) for part in _chunk(groups, limit)]


def _chunk(items: list[_T], limit: int) -> list[list[_T]]:
    """Return consecutive parts of equal size, at most `limit`; of a size that divides if it can."""
    least = math.ceil(len(items) / limit)
    size = next((n for n in range(least, 2 * least + 1) if len(items) % n == 0), least)
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


def _group_endpoints(fabric: Fabric, attached: dict[int, set[int]], limit: int) -> list[list[int]]:
    servers: dict[tuple[str, int], list[int]] = {}
    for number in fabric.endpoints.tolist():
        server = fabric.devices[number].server
        key = ("server", server) if server >= 0 else ("alone", number)
        servers.setdefault(key, []).append(number)
    groups = list(servers.values())
    if len(groups) <= limit:
        return groups
    shared: dict[frozenset[int], list[int]] = {}
    for group in groups:
        above = frozenset(block for number in group for block in attached.get(number, ()))
        shared.setdefault(above, []).extend(group)
    groups = list(shared.values())
    if len(groups) <= limit:
        return groups
    return [list(chain.from_iterable(part)) for part in _chunk(groups, limit)]


def _bundle(fabric: Fabric, block_of: dict[int, int]) -> tuple[tuple[Bundle, ...], int]:
    totals: dict[tuple[int, int], tuple[int, float, set[float]]] = {}
    inside = 0
    for link in fabric.links:
        a, b = block_of.get(link.a, -1), block_of.get(link.b, -1)
        if a == b or min(a, b) < 0:
            inside += 1
            continue
        # Groups stand in order from the cores down, so the larger number is the lower block.
        key = (max(a, b), min(a, b))
        links, gbps, rates = totals.get(key, (0, 0.0, set()))
        totals[key] = (links + 1, gbps + link.rate_gbps, rates | {link.rate_gbps})
    return tuple(
        Bundle(below, above, links, gbps, tuple(sorted(rates)))
        for (below, above), (links, gbps, rates) in sorted(totals.items())
    ), inside


def _place(
    fabric: Fabric, groups: list[list[int]], attached: dict[int, set[int]]
) -> tuple[Block, ...]:
    """Return the blocks: tiers evenly spread, endpoints in the order of what they hang on."""
    count: dict[int, int] = {}
    for group in groups:
        tier = fabric.devices[group[0]].tier
        count[tier] = count.get(tier, 0) + 1
    place: dict[int, int] = {}
    xs: dict[int, float] = {}
    for number, group in enumerate(groups):
        tier = fabric.devices[group[0]].tier
        if tier:
            xs[number] = (place.get(tier, 0) + 0.5) / count[tier]
            place[tier] = place.get(tier, 0) + 1
    ends = [number for number in range(len(groups)) if number not in xs]
    centre = {}
    for number in ends:
        above = {block for device in groups[number] for block in attached.get(device, ())}
        centre[number] = sum(xs[block] for block in above) / len(above) if above else 1.0
    for order, number in enumerate(sorted(ends, key=lambda one: (round(centre[one], 9), one))):
        xs[number] = (order + 0.5) / len(ends)
    return tuple(
        Block(_label(fabric, group), fabric.devices[group[0]].kind, fabric.devices[group[0]].tier,
              tuple(group), xs[number])
        for number, group in enumerate(groups)
    )  # fmt: skip


def _label(fabric: Fabric, group: list[int]) -> str:
    devices = [fabric.devices[number] for number in group]
    servers = sorted({device.server for device in devices})
    if servers[0] >= 0 and len(group) > 1:
        return name_group([f"server{server}" for server in servers])
    return name_group([device.name for device in devices])
