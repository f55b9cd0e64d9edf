"""What a callback met, told to the browser it answered, until the same callback gets through.

What a browser does with it, `assets/shell.js` says.
"""

import functools
import inspect
import time
from collections.abc import Callable
from typing import Any, Final

from dash import Dash, ctx, no_update, set_props

from fabricscope.dashboard import ids, shell

__all__ = ["TellingDash"]

_REMEMBERED_S: Final = 3_600.0
_DRAWN_ANEW_BY: Final = {f"{name}.data" for name in (ids.VIEW, ids.TICK, ids.PATH)}
_CLICKS: Final = ".n_clicks"


class TellingDash(Dash):
    """An application whose callbacks say what they met, and when that is over."""

    def callback(self, *wires: Any, **options: Any) -> Callable[..., Any]:
        """Return what registers a callback, as that of Dash does."""
        outcome = Outcome(len(self._callback_list))
        register = super().callback(*wires, on_error=outcome.report, **options)

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            register(outcome.watch(function))
            return function

        return add


class Outcome:
    """How one callback fares, whichever browser it answers."""

    def __init__(self, number: int) -> None:
        """Name the callback by its number."""
        self.of = number
        self._met_s = -_REMEMBERED_S

    def report(self, error: Exception) -> Any:
        """Say in the strip what the callback met; the page stays as it is."""
        # What was asked for once, by a click, is told for a moment; what draws a page until it
        # does, or the page shows something else.
        clicked = any(name.endswith(_CLICKS) for name in ctx.triggered_prop_ids)
        stays = not clicked and not _DRAWN_ANEW_BY.isdisjoint(ctx.inputs)
        if stays:
            self._met_s = time.monotonic()
        said = {
            "text": shell.explain(error),
            "time_ms": time.time_ns() // 1_000_000,
            "of": self.of if stays else None,
            "view": {**ctx.inputs, **ctx.states}.get(f"{ids.VIEW}.data"),
        }
        set_props(ids.PROBLEM, {"data": said})
        return no_update

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` that says when it gets through again."""
        if inspect.iscoroutinefunction(function):
            return function

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            answer = function(*args, **kwargs)
            # To each browser, since each may have been told; nothing in the usual case.
            if time.monotonic() - self._met_s < _REMEMBERED_S:
                set_props(ids.PROBLEM, {"data": {"text": "", "of": self.of}})
            return answer

        return watched
