"""From a slow link to its packets, uploads, hostile captures, and failures made with the mouse."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hostile import hostile_capture
from playwright.sync_api import Page, expect
from sites import serving

from fabricscope.dashboard.site import SiteConfig
from fabricscope.store import DeltaStore

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Open = Callable[..., Page]
WAIT_MS = 120_000
SLOW = "gloo-slowlink-4r-2MiB.pcap"
BLAMED = "10.77.0.11"
EXPERIMENT = (
    "/failover?fabric=leaf-spine:2x2x2@100G&workload=allreduce:ring:4MiB:iterations%3D3"
    "&schemes=dpfr,bgp&timeout=8&engine=flow"
)
PAGES = ["/rdma", "/training", "/traffic", EXPERIMENT, "/captures"]


def play(
    repository: Path, store: Path, collector: str, capture: Path, loops: int = 1
) -> "subprocess.Popen[bytes]":
    """Replay a capture as if it were live; loops: 0 for ever."""
    return subprocess.Popen(
        [sys.executable, "-m", "fabricscope", "replay", str(capture), "--store", str(store),
         "--collector", collector, "--loops", str(loops), "--quiet"],
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(
    repository: Path, captures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return a site that shows the slow link while it is played, and what was played before."""
    folder = captures / "collectives"
    store = tmp_path_factory.mktemp("store")
    slow = play(repository, store, "slow", folder / SLOW, loops=0)
    try:
        for name in ("congestion", "loss-before-tap"):
            assert play(repository, store, name, repository / f"pcaps/{name}.pcap").wait(180) == 0
        config = SiteConfig(store_name=str(store), captures=folder)
        with serving(DeltaStore(store), None, config) as address:
            yield address
    finally:
        slow.terminate()
        slow.wait(60)


@pytest.fixture(scope="module")
def bare_site() -> Iterator[str]:
    with serving() as address:
        yield address


def read_packets(page: Page) -> str:
    """Click a packet of the list and return what it says: the third and last click."""
    rows = page.locator("#captures-packets .ag-center-cols-container .ag-row")
    expect(rows.first).to_be_visible(timeout=WAIT_MS)
    rows.nth(1).click()
    expect(page.locator(".dissection")).to_be_visible(timeout=WAIT_MS)
    return page.inner_text("#captures-dissection")


def test_three_clicks_lead_over_the_job_to_the_packets(
    site: str, open_page: Open, tshark: str, screenshots: Path
) -> None:
    page = open_page(f"{site}/")
    page.locator(".nav-link", has_text="Training").click()
    expect(page.locator(".verdict").first).to_contain_text(BLAMED, timeout=WAIT_MS)
    page.locator("#training-packets").click()
    assert "TCP" in read_packets(page)
    assert f"file={SLOW}" in page.url
    expect(page.locator("#captures-filter")).to_contain_text(f"ip.src == {BLAMED}")
    expect(page.locator("#captures-packets-note")).to_contain_text("Iteration")
    page.wait_for_timeout(1_000)
    page.screenshot(path=screenshots / "evidence-packets.png")


def test_three_clicks_lead_over_the_link_to_the_packets(
    site: str, open_page: Open, tshark: str
) -> None:
    page = open_page(f"{site}/")
    link = page.locator(f"main a[href*='link={BLAMED}']:visible").first
    expect(link).to_be_visible(timeout=WAIT_MS)
    link.click()
    expect(page.locator("h1")).to_contain_text(BLAMED, timeout=WAIT_MS)
    page.locator("#links-packets").click()
    assert "TCP" in read_packets(page)
    assert f"host={BLAMED}" in page.url


def send(page: Page, address: str, file: object) -> None:
    """Upload a file."""
    page.goto(f"{address}/captures")
    with page.expect_file_chooser() as chooser:
        page.locator("#captures-upload").click()
    chooser.value.set_files(file)  # type: ignore[arg-type]


