"""The pages: each has a place, a key and a layout of its own."""

from fabricscope.dashboard.pages.registry import PAGES, find_page
from fabricscope.dashboard.site import Site
from fabricscope.dashboard.view import View


def test_nine_pages_with_keys_of_their_own() -> None:
    assert [page.name for page in PAGES] == [
        "fabric", "links", "rdma", "training", "traffic", "failover", "captures", "alerts",
        "system",
    ]  # fmt: skip
    assert len({page.key for page in PAGES}) == len({page.path for page in PAGES}) == len(PAGES)


def test_paths_find_their_pages() -> None:
    assert [find_page(page.path) for page in PAGES] == list(PAGES)
    assert find_page("/links/") is find_page("/links")
    assert find_page("/nowhere") is None


def test_every_page_lays_out_without_data(empty_site: Site, view: View) -> None:
    for page in PAGES:
        assert page.layout(empty_site, view)
