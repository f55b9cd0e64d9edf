"""Alerts over time."""

import polars as pl

from fabricscope.dashboard.figures.alert_times import draw_alerts
from fabricscope.store import schema_of

SECOND = 1_000_000_000
START, END = 1_000 * SECOND, 2_000 * SECOND


def _rows(*changes: tuple[int, str, str, int]) -> pl.DataFrame:
    rows = [
        {"time_ns": at * SECOND, "collector": "c", "rule": "r", "subject": subject,
         "severity": "critical", "state": state, "text": "<b>bad</b>", "action": "",
         "value": None, "table": "", "since_ns": since * SECOND, "until_ns": None, "by": ""}
        for at, subject, state, since in changes
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=schema_of("alerts"))


def test_an_alert_is_a_bar_from_its_begin_to_its_end() -> None:
    history = _rows((1_100, "a", "firing", 1_100), (1_300, "a", "resolved", 1_100))
    figure = draw_alerts(history, _rows(), START, END)
    (trace,) = figure.data
    assert trace.y == ("r: a",)
    assert trace.x == (200_000,)
    assert trace.customdata == ("&lt;b&gt;bad&lt;/b&gt;",)


def test_what_fires_still_reaches_the_end() -> None:
    still = _rows((500, "a", "firing", 500))
    figure = draw_alerts(_rows(), still, START, END)
    assert figure.data[0].x == ((END - START) / 1e6,)


def test_none_is_said() -> None:
    figure = draw_alerts(_rows(), _rows(), START, END)
    assert "No alert fired" in figure.layout.annotations[0].text