def test_an_upload_is_analyzed_and_drilled_down_to_a_packet(
    bare_site: str, open_page: Open, repository: Path, tshark: str, screenshots: Path
) -> None:
    page = open_page(f"{bare_site}/captures")
    send(page, bare_site, str(repository / "pcaps/loss-before-tap.pcap"))
    finding = page.locator("#captures-report a", has_text="Packets").first
    expect(finding).to_be_visible(timeout=WAIT_MS)
    expect(page.locator("#captures-status")).to_contain_text("loss-before-tap.pcap")
    page.screenshot(path=screenshots / "captures-report.png", full_page=True)
    finding.click()
    page.wait_for_url(re.compile("frames="))
    expect(page.locator("#captures-filter")).to_contain_text("frame.number in", timeout=WAIT_MS)
    assert "INFINIBAND" in read_packets(page).upper()


def test_an_upload_that_is_no_capture_is_one_sentence(bare_site: str, open_page: Open) -> None:
    page = open_page(f"{bare_site}/captures")
    photo = {"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff" * 99}
    send(page, bare_site, photo)
    expect(page.locator("#captures-status .problem")).to_contain_text(
        "holiday.jpg", timeout=WAIT_MS
    )
    expect(page.locator("#captures-report")).to_be_empty()


def test_a_hostile_capture_does_nothing(bare_site: str, open_page: Open, tshark: str) -> None:
    page = open_page(f"{bare_site}/captures")
    name = "<img src=x onerror=window.hacked=1>.pcap"
    content = {"name": name, "mimeType": "application/octet-stream", "buffer": hostile_capture()}
    send(page, bare_site, content)
    tabs = page.locator("#captures-tabs .tab")
    expect(tabs.first).to_be_visible(timeout=WAIT_MS)
    for number in range(tabs.count()):
        tabs.nth(number).click()
        page.wait_for_timeout(600)
    read_packets(page)
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img").count() == 0


def test_a_link_fails_by_a_click_and_the_result_is_read(
    bare_site: str, open_page: Open, screenshots: Path
) -> None:
    page = open_page(bare_site + EXPERIMENT)
    expect(page.locator("#failover-map-note")).to_contain_text("links", timeout=WAIT_MS)
    page.wait_for_timeout(1_500)
    at = page.evaluate(
        "(() => { const box = document.getElementById('failover-map');"
        " const cy = box._cyreg.cy, ends = (one) => [one.source(), one.target()];"
        " const between = (one) => ends(one).every((end) => end.hasClass('switch'));"
        " const edge = cy.edges().filter(between)[0];"
        " const p = edge.renderedMidpoint();"
        " const r = cy.container().getBoundingClientRect(); return [r.x + p.x, r.y + p.y]; })()"
    )
    page.mouse.click(*at)
    expect(page.locator("#failover-failure-list button")).to_contain_text("@1ms", timeout=WAIT_MS)
    page.locator("#failover-run").click()
    expect(page.locator("#failover-verdict")).to_contain_text("dpfr", timeout=WAIT_MS)
    assert "fail=" in page.url
    note = page.locator("#failover-map-note")
    expect(note).to_contain_text("loads during the failure under dpfr", timeout=WAIT_MS)
    page.locator("#failover-play").click()
    expect(note).to_contain_text("loads after", timeout=WAIT_MS)
    expect(note).to_contain_text("loads before", timeout=WAIT_MS)
    page.locator("#failover-play").click()
    page.screenshot(path=screenshots / "failover-result.png", full_page=True)
    page.reload()
    expect(page.locator("#failover-verdict")).to_contain_text("dpfr", timeout=WAIT_MS)


@pytest.mark.parametrize("path", PAGES)
def test_pages_with_data_fit_their_window(
    site: str, open_page: Open, screenshots: Path, path: str
) -> None:
    page = open_page(f"{site}{path}{'&' if '?' in path else '?'}range=15m")
    expect(page.locator("main .panel:visible").first).to_be_visible(timeout=WAIT_MS)
    page.wait_for_timeout(2_500)
    expect(page.locator("#strip")).to_be_empty()
    name = re.match(r"/(\w+)", path)
    assert name
    for width, height in ((1280, 800), (2560, 1440)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(700)
        over = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert over <= 0, f"{path} is {over} px wider than the window"
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            page.screenshot(path=screenshots / f"{name[1]}-{width}-{theme}.png")
