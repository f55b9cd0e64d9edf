"""A fabric on a terminal: a row of blocks for each tier, and buses that join them.

A bus joins each block above it with each one below it, unless the text beside it says otherwise.
"""

import string
from collections.abc import Sequence
from typing import Final, NamedTuple

from fabricscope.cli.screen import Screen
from fabricscope.dashboard.fabric_layout import Block, Bundle, Layout, lay_out
from fabricscope.dashboard.quantities import format_bit_rate
from fabricscope.topology.fabric import Fabric

__all__ = ["draw_fabric"]

_TITLES: Final = {3: "cores", 2: "spines", 1: "leaves"}
_TITLE_WIDTH: Final = 11
_BLOCK_WIDTH: Final = 10
"""Cells for a block and the gap behind it."""
_ROWS_LIMIT: Final = 6
"""Most buses on top of one another; with more the rest share the last row."""
_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES: Final = {
    _UP: "│", _DOWN: "│", _UP | _DOWN: "│", _LEFT: "─", _RIGHT: "─", _LEFT | _RIGHT: "─",
    _UP | _LEFT: "┘", _UP | _RIGHT: "└", _DOWN | _LEFT: "┐", _DOWN | _RIGHT: "┌",
    _UP | _LEFT | _RIGHT: "┴", _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _DOWN | _LEFT: "┤", _UP | _DOWN | _RIGHT: "├", _UP | _DOWN | _LEFT | _RIGHT: "┼",
}  # fmt: skip
_PLAIN: Final = {_UP: "|", _DOWN: "|", _UP | _DOWN: "|", _LEFT: "-", _RIGHT: "-",
                 _LEFT | _RIGHT: "-"}  # fmt: skip


class _Bus(NamedTuple):
    """Columns of the blocks above and below that hang together."""

    above: tuple[int, ...]
    below: tuple[int, ...]

    @property
    def span(self) -> tuple[int, int]:
        return min(*self.above, *self.below), max(*self.above, *self.below)


def draw_fabric(fabric: Fabric, screen: Screen) -> None:
    """Draw `fabric`, as wide as the console, grouped as far as the width asks for."""
    width = max(screen.console.width - _TITLE_WIDTH, 2 * _BLOCK_WIDTH)
    limit = max(2, width // _BLOCK_WIDTH)
    layout = lay_out(fabric, limit, limit)
    tiers = sorted({block.tier for block in layout.blocks}, reverse=True)
    columns = {n: int(block.x * width) for n, block in enumerate(layout.blocks)}
    for tier in tiers:
        members = [n for n, block in enumerate(layout.blocks) if block.tier == tier]
        title = _title(layout.blocks[members[0]])
        labels = [(columns[n], layout.blocks[n].label) for n in members]
        row = _write_labels(labels, width, width // max(len(members), 1))
        screen.line((f"{title:<{_TITLE_WIDTH}}", "bold"), (row, "cyan"), wrap=False)
        under = [bundle for bundle in layout.bundles if layout.blocks[bundle.above].tier == tier]
        _draw_buses(layout, under, columns, width, screen)


def _title(block: Block) -> str:
    if block.tier:
        return _TITLES[block.tier]
    return "servers" if block.label.startswith("server") else f"{block.kind}s"


def _write_labels(labels: Sequence[tuple[int, str]], width: int, room: int) -> str:
    """Return the labels centred at their columns, shortened to the room that each has."""
    row = [" "] * (width + 1)
    # The kind stands at the beginning of the row; the number tells blocks apart.
    long = any(len(label) >= room for _, label in labels)
    for column, label in labels:
        text = (label.lstrip(string.ascii_letters) or label) if long else label
        text = text if len(text) < room else f"{text[: max(room - 2, 1)]}~"
        start = min(max(column - len(text) // 2, 0), max(width - len(text), 0))
        row[start : start + len(text)] = text
    return "".join(row).rstrip()


def _draw_buses(
    layout: Layout,
    bundles: Sequence[Bundle],
    columns: dict[int, int],
    width: int,
    screen: Screen,
) -> None:
    if not bundles:
        return
    rows: list[list[_Bus]] = []
    for bus in _find_buses(bundles, columns):
        free = next((r for r in rows if all(_apart(bus, other) for other in r)), None)
        if free is None and len(rows) < _ROWS_LIMIT:
            rows.append(free := [])
        (rows[-1] if free is None else free).append(bus)
    canvas = [[0] * (width + 1) for _ in rows]
    for number, row in enumerate(rows):
        for bus in row:
            _draw_bus(canvas, number, bus)
    marks = _LINES if screen.unicode else _PLAIN
    for line in canvas:
        text = "".join(" " if not cell else marks.get(cell, "+") for cell in line)
        screen.line((" " * _TITLE_WIDTH, ""), (text.rstrip(), "dim"), wrap=False)
    screen.line((" " * _TITLE_WIDTH, ""), (_describe(layout, bundles), "dim"), wrap=False)


def _find_buses(bundles: Sequence[Bundle], columns: dict[int, int]) -> list[_Bus]:
    """Return the connected parts of the bundles between two rows of blocks, from the left."""
    part: dict[int, set[int]] = {}
    for bundle in bundles:
        joined = part.get(bundle.above, {bundle.above}) | part.get(bundle.below, {bundle.below})
        for block in joined:
            part[block] = joined
    above = {bundle.above for bundle in bundles}
    found = {id(one): one for one in part.values()}.values()
    buses = [
        _Bus(
            tuple(columns[block] for block in one if block in above),
            tuple(columns[block] for block in one if block not in above),
        )
        for one in found
    ]
    return sorted(buses, key=lambda bus: bus.span)


def _apart(one: _Bus, other: _Bus) -> bool:
    return one.span[1] < other.span[0] or other.span[1] < one.span[0]


def _draw_bus(canvas: list[list[int]], row: int, bus: _Bus) -> None:
    first, last = bus.span
    for column in range(first, last + 1):
        canvas[row][column] |= (_LEFT if column > first else 0) | (_RIGHT if column < last else 0)
    for column in bus.above:
        canvas[row][column] |= _UP
        for over in canvas[:row]:
            over[column] |= _UP | _DOWN
    for column in bus.below:
        canvas[row][column] |= _DOWN
        for under in canvas[row + 1 :]:
            under[column] |= _UP | _DOWN


def _describe(layout: Layout, bundles: Sequence[Bundle]) -> str:
    links = sum(bundle.links for bundle in bundles)
    rates = sorted({rate for bundle in bundles for rate in bundle.rates_gbps})
    shown = " and ".join(format_bit_rate(rate * 1e9) for rate in rates[:3])
    above = len({bundle.above for bundle in bundles})
    below = len({bundle.below for bundle in bundles})
    each = sorted({bundle.links for bundle in bundles})
    parts = [f"{links:,} links of {shown}"]
    if len(bundles) == above * below and len(each) == 1 and not layout.grouped:
        parts.append(f"{each[0]:,} from each to each")
    return ", ".join(parts)
