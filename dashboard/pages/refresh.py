"""When a page draws anew: at each second for short time ranges, less often for long ones."""

from collections.abc import Mapping
from typing import Any, Final

from dash import ctx
from dash.exceptions import PreventUpdate

from fabricscope.dashboard import ids
from fabricscope.dashboard.view import View, read_view

__all__ = ["due_view"]

_STEPS: Final = 900
"""A range moves by so many steps over its length: what moves by less than a pixel waits."""


def due_view(
    view: Mapping[str, Any] | None, tick: Mapping[str, Any] | None, least_s: int = 1
) -> View:
    """Return the view to draw; raises PreventUpdate at a second that would change nothing.

    view, tick: what `ids.VIEW` and `ids.TICK` hold; least_s: seconds between two drawings, at
    least. Whatever but the second has changed is drawn at once.
    """
    found = read_view(view)
    seconds = int((tick or {}).get("time_ms") or 0) // 1_000
    step = max(least_s, round(found.seconds / _STEPS))
    if ctx.triggered_id == ids.TICK and seconds % step:
        raise PreventUpdate
    return found
