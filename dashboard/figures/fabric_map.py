"""The fabric as elements of cytoscape: tiers above one another, links that health and load colour.

Large fabrics are drawn as groups of devices and bundles of links; a group opens to its devices.
What changes each second is not here but in `map_state`: a number or two for each line of the map.
"""

import hashlib
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from fabricscope.dashboard.fabric_layout import Block, lay_out
from fabricscope.dashboard.figures.palette import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.topology.fabric import ENDPOINT_KINDS, Fabric

__all__ = ["COLORS", "STYLES", "FabricMap", "build_map", "choices", "map_of_names"]

COLORS: Final = {
    "good": GREEN, "fair": ORANGE, "poor": VERMILION, "bad": "#C8102E", "unknown": GREY,
}  # fmt: skip
GROUPS: Final = (16, 24)
"""Most switches of a tier, and most groups of endpoints, of the map in groups."""
EVERY: Final = (10_000, 64)
"""The same with every switch; endpoints are grouped by where they hang, beyond that many."""
_NODE_COLORS: Final = {"leaf": BLUE, "spine": BLUE, "core": PURPLE}
_PLURALS: Final = {"leaf": "leaves", "gpu": "GPUs", "nvswitch": "NVLink switches"}
STYLES: Final[list[dict[str, Any]]] = [
    {
        "selector": "node",
        "style": {
            "label": "data(label)", "shape": "data(shape)", "background-color": "data(color)",
            "width": "data(width)", "height": 24, "font-size": 12, "color": "#ffffff",
            "text-valign": "center", "text-wrap": "ellipsis", "text-max-width": "data(width)",
        },
    },
    {
        "selector": "node.end",
        "style": {"height": 14, "color": "#7d8696", "text-valign": "bottom", "text-margin-y": 4},
    },
    {"selector": "node:selected", "style": {"border-width": 3, "border-color": ORANGE}},
    {"selector": "node.tier", "style": {"background-opacity": 0, "events": "no",
                                        "color": "#7d8696", "text-halign": "right",
                                        "text-max-width": 95}},
    {
        "selector": "edge",
        "style": {
            "curve-style": "haystack", "haystack-radius": 0, "width": "data(width)",
            "line-color": "data(color)", "opacity": "data(opacity)",
        },
    },
    {
        "selector": "edge[mark]",
        "style": {
            "label": "data(mark)", "font-size": 13, "font-weight": "bold", "color": "data(color)",
            "line-style": "dashed", "text-background-color": "#ffffff",
            "text-background-opacity": 0.85, "text-background-padding": 2, "z-index": 9,
        },
    },
    {"selector": "edge:selected", "style": {"opacity": 1, "overlay-opacity": 0.15,
                                            "overlay-color": ORANGE, "overlay-padding": 5}},
    {"selector": ".dim", "style": {"opacity": 0.08}},
    {"selector": "node.dim", "style": {"opacity": 0.25}},
]  # fmt: skip


class FabricMap(NamedTuple):
    """What to draw, and what each line and node of it stands for.

    elements: for cytoscape; nodes stand at `u`, `v` (0 to 1, from the upper left) and may take up
    `span` of the width. lines: the links that each edge stands for, by its number. nodes: the
    devices that each node stands for, by its id. grouped: whether any stands for several.
    """

    elements: list[dict[str, Any]]
    lines: tuple[tuple[str, ...], ...]
    nodes: dict[str, tuple[str, ...]]
    grouped: bool


def build_map(fabric: Fabric, every: bool, choice: str = "") -> FabricMap:
    """Return the map of `fabric`.

    every: each switch by itself, else groups where there are many; choice: "plane 1", "rail 3" or
    "pod 0" dims all else, "" nothing.
    """
    layout = lay_out(fabric, *(EVERY if every else GROUPS))
    top = max((block.tier for block in layout.blocks), default=0)
    block_of = {
        device: number for number, block in enumerate(layout.blocks) for device in block.devices
    }
    bundles: dict[tuple[int, int], list[int]] = {}
    for number, link in enumerate(fabric.links):
        a, b = block_of.get(link.a, -1), block_of.get(link.b, -1)
        if a != b and min(a, b) >= 0:
            bundles.setdefault((max(a, b), min(a, b)), []).append(number)
    elements = _tiers(fabric, layout.blocks, top)
    for number, block in enumerate(layout.blocks):
        count = sum(one.tier == block.tier for one in layout.blocks)
        elements.append(_node(fabric, number, block, top, count, choice))
    lines = []
    for number, ((below, above), members) in enumerate(bundles.items()):
        dim = bool(choice) and not any(_is_in(fabric, link, choice) for link in members)
        elements.append(_edge(number, below, above, len(members), dim))
        lines.append(tuple(fabric.link_names[link] for link in members))
    nodes = {
        f"n{number}": tuple(fabric.devices[device].name for device in block.devices)
        for number, block in enumerate(layout.blocks)
    }
    return FabricMap(elements, tuple(lines), nodes, layout.grouped)


