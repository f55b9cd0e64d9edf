"""The page Fabric: what its callback shows."""

from dataclasses import replace

import pytest

from fabricscope.dashboard.data.links import STEPS
from fabricscope.dashboard.pages import fabric
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View


def test_the_map_and_its_sides(site: Site, view: View) -> None:
    elements, key, no_data, hidden, tiles, state, moment, worst, busiest, alerts, story = (
        fabric._draw(site, view, STEPS)
    )
    assert elements
    assert (no_data, hidden) == (True, False)
    assert state["key"] == key
    assert "bad" in state["health"]
    assert moment.startswith("Now (")
    assert "leaf0-spine0" in str(worst)
    assert "Gb/s" in str(busiest)
    assert "leaf0-spine0 is ill" in str(alerts)
    assert story == []
    assert len(tiles) == 6


def test_a_step_is_a_moment_of_the_view(site: Site, view: View) -> None:
    moment = fabric._draw(site, view, 10)[6]
    assert "Now" not in moment
    assert "UTC" in moment


def test_silent_links_stay_on_the_map(site: Site, view: View) -> None:
    later_ns = view.end_ns + 600_000_000_000
    later = View(view.end_ns - 300_000_000_000, later_ns, range="15m")
    shown = fabric._draw(site, later, STEPS)
    assert shown[2:4] == (True, False)
    assert "bad" in shown[5]["health"]
    assert shown[6].startswith("Newest (")


@pytest.mark.parametrize("pick", ["n0", "e0", "e99999", "nx", "<b>", "e-1"])
def test_what_is_picked_has_a_story_or_none(site: Site, view: View, pick: str) -> None:
    story = fabric._draw(site, replace(view, parameters=(("pick", pick),)), STEPS)[-1]
    assert bool(story) is (pick in ("n0", "e0"))


def test_without_a_topology_links_are_drawn_as_named(site: Site, view: View) -> None:
    nameless = Site(site.store, None, site.config)
    elements, *_ = fabric._draw(nameless, view, STEPS)
    labels = {one["data"].get("label") for one in elements}
    assert {"fabric", "leaf0-spine0"} <= labels


def test_without_anything_it_says_so(empty_site: Site, view: View) -> None:
    shown = fabric._draw(empty_site, view, STEPS)
    assert shown[2:4] == (False, True)


def test_with_a_topology_alone_it_is_drawn_grey(site: Site, empty_site: Site, view: View) -> None:
    drawn = fabric._draw(Site(empty_site.store, site.fabric, site.config), view, STEPS)
    assert drawn[0]
    assert set(drawn[5]["health"]) == {"unknown"}


def test_what_a_browser_shows_already_has_the_same_digest(site: Site, view: View) -> None:
    first, digests = fabric._digest(site, view, STEPS)
    again = fabric._digest(site, view, STEPS)[1]
    assert digests == again
    assert len(first) == len(digests) == 10
    assert fabric._digest(site, view, 10)[1] != digests
