"""What callbacks meet: told, told to be over, and told for a moment."""

from typing import Any

import pytest
from dash import Input, Output, no_update

from fabricscope.dashboard import ids, problems
from fabricscope.dashboard.problems import Outcome, TellingDash
from fabricscope.errors import StoreError

VIEW = {"path": "/links", "search": "?range=6h"}


class Asked:
    """Stands for dash.ctx."""

    inputs: dict[str, Any] = {"view.data": VIEW, "tick.data": None, "button.n_clicks": 1}  # noqa: RUF012
    states: dict[str, Any] = {}  # noqa: RUF012
    triggered_prop_ids: dict[str, str] = {"tick.data": "tick"}  # noqa: RUF012


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []

    def hear(name: str, props: dict[str, Any]) -> None:
        assert name == ids.PROBLEM
        said.append(props["data"])

    monkeypatch.setattr(problems, "set_props", hear)
    monkeypatch.setattr(problems, "ctx", Asked())
    return said


def test_what_a_page_met_is_told_until_it_gets_through(told: list[dict[str, Any]]) -> None:
    outcome = Outcome(7)
    draw = outcome.watch(lambda: 1)
    assert draw() == 1
    assert told == []
    assert outcome.report(StoreError("too many rows")) is no_update
    said = told.pop()
    assert (said["text"], said["of"], said["view"]) == ("too many rows", 7, VIEW)
    assert draw() == 1
    assert told == [{"text": "", "of": 7}]


def test_what_a_click_met_is_told_for_a_moment(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Asked, "triggered_prop_ids", {"button.n_clicks": "button"})
    outcome = Outcome(7)
    outcome.report(StoreError("needs the role operator"))
    assert told.pop()["of"] is None
    outcome.watch(lambda: 1)()
    assert told == []


def test_callbacks_of_an_application_are_watched(told: list[dict[str, Any]]) -> None:
    app = TellingDash("x")

    @app.callback(Output("a", "children"), Input("b", "data"))
    def first(data: Any) -> Any:
        return data

    @app.callback(Output("c", "children"), Input("b", "data"))
    def second(data: Any) -> Any:
        return data

    assert first(3) == 3
    assert len(app.callback_map) == 2
