"""The row of numbers on top of a page."""

from collections.abc import Sequence
from typing import NamedTuple

from dash import html
from dash.development.base_component import Component

from fabricscope.dashboard.plain_text import neutralise

__all__ = ["Tile", "tiles"]


class Tile(NamedTuple):
    """One number with what it is; level: good, fair, poor or bad where it is judged."""

    label: str
    value: str
    about: str = ""
    level: str = ""


def tiles(given: Sequence[Tile]) -> list[Component]:
    """Return the tiles; a judged one has a shape besides its colour."""
    return [
        html.Div(
            [
                html.Div(neutralise(tile.label, 60), className="label"),
                html.Div(
                    neutralise(tile.value, 60),
                    className=f"value health {tile.level}" if tile.level else "value",
                    title=neutralise(tile.value, 200),
                ),
                html.Div(neutralise(tile.about, 120), className="about"),
            ],
            className="tile",
        )
        for tile in given
    ]