def map_of_names(names: Sequence[str]) -> FabricMap:
    """Return a map of links that no topology describes: each from the fabric to what it names.

    A node's id comes from its link's name, so that it means the same when others come and go; a
    click on the line is one on its node (`assets/fabric.js`).
    """
    shown = list(names)
    rows = max(1, round(len(shown) ** 0.5 / 2))
    columns = max(1, -(-len(shown) // rows))
    elements = [_place("fabric", "fabric", "round-rectangle", BLUE, (0.5, 0.0), 0.2, "")]
    places = [_place_id(name) for name in shown]
    for number, name in enumerate(shown):
        row, column = divmod(number, columns)
        at = ((column + 0.5) / columns, (row + 1) / rows if rows > 1 else 1.0)
        label = neutralise(name, 60)
        elements.append(_place(places[number], label, "ellipse", GREY, at, 1 / columns, "end"))
        edge = _edge(number, number, 0, 1, dim=False)
        edge["data"] |= {"source": places[number], "target": "fabric"}
        elements.append(edge)
    nodes: dict[str, tuple[str, ...]] = {
        place: (name,) for place, name in zip(places, shown, strict=True)
    }
    return FabricMap(elements, tuple((name,) for name in shown), nodes, grouped=False)


def _place_id(name: str) -> str:
    return f"n-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"


def choices(fabric: Fabric) -> list[str]:
    """Return the planes, rails and pods that the map can bring out, if there are several."""
    found = []
    for field in ("plane", "rail", "pod"):
        numbers = sorted({getattr(device, field) for device in fabric.devices} - {-1})
        if len(numbers) > 1:
            found += [f"{field} {number}" for number in numbers[:64]]
    return found


def _tiers(fabric: Fabric, blocks: Sequence[Block], top: int) -> list[dict[str, Any]]:
    """Return a label at the left of each tier: what stands there, and how many."""
    labels = []
    for tier in range(top + 1):
        members = list(chain.from_iterable(block.devices for block in blocks if block.tier == tier))
        if not members:
            continue
        kinds = sorted({fabric.devices[number].kind for number in members})
        text = f"{len(members):,} " + ", ".join(_PLURALS.get(kind, f"{kind}s") for kind in kinds)
        at = (0.0, (top - tier) / max(top, 1))
        label = _place(f"tier{tier}", text, "rectangle", GREY, at, 0.0, "tier")
        labels.append({**label, "selectable": False})
    return labels


def _node(
    fabric: Fabric, number: int, block: Block, top: int, count: int, choice: str
) -> dict[str, Any]:
    label = neutralise(block.label, 60)
    end = block.kind in ENDPOINT_KINDS
    if len(block.devices) > 1 and not end:
        label += f" ({len(block.devices):,})"
    out = bool(choice) and not any(_fits(fabric, device, choice) for device in block.devices)
    return _place(
        f"n{number}",
        label,
        "ellipse" if end else "round-rectangle",
        _NODE_COLORS.get(block.kind, GREY),
        (block.x, (top - block.tier) / max(top, 1)),
        1 / max(count, 1),
        f"{'end' if end else 'switch'}{' dim' if out else ''}",
    )


def _place(
    name: str,
    label: str,
    shape: str,
    color: str,
    at: tuple[float, float],
    span: float,
    classes: str,
) -> dict[str, Any]:
    u, v = round(at[0], 4), round(at[1], 4)
    return {
        "data": {"id": name, "label": label, "shape": shape, "color": color, "width": 20,
                 "u": u, "v": v, "span": span},
        "position": {"x": u * 1_000, "y": v * 400},
        "classes": classes,
        "grabbable": False,
    }  # fmt: skip


def _edge(number: int, below: int, above: int, links: int, dim: bool) -> dict[str, Any]:
    return {
        "data": {"id": f"e{number}", "source": f"n{below}", "target": f"n{above}",
                 "number": number, "links": links, "width": 1.5, "color": GREY, "opacity": 0.6},
        "classes": "dim" if dim else "",
    }  # fmt: skip


def _fits(fabric: Fabric, device: int, choice: str) -> bool:
    """Return whether a device is in the plane, rail or pod; those in none belong to all."""
    field, _, number = choice.partition(" ")
    if field not in ("plane", "rail", "pod"):
        return True
    return str(getattr(fabric.devices[device], field)) == number


def _is_in(fabric: Fabric, link: int, choice: str) -> bool:
    ends = fabric.links[link]
    return _fits(fabric, ends.a, choice) or _fits(fabric, ends.b, choice)
