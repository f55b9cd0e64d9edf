"""The button under a table that saves its rows as CSV."""

from collections.abc import Callable
from typing import Any

import polars as pl
from dash import Dash, Input, Output, State

from fabricscope.dashboard import ids
from fabricscope.dashboard.spreadsheet import write_csv
from fabricscope.dashboard.view import View, read_view

__all__ = ["register_saving"]


def register_saving(
    app: Dash, button: str, download: str, filename: str, rows: Callable[[View], pl.DataFrame]
) -> None:
    """Let a click on `button` hand the browser `rows` of the time range at hand as a file."""

    @app.callback(
        Output(download, "data"),
        Input(button, "n_clicks"),
        State(ids.VIEW, "data"),
        prevent_initial_call=True,
    )
    def save(_: object, view: dict[str, Any] | None) -> dict[str, Any]:
        found = read_view(view).without_parameters()
        return {"content": write_csv(rows(found)), "filename": filename}
