"""What the pages are given: answers that are shared, and a store that holds nothing."""

import pytest

from fabricscope.dashboard.site import NoStore, Site, SiteConfig
from fabricscope.dashboard.view import View, read_view
from fabricscope.errors import StoreError
from fabricscope.store import Store

SECOND = 1_000_000_000


def test_no_store_answers_with_no_rows() -> None:
    store = NoStore()
    with store:
        frame = store.query("link_samples", 0, 1, columns=["time_ns", "link"])
    assert frame.columns == ["time_ns", "link"]
    assert frame.is_empty()
    with pytest.raises(StoreError, match="alerts cannot be kept without a store; start"):
        store.append("alerts", frame)


def test_a_query_of_many_runs_once() -> None:
    calls = []

    def count(store: Store, view: View, what: str) -> int:
        calls.append(what)
        return len(calls)

    site = Site(NoStore(), None, SiteConfig())
    view = read_view("", 10**18)
    assert [site.read(count, view, "a") for _ in range(3)] == [1, 1, 1]
    assert site.read(count, view, "b") == 2


def test_what_is_kept_longer_is_asked_for_at_rounded_times() -> None:
    seen = []

    def note(store: Store, view: View) -> None:
        seen.append((view.start_ns, view.end_ns))

    site = Site(NoStore(), None, SiteConfig())
    for second in (20, 25, 39):
        site.keep(20, note, read_view("range=1m", second * SECOND))
    assert seen == [(-40 * SECOND, 20 * SECOND), (-40 * SECOND, 40 * SECOND)]
    fixed = read_view("?from=1000&to=2000")
    site.keep(20, note, fixed)
    assert seen[-1] == (fixed.start_ns, fixed.end_ns)
