"""Links as pages see them: now, at a moment, over time."""

import polars as pl
import pytest
from fabric_samples import LOSSY, MARKED, SECOND_NS, link_rows, worst_link

from fabricscope.dashboard.data.links import (
    STEPS,
    classify,
    link_history,
    link_states,
    link_trends,
    states_at,
)
from fabricscope.dashboard.view import RANGES, View
from fabricscope.store import DeltaStore
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import Fabric

HOUR_NS = 3_600 * SECOND_NS
END_NS = 1_700_000_000 * SECOND_NS
VIEW = View(END_NS - 60 * SECOND_NS, END_NS, range="1m")


@pytest.mark.parametrize(
    ("score", "expected"),
    [(None, "unknown"), (0, "bad"), (39.9, "bad"), (40, "poor"), (70, "fair"), (90, "good"),
     (100, "good"), (-5, "bad")],
)  # fmt: skip
def test_scores_have_classes(score: float | None, expected: str) -> None:
    assert classify(score) == expected


def test_the_worst_comes_first_with_its_reason(store: DeltaStore, fabric: Fabric) -> None:
    states = link_states(store, VIEW)
    assert states.height == 2 * len(fabric.links)
    first, second = states.head(2).to_dicts()
    assert (first["link"], first["direction"]) == (fabric.link_names[worst_link(fabric)], "up")
    assert (first["score"], first["reasons"]) == (28.0, LOSSY)
    assert second["reasons"] == MARKED
    assert second["ecn_share"] == pytest.approx(0.18, abs=0.001)
    rows = link_rows(fabric, END_NS - SECOND_NS).to_dicts()[0]
    found = next(s for s in states.to_dicts() if s["link"] == rows["link"])
    assert found["gbps"] == pytest.approx(rows["bytes"] * 8e-9, rel=0.5)


def test_a_moment_in_the_past_is_that_moment(store: DeltaStore) -> None:
    states = states_at(store, VIEW, END_NS - 30 * SECOND_NS, 5)
    assert states["time_ns"].max() == END_NS - 30 * SECOND_NS
    assert states_at(store, VIEW, END_NS - 90 * SECOND_NS, 5).is_empty()


def test_another_collectors_view_is_empty(store: DeltaStore) -> None:
    view = View(VIEW.start_ns, VIEW.end_ns, collector="nobody")
    assert link_states(store, view).is_empty()
    assert link_history(store, view, "leaf0-spine0", 100).is_empty()


@pytest.mark.parametrize(("behind_s", "seen"), [(1, True), (20, True), (59, True), (70, False)])
def test_a_collector_that_is_behind_is_shown_as_it_was(
    tmp_path: object, fabric: Fabric, behind_s: int, seen: bool
) -> None:
    store = DeltaStore(str(tmp_path))
    now = END_NS - SECOND_NS
    late = now - behind_s * SECOND_NS
    store.append("link_samples", link_rows(fabric, now, "swift").head(2))
    store.append("link_samples", link_rows(fabric, late, "slow").tail(2))
    store.append("link_samples", link_rows(fabric, late - 9 * SECOND_NS, "slow").tail(2))
    states = link_states(store, VIEW)
    assert states.height == (4 if seen else 2)
    assert set(states["intervals"]) == {1}


def test_two_sources_of_a_link_are_not_added_up(tmp_path: object, fabric: Fabric) -> None:
    store = DeltaStore(str(tmp_path))
    rows = link_rows(fabric, END_NS - SECOND_NS)
    store.append("link_samples", rows)
    once = link_states(store, VIEW)["packets"].sum()
    store.append("link_samples", rows.with_columns(source=rows["source"].str.replace("gnmi", "x")))
    twice = link_states(store, VIEW)
    assert twice["packets"].sum() == once
    assert set(twice["source"]) == {"gnmi, x"}


def test_trends_and_history_cover_the_view(store: DeltaStore, fabric: Fabric) -> None:
    trends = link_trends(store, VIEW)
    assert trends.height == 2 * len(fabric.links)
    assert 10 <= len(trends["utilization"][0]) <= 61
    history = link_history(store, VIEW, fabric.link_names[0], 100)
    assert history.height == 120
    assert history["time_ns"].is_sorted()
    assert history["step_s"].unique().to_list() == [1.0]


def test_silent_links_are_shown_as_they_were_last(tmp_path: object, fabric: Fabric) -> None:
    store = DeltaStore(str(tmp_path))
    last_ns = END_NS - 600 * SECOND_NS
    for ago in (0, 20):
        store.append("link_samples", link_rows(fabric, last_ns - ago * SECOND_NS))
    for view in (
        View(END_NS - 900 * SECOND_NS, END_NS, range="15m"),
        View(END_NS - 720 * HOUR_NS, END_NS, range="30d"),
    ):
        states = link_states(store, view)
        assert states.height == 2 * len(fabric.links)
        assert set(states["time_ns"]) == {last_ns}
        assert set(states["intervals"]) == {1}
    assert link_states(store, View(END_NS - 300 * SECOND_NS, END_NS, range="5m")).is_empty()


