"""The page System."""

from fabricscope.dashboard.pages import system
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View


def test_taps_store_and_delay(site: Site, view: View) -> None:
    some, tiles, rows, rates, losses, store = system._draw(site, view)
    assert some is True
    assert rows[0]["tap"] == "eth2"  # type: ignore[index]
    assert rows[0]["detail"] == "everything on"  # type: ignore[index]
    assert "switches eth2" in str(rates.data[0].name)  # type: ignore[attr-defined]
    assert "dropped" in losses.layout.annotations[0].text  # type: ignore[attr-defined]
    assert "link_samples" in str(store)
    assert "s ago" in str(tiles)


def test_without_a_store_it_says_how_to_get_one(empty_site: Site, view: View) -> None:
    shown = system._draw(empty_site, view)
    assert shown[0] is False
    assert "No store was given" in str(shown[-1])


def test_versions_are_listed() -> None:
    text = str(system._versions())
    assert "polars" in text
    assert "Fabricscope" in text
