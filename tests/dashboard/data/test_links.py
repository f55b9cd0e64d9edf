"""Links as pages see them: now, at a moment, over time."""

import pytest
from fabric_samples import LOSSY, MARKED, SECOND_NS, link_rows, worst_link

from fabricscope.dashboard.data.links import (
    classify,
    link_history,
    link_states,
    link_trends,
    states_at,
)
from fabricscope.dashboard.view import View
from fabricscope.store import DeltaStore
from fabricscope.topology.fabric import Fabric

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