def test_silent_links_without_seconds_left_are_shown_folded(
    tmp_path: object, fabric: Fabric
) -> None:
    store = DeltaStore(str(tmp_path))
    hour_ns = END_NS // HOUR_NS * HOUR_NS - 48 * HOUR_NS
    store.write("link_samples.1h", link_rows(fabric, hour_ns))
    states = link_states(store, View(END_NS - 720 * HOUR_NS, END_NS, range="30d"))
    assert states.height == 2 * len(fabric.links)
    assert states["seconds"].min() >= 3_600  # type: ignore[operator]


def row_of(**values: object) -> pl.DataFrame:
    """Return a row of a link of 100 Gb/s that carried 10 Gb/s for a second."""
    row = link_rows(build("leaf-spine:2x2x2@100G"), END_NS - SECOND_NS).head(1)
    given = {"link": "one", "score": 100.0, "bytes": 1_250_000_000, "utilization": 0.1, **values}
    return row.with_columns(
        pl.lit(value, row.schema[name]).alias(name) for name, value in given.items()
    )


@pytest.mark.parametrize("range_name", ["15m", "6h", "24h", "7d", "30d"])
def test_rates_of_a_young_store_are_those_of_its_seconds(tmp_path: object, range_name: str) -> None:
    store = DeltaStore(str(tmp_path))
    times = range(END_NS - 200 * SECOND_NS, END_NS, SECOND_NS)
    store.append(
        "link_samples", pl.concat([row_of(time_ns=one, pause_ns=SECOND_NS // 4) for one in times])
    )
    view = View(END_NS - RANGES[range_name][1] * SECOND_NS, END_NS, range=range_name)
    history = link_history(store, view, "one", 1_000)
    for row in history.tail(1).to_dicts() + link_states(store, view).to_dicts():
        assert row["gbps"] == pytest.approx(10.0, rel=0.01)
        assert row["pause_share"] == pytest.approx(0.25, rel=0.01)
    assert history["bytes"].sum() == 200 * 1_250_000_000
    paused = link_states(store, View(view.start_ns, END_NS, range=range_name, paused=True))
    assert paused["gbps"].to_list() == pytest.approx([10.0], rel=0.01)


def test_folded_rows_are_as_long_as_their_intervals(tmp_path: object) -> None:
    store = DeltaStore(str(tmp_path))
    last_ns = END_NS // HOUR_NS * HOUR_NS
    hours = [last_ns - ago * HOUR_NS for ago in range(1, 7)]
    rows = [row_of(time_ns=one, bytes=3_600 * 1_250_000_000) for one in hours]
    store.write("link_samples.1h", pl.concat(rows))
    view = View(END_NS - 168 * HOUR_NS, END_NS, range="7d")
    reach_s = 168 * 3_600 // STEPS
    (state,) = states_at(store, view, last_ns + 60 * SECOND_NS, reach_s).to_dicts()
    assert state["gbps"] == pytest.approx(10.0, rel=0.001)
    assert state["seconds"] == 3_600 * state["intervals"]
    assert link_history(store, view, "one", 1_000)["gbps"].to_list() == pytest.approx([10.0] * 6)


def test_a_port_that_tells_every_twenty_seconds_has_the_rate_of_these(tmp_path: object) -> None:
    store = DeltaStore(str(tmp_path))
    store.append("link_samples", row_of(bytes=20 * 1_250_000_000, pause_ns=5 * SECOND_NS))
    for row in (*link_states(store, VIEW).to_dicts(),
                *link_history(store, VIEW, "one", 100).to_dicts()):  # fmt: skip
        assert row["gbps"] == pytest.approx(10.0)
        assert row["pause_share"] == pytest.approx(0.25)


def test_sources_and_collectors_of_a_link_are_not_added_up(tmp_path: object) -> None:
    store = DeltaStore(str(tmp_path))
    rows = [
        row_of(source=source, collector=collector, lost=lost, score=score, reasons=reasons,
               bytes=size, utilization=size / 12_500_000_000, pause_ns=SECOND_NS // 2)
        for source, collector, lost, score, reasons, size in (
            ("sflow", "left", 7, 90.0, "", 1_250_000_000),
            ("sflow_sampled", "left", 3, 20.0, LOSSY, 1_200_000_000),
            ("sflow", "right", 5, 80.0, MARKED, 1_000_000_000),
        )
    ]  # fmt: skip
    store.append("link_samples", pl.concat(rows))
    (state,) = link_states(store, VIEW).to_dicts()
    (moment,) = link_history(store, VIEW, "one", 100).to_dicts()
    for row in (state, moment):
        assert (row["lost"], row["bytes"], row["pause_ns"]) == (7, 1_250_000_000, SECOND_NS // 2)
        assert row["gbps"] == pytest.approx(10.0)
        assert row["utilization"] == pytest.approx(0.1)
        assert (row["score"], row["reasons"]) == (20.0, LOSSY)
        assert row["source"] == "sflow, sflow_sampled"
    assert moment["collector"] == "left"
    right = View(VIEW.start_ns, VIEW.end_ns, range="1m", collector="right")
    assert link_states(store, right)["lost"].to_list() == [5]
