"""Curves of one link."""

from pathlib import Path

import polars as pl
import pytest
from fabric_samples import LOSSY, SECOND_NS, fill, worst_link

from fabricscope.dashboard.data.links import link_history
from fabricscope.dashboard.figures.link_story import draw_load, draw_round_trips, draw_scores
from fabricscope.dashboard.view import View
from fabricscope.store import DeltaStore
from fabricscope.topology.builders import build

END = 1_700_000_000 * SECOND_NS
VIEW = View(END - 60 * SECOND_NS, END)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    fabric = build("leaf-spine:2x2x2@100G")
    store = DeltaStore(Path(tmp_path_factory.mktemp("store")))
    fill(store, fabric, END, 60)
    return link_history(store, VIEW, fabric.link_names[worst_link(fabric)], 1_000)


def test_load_has_a_mean_and_a_burst_a_direction(history: pl.DataFrame) -> None:
    figure = draw_load(history, VIEW.start_ns, VIEW.end_ns)
    assert [trace.name for trace in figure.data] == [
        "up, mean", "up, busiest 10 ms", "down, mean", "down, busiest 10 ms",
    ]  # fmt: skip
    assert all(len(trace.x) == 60 for trace in figure.data)
    assert "%" in figure.layout.yaxis.title.text


def test_scores_tell_their_reasons(history: pl.DataFrame) -> None:
    figure = draw_scores(history, VIEW.start_ns, VIEW.end_ns)
    up = next(trace for trace in figure.data if trace.name == "up")
    assert set(up.y) == {28.0}
    assert set(up.customdata) == {LOSSY}


def test_reasons_are_text_not_markup(history: pl.DataFrame) -> None:
    hostile = history.with_columns(reasons=pl.lit("<a href='x'>y</a>"))
    figure = draw_scores(hostile, VIEW.start_ns, VIEW.end_ns)
    assert "<a" not in str(figure.data[0].customdata)


def test_what_is_not_known_is_said(history: pl.DataFrame) -> None:
    unknown = history.with_columns(
        pl.lit(None, pl.Float64).alias(name)
        for name in ("utilization", "burst", "score", "ack_rtt_p99")
    )
    for draw in (draw_load, draw_scores, draw_round_trips):
        figure = draw(unknown, VIEW.start_ns, VIEW.end_ns)
        assert not figure.data
        assert figure.layout.annotations[0].text


def test_round_trips_have_units(history: pl.DataFrame) -> None:
    timed = history.with_columns(
        pl.lit(10.0).alias(name) for name in ("ack_rtt_p50", "ack_rtt_p99", "ack_rtt_max")
    )
    figure = draw_round_trips(timed, VIEW.start_ns, VIEW.end_ns)
    assert len(figure.data) == 6
    assert "µs" in figure.layout.yaxis.title.text
