"""The fabric of an experiment to click on: what fails, and how loaded links are in a window."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from fabricscope.dashboard.figures.fabric_map import STYLES, FabricMap
from fabricscope.dashboard.figures.palette import BLUE, GREY, ORANGE, SKY, VERMILION

__all__ = ["LEVELS", "MAP_STYLES", "paint", "worst_loads"]

LEVELS: Final = ((0.5, SKY, "below 50 %"), (0.8, BLUE, "50 to 80 %"), (0.95, ORANGE, "80 to 95 %"),
                 (float("inf"), VERMILION, "above 95 %"))  # fmt: skip
"""Upper limit of a load (share of the rate), its colour, and its name."""
_TIER_PX: Final = 70
"""How far left of the first device the name of a tier stands."""
_WIDEST: Final = 9.0
_NARROWEST: Final = 1.2
_LABELLED: Final = 0.8
_SIZE: Final = (720.0, 330.0)
"""Width and height of the map, as labels are sized for; what shows it fits it to its place."""
MAP_STYLES: Final[list[dict[str, Any]]] = [
    *STYLES,
    {"selector": "edge.failed", "style": {
        "line-color": VERMILION, "line-style": "dashed", "width": 4, "opacity": 1,
        "label": "✕ fails", "color": VERMILION, "font-size": 13, "font-weight": "bold",
        "text-background-color": "#ffffff", "text-background-opacity": 0.9,
        "text-background-padding": 2, "z-index": 10}},
    {"selector": "node.failed", "style": {
        "background-color": VERMILION, "border-width": 3, "border-style": "dashed",
        "border-color": VERMILION, "shape": "octagon"}},
]  # fmt: skip


def worst_loads(loads: Sequence[Mapping[str, Any]], window: str) -> dict[str, float]:
    """Return the load of each link in `window`, of its busier direction."""
    found: dict[str, float] = {}
    for row in loads:
        value = row.get(window)
        if value is not None:
            found[row["link"]] = max(found.get(row["link"], 0.0), float(value))
    return found


def paint(
    drawn: FabricMap, failed: Collection[str], loads: Mapping[str, float] | None
) -> list[dict[str, Any]]:
    """Return the elements of `drawn`: failed links and devices marked, others as loaded.

    failed: names of links and devices; loads: share of the rate by link, None before a result.
    """
    painted = []
    for element in drawn.elements:
        data = dict(element["data"])
        names: tuple[str, ...]
        if "number" in data:
            names = drawn.lines[data["number"]]
            data |= _edge(names, loads)
        else:
            names = drawn.nodes.get(data["id"], ())
            if names:
                data["width"] = max(24.0, 0.75 * data["span"] * _SIZE[0])
        classes = element.get("classes", "")
        if any(name in failed for name in names):
            classes = f"{classes} failed".strip()
        one = {**element, "data": data, "classes": classes}
        if "u" in data:
            aside = _TIER_PX if "tier" in classes.split() else 0
            one["position"] = {"x": data["u"] * _SIZE[0] - aside, "y": data["v"] * _SIZE[1]}
        painted.append(one)
    return painted


def _edge(names: Sequence[str], loads: Mapping[str, float] | None) -> dict[str, Any]:
    """Return width, colour and mark of a line: those of its busiest link."""
    known = [] if loads is None else [loads[name] for name in names if name in loads]
    if not known:
        return {"width": _NARROWEST, "color": GREY, "opacity": 0.5 if loads is None else 0.3}
    load = max(known)
    color = next(color for limit, color, _ in LEVELS if load <= limit)
    data = {"width": _NARROWEST + _WIDEST * min(load, 1.0), "color": color, "opacity": 0.9}
    return data | ({"mark": f"{load:.0%}"} if load > _LABELLED else {})
