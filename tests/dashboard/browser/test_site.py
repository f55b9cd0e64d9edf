"""The site in a real browser: pages with and without data, live values, addresses, keys."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fabric_samples import fill, follow
from playwright.sync_api import Page, expect
from sites import serving

from fabricscope.dashboard.pages.registry import PAGES
from fabricscope.dashboard.site import NoStore, SiteConfig
from fabricscope.errors import StoreError
from fabricscope.store import DeltaStore
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import Fabric

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
WAIT_MS = 60_000
PATHS = [page.path for page in PAGES]
MINE = ["/", "/links", "/links?link=leaf0-spine0", "/alerts", "/system"]


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    return build("leaf-spine:4x2x4@100G")


@pytest.fixture(scope="module")
def empty_site() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def live_store(fabric: Fabric, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeltaStore]:
    store = DeltaStore(tmp_path_factory.mktemp("store"))
    fill(store, fabric, time.time_ns(), 120)
    stopped = threading.Event()

    def feed() -> None:
        for _ in follow(store, fabric):
            if stopped.is_set():
                return

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    yield store
    stopped.set()
    thread.join(10)


@pytest.fixture(scope="module")
def live_site(live_store: DeltaStore, fabric: Fabric) -> Iterator[str]:
    config = SiteConfig(store_name=str(live_store.root))
    with serving(live_store, fabric, config) as address:
        yield address


def _fits(page: Page) -> None:
    over = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert over <= 0, f"{page.url} is {over} px wider than the window"


@pytest.mark.parametrize("path", PATHS)
def test_every_page_says_what_to_do_without_data(
    empty_site: str, open_page: Open, path: str
) -> None:
    page = open_page(empty_site + path)
    expect(page.locator("#navigation, .navigation")).to_contain_text("Failover")
    expect(page.locator("#stale")).to_have_text("No data yet", timeout=WAIT_MS)
    expect(page.locator("#strip")).to_be_empty()
    expect(page.locator("main")).to_contain_text(re.compile(".{40,}"), timeout=WAIT_MS)
    _fits(page)


@pytest.mark.parametrize("path", [*PATHS, "/nowhere"])
def test_a_permalink_opens_its_page_with_its_time(
    live_site: str, open_page: Open, path: str
) -> None:
    page = open_page(f"{live_site}{path}?range=1h")
    expect(page.locator("#range")).to_contain_text("Last hour", timeout=WAIT_MS)
    expect(page.locator("#strip")).to_be_empty()
    title = next((one.title for one in PAGES if one.path == path), "")
    if title:
        expect(page.locator(".nav-link.here")).to_contain_text(title)
    else:
        expect(page.locator("main")).to_contain_text("no such page")


@pytest.mark.parametrize(("path", "drawn"), [("/", "#fabric-worst"), ("/links", ".ag-row")])
def test_a_month_is_drawn_at_once(live_site: str, open_page: Open, path: str, drawn: str) -> None:
    """Its pages are renewed each 48 minutes; the first drawing does not wait for that."""
    page = open_page(f"{live_site}{path}?range=30d")
    expect(page.locator(drawn).first).to_contain_text("leaf", timeout=WAIT_MS)


@pytest.mark.parametrize("path", MINE)
def test_pages_with_data_fit_their_window(
    live_site: str, open_page: Open, screenshots: Path, path: str
) -> None:
    page = open_page(live_site + path)
    expect(page.locator("#stale")).to_have_text("Live", timeout=WAIT_MS)
    expect(page.locator("main .panel:visible").first).to_be_visible(timeout=WAIT_MS)
    page.wait_for_timeout(2_000)
    expect(page.locator("#strip")).to_be_empty()
    name = re.sub(r"\W+", "-", path.strip("/")) or "fabric"
    for width, height in ((1280, 800), (2560, 1440)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(700)
        _fits(page)
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            page.screenshot(path=screenshots / f"{name}-{width}-{theme}.png")


def test_values_change_without_a_reload(live_site: str, open_page: Open) -> None:
    page = open_page(live_site)
    carried = page.locator(".tile", has_text="Carried").locator(".value")
    expect(carried).to_contain_text("b/s", timeout=WAIT_MS)
    page.evaluate("window.untouched = true")
    first = carried.inner_text()
    expect(carried).not_to_have_text(first, timeout=WAIT_MS)
    assert page.evaluate("window.untouched")


def test_the_map_marks_the_worst_link_and_tells_its_story(live_site: str, open_page: Open) -> None:
    page = open_page(live_site)
    expect(page.locator("#fabric-worst")).to_contain_text("leaf0-spine0", timeout=WAIT_MS)
    until = time.monotonic() + WAIT_MS / 1_000
    while page.evaluate("window.cy ? window.cy.edges('[mark]').length : 0") < 2:
        assert time.monotonic() < until, "no line of the map was marked"
        page.wait_for_timeout(100)
    page.wait_for_timeout(1_200)
    at = page.evaluate(
        "(() => { const marked = window.cy.edges('[mark]');"
        " const edge = marked.filter((one) => one.data('mark').includes('28'))[0];"
        " const a = edge.source().renderedPosition(), b = edge.target().renderedPosition();"
        " const box = window.cy.container().getBoundingClientRect();"
        " return [box.x + (a.x * 0.7 + b.x * 0.3), box.y + (a.y * 0.7 + b.y * 0.3)]; })()"
    )
    page.mouse.click(*at)
    expect(page.locator("#fabric-story")).to_contain_text("leaf0-spine0", timeout=WAIT_MS)
    assert "pick=e" in page.url
    page.locator("#fabric-story a", has_text="leaf0-spine0").first.click()
    expect(page.locator("h1")).to_have_text("leaf0-spine0", timeout=WAIT_MS)
    expect(page.locator("main")).to_contain_text("lost 0.0001 of its RDMA packets")


def test_the_slider_goes_back_in_time_and_plays(live_site: str, open_page: Open) -> None:
    page = open_page(f"{live_site}/?range=1m")
    moment = page.locator("#fabric-moment")
    expect(moment).to_contain_text("Now", timeout=WAIT_MS)
    page.locator("#fabric-play").click()
    expect(moment).not_to_contain_text("Now", timeout=WAIT_MS)
    first = moment.inner_text()
    expect(moment).not_to_have_text(first, timeout=WAIT_MS)
    page.locator("#fabric-play").click()
    expect(page.locator("#fabric-play")).to_contain_text("Play")


def test_a_row_of_the_table_opens_the_links_page(live_site: str, open_page: Open) -> None:
    page = open_page(f"{live_site}/links")
    page.locator("#links-search").fill("leaf3-spine1")
    cell = page.locator(".ag-cell", has_text="leaf3-spine1").first
    expect(cell).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#links-count")).to_contain_text("2 of", timeout=WAIT_MS)
    assert page.locator("svg.sparkline").count() >= 1
    cell.click()
    expect(page.locator("h1")).to_have_text("leaf3-spine1", timeout=WAIT_MS)
    page.go_back()
    expect(page.locator("#links-search")).to_be_visible(timeout=WAIT_MS)
    page.wait_for_timeout(4_000)
    expect(page.locator("#links-search")).to_be_visible()
    cell.click()
    expect(page.locator("h1")).to_have_text("leaf3-spine1", timeout=WAIT_MS)


def test_zooming_a_chart_zooms_the_page_and_double_click_goes_back(
    live_site: str, open_page: Open
) -> None:
    page = open_page(f"{live_site}/links?link=leaf0-spine0&range=5m")
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    expect(plot).to_be_visible(timeout=WAIT_MS)
    page.wait_for_timeout(1_500)
    box = plot.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile("from=.*to="), timeout=WAIT_MS)
    expect(page.locator("#live")).to_have_text("Back to live")
    expect(page.locator("#span")).to_contain_text("UTC")
    page.locator("#live").click()
    expect(page.locator("#stale")).to_have_text("Live", timeout=WAIT_MS)


def test_keys_lead_through_the_site(live_site: str, open_page: Open) -> None:
    page = open_page(live_site)
    expect(page.locator("#stale")).to_have_text("Live", timeout=WAIT_MS)
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.locator(".nav-link.here")).to_contain_text("System")
    page.keyboard.press(" ")
    expect(page.locator("#stale")).to_have_text("Paused", timeout=WAIT_MS)
    assert "paused=1" in page.url
    page.keyboard.press(" ")
    expect(page.locator("#stale")).to_have_text("Live", timeout=WAIT_MS)
    page.keyboard.press("4")
    expect(page.locator("#range")).to_contain_text(["Last 6 hours", "Last hour"][1])
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    before = page.evaluate("document.documentElement.dataset.theme")
    page.keyboard.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") != before


def test_a_stretch_of_time_is_chosen_by_its_ends(live_site: str, open_page: Open) -> None:
    page = open_page(f"{live_site}/links?from=1750000000000&to=1750000060000")
    expect(page.locator("#stale")).to_have_text("Looking back", timeout=WAIT_MS)
    page.keyboard.press("t")
    ends = page.locator("#period input")
    expect(ends.first).to_have_value("2025-06-15T15:06:40")
    ends.last.fill("2025-06-15T15:00:00")
    page.locator("#period-show").click()
    expect(page.locator("#period-said")).to_contain_text("before To")
    ends.last.fill("2025-06-15T15:20:00")
    page.locator("#period-show").click()
    page.wait_for_url(re.compile("from=1750000000000&to=1750000800000"), timeout=WAIT_MS)
    expect(page.locator("#period")).not_to_be_visible()
    expect(page.locator("#span")).to_contain_text("15:20:00 UTC")


def test_a_page_outlives_its_server(
    open_page: Open, live_store: DeltaStore, fabric: Fabric
) -> None:
    with serving(live_store, fabric) as address:
        page = open_page(address)
        expect(page.locator("#stale")).to_have_text("Live", timeout=WAIT_MS)
        page.evaluate("window.untouched = true")
    expect(page.locator("#stale")).to_contain_text("Server away", timeout=WAIT_MS)
    with serving(live_store, fabric, port=int(address.rpartition(":")[2])):
        expect(page.locator("#stale")).to_have_text("Live", timeout=60_000)
        clock = page.locator("#span")
        first = clock.inner_text()
        expect(clock).not_to_have_text(first, timeout=WAIT_MS)
        assert page.evaluate("window.untouched")


class BrokenStore(NoStore):
    """A store whose alerts cannot be read for a while."""

    broken = True

    def query(self, table: str, start_ns: int, end_ns: int, **given: Any) -> pl.DataFrame:
        """Return no rows, or raise."""
        if self.broken and table == "alerts":
            raise StoreError("the alerts cannot be read")
        return super().query(table, start_ns, end_ns, **given)


def test_what_a_page_met_is_told_until_it_is_drawn(open_page: Open) -> None:
    store = BrokenStore()
    with serving(store) as address:
        page = open_page(f"{address}/alerts?from=1700000000000&to=1700000060000")
        strip = page.locator("#strip")
        expect(strip).to_have_text("the alerts cannot be read", timeout=WAIT_MS)
        page.wait_for_timeout(12_000)
        expect(strip).to_have_text("the alerts cannot be read")
        page.locator(".nav-link", has_text="Captures").click()
        expect(strip).to_be_empty(timeout=WAIT_MS)
        page.goto(f"{address}/alerts")
        expect(strip).to_have_text("the alerts cannot be read", timeout=WAIT_MS)
        store.broken = False
        expect(strip).to_be_empty(timeout=WAIT_MS)
        # What could not be done is told for a moment.
        page.locator("#alerts-acknowledge").click()
        expect(strip).to_contain_text("click its row first", timeout=WAIT_MS)
        expect(strip).to_be_empty(timeout=WAIT_MS)


def test_old_data_are_marked_as_stale(open_page: Open, fabric: Fabric, tmp_path: Path) -> None:
    store = DeltaStore(tmp_path)
    fill(store, fabric, time.time_ns() - 300 * 10**9, 10)
    with serving(store, fabric) as address:
        page = open_page(address)
        expect(page.locator("#stale")).to_contain_text("Stale: last sample 5 min ago",
                                                       timeout=WAIT_MS)  # fmt: skip
