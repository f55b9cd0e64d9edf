"""The page System."""

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
        empty_state("No collectors yet", "No collector has reported in this time range.", _COMMAND),
        id=ids.System.BODY,
    )


def _register(app: Dash, site: Site) -> None:
    pass


PAGE = Page("system", "/system", "System", "⚙", "s", _layout, _register)
