"""The page Captures."""

from dash import Dash, html
from dash.development.base_component import Component

from fabricscope.dashboard import ids
from fabricscope.dashboard.pages.page import Page
from fabricscope.dashboard.pages.states import empty_state
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View

__all__ = ["PAGE"]

_COMMAND = "fabricscope replay CAPTURE --store DIR"


def _layout(site: Site, view: View) -> Component:
    return html.Div(
        empty_state("No captures", "No folder of captures was given.", _COMMAND),
        id=ids.Captures.BODY,
    )


def _register(app: Dash, site: Site) -> None:
    pass


PAGE = Page("captures", "/captures", "Captures", "▤", "c", _layout, _register)
