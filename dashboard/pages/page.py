"""What a page is to the site: where it stands, what it lays out and which callbacks it adds."""

from collections.abc import Callable
from typing import NamedTuple

from dash import Dash
from dash.development.base_component import Component

from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View

__all__ = ["Page"]


class Page(NamedTuple):
    """layout: the components for a view, quickly and without queries that take long.

    key: the letter that after `g` leads here; glyph: one character before the title.
    """

    name: str
    path: str
    title: str
    glyph: str
    key: str
    layout: Callable[[Site, View], Component]
    register: Callable[[Dash, Site], None]
