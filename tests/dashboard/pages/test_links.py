"""The table of links."""

import pytest

from fabricscope.dashboard.data.links import link_states
from fabricscope.dashboard.pages import links
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View


def test_rows_have_curves_and_the_worst_is_first(site: Site, view: View) -> None:
    no_data, table, _, rows, count = links._draw(site, view, "", "", "")
    assert (no_data, table) == (True, False)
    assert rows[0]["link"] == "leaf0-spine0"  # type: ignore[index]
    assert len(rows[0]["trend"]) > 5  # type: ignore[index]
    assert count == "16 directions"


@pytest.mark.parametrize(
    ("search", "health", "order", "expected"),
    [("SPINE0 ", "", "", 0), ("spine0", "", "", 4), ("lost 0.0001", "", "", 1),
     ("", "bad", "", 1), ("", "fair", "busiest", 1), (".*", "", "", 0), ("", "x", "y", 16)],
)  # fmt: skip
def test_rows_are_chosen(
    site: Site, view: View, search: str, health: str, order: str, expected: int
) -> None:
    states = site.read(link_states, view)
    assert links._choose(states, search, health, order).height == expected


def test_orders_sort(site: Site, view: View) -> None:
    states = site.read(link_states, view)
    busiest = links._choose(states, "", "", "busiest")["utilization"].to_list()
    assert busiest == sorted(busiest, reverse=True)


def test_silent_links_stay_in_the_table(site: Site, view: View) -> None:
    later_ns = view.end_ns + 600_000_000_000
    later = View(view.end_ns - 300_000_000_000, later_ns, range="15m")
    no_data, table, _, rows, count = links._draw(site, later, "", "", "")
    assert (no_data, table) == (True, False)
    assert rows[0]["link"] == "leaf0-spine0"  # type: ignore[index]
    assert count == "16 directions"


def test_without_samples_it_says_so(empty_site: Site, view: View) -> None:
    assert links._draw(empty_site, view, "", "", "")[:3] == (False, True, True)
