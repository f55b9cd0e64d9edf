"""Pages of long time ranges draw less often than each second."""

import pytest
from dash import ctx
from dash.exceptions import PreventUpdate

from fabricscope.dashboard import ids
from fabricscope.dashboard.pages import refresh
from fabricscope.dashboard.pages.refresh import due_view

DAY = {"path": "/rdma", "search": "range=24h"}


class Trigger:
    def __init__(self, name: str) -> None:
        self.triggered_id = name


def test_a_day_waits_for_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refresh.ctx is ctx
    monkeypatch.setattr(refresh, "ctx", Trigger(ids.TICK))
    with pytest.raises(PreventUpdate):
        due_view(DAY, {"time_ms": 97_000})
    assert due_view(DAY, {"time_ms": 96_000}).range == "24h"


def test_a_quarter_of_an_hour_and_every_change_are_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refresh, "ctx", Trigger(ids.TICK))
    assert due_view({"path": "/", "search": ""}, {"time_ms": 97_000}).range == "5m"
    monkeypatch.setattr(refresh, "ctx", Trigger(ids.VIEW))
    assert due_view(DAY, {"time_ms": 97_000}).range == "24h"
    assert due_view(None, None).range == "5m"
