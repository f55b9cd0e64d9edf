"""The rows that a click on a table's button saves."""

from collections.abc import Callable
from typing import Any

import polars as pl

from fabricscope.dashboard.pages.saving import register_saving
from fabricscope.dashboard.view import View


class Recorder:
    """Takes the callback that a Dash application would be given."""

    def callback(self, *parts: Any, **options: Any) -> Callable[[Any], Any]:
        self.parts = [part.component_id for part in parts]

        def keep(function: Any) -> Any:
            self.function = function
            return function

        return keep


def test_a_click_saves_the_rows_of_the_view_without_its_parameters() -> None:
    seen: list[View] = []

    def rows(view: View) -> pl.DataFrame:
        seen.append(view)
        return pl.DataFrame({"link": ["=1+1"], "packets": [3]})

    app = Recorder()
    register_saving(app, "button", "download", "links.csv", rows)  # type: ignore[arg-type]
    assert app.parts[:2] == ["download", "button"]
    saved = app.function(1, {"path": "/links", "search": "?range=1h&link=a-b"})
    assert saved == {"content": "link,packets\n'=1+1,3\n", "filename": "links.csv"}
    assert seen[0].range == "1h"
    assert not seen[0].parameter("link")
