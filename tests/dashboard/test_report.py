"""The HTML report: self-contained, complete, and deaf to hostile names."""

import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from examples.analysis import HOSTILE, empty_document, hostile_document, ring_document
from examples.training import hostile_training_document, training_document

from fabricscope.dashboard.definitions import DEFINITIONS
from fabricscope.dashboard.page import ROWS_LIMIT
from fabricscope.dashboard.report import render_report, write_report
from fabricscope.errors import ConfigError

SCRIPTS = 3
"""Scripts of the page: the figures' data, plotly.js, and its own."""


class Page(HTMLParser):
    """Collects elements, their attributes and the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(tag)
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data
        else:
            self.text += data


def test_the_page_needs_no_network() -> None:
    page = Page(render_report(ring_document()))
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?:|\*|unsafe-eval|'self'", policy)


def test_the_verdict_comes_before_everything_else() -> None:
    text = Page(render_report(ring_document())).text
    places = [
        text.index(words)
        for words in (
            "1 critical finding and 1 warning",
            "missed at least 12 packets",
            "Mean throughput",
            "Restart the job from its checkpoint",
            "Message completion time",
            "0x000164",
            "How these numbers were made",
        )
    ]
    assert places[:4] == sorted(places[:4])
    assert places[-1] > places[3]
    for term, definition in DEFINITIONS:
        assert term in text
        assert definition in text


def test_marks_appear_only_when_the_capture_lost_packets() -> None:
    document = ring_document()
    assert 'class="mark"' in render_report(document)
    document["capture_loss"]["lower_bound_packets"] = 0
    assert 'class="mark"' not in render_report(document)


def test_hostile_names_stay_text() -> None:
    page = Page(render_report(hostile_document()))
    scripts = [tag for tag, _ in page.elements if tag == "script"]
    assert len(scripts) == SCRIPTS
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert "<script>alert(1)</script>" in page.text
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    figures = page.scripts[1]
    assert HOSTILE not in figures
    assert "<" not in figures


def test_an_empty_capture_has_a_page() -> None:
    page = Page(render_report(empty_document()))
    assert "No packet could be read." in page.text
    assert not [a for _, a in page.elements if a.get("class") == "plot"]


def test_long_tables_are_bounded_and_say_so() -> None:
    document = ring_document()
    document["flows"] = document["flows"] * 40
    document["flows_total"] = 5_000_000
    text = render_report(document)
    body = re.search(r'<tbody id="flows-rows">(.*?)</tbody>', text, re.S)
    assert body is not None
    assert body[1].count("<tr>") == ROWS_LIMIT
    assert "1,000 of 5,000,000" in text


def test_an_unwritable_path_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(empty_document(), str(tmp_path / "missing" / "report.html"))


@pytest.fixture
def dump(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that opens a page in a browser and returns what became of it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium, which is not installed")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update --virtual-time-budget=10000"
    )

    def dump_page(text: str) -> str:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [chromium, *flags.split(), profile, "--dump-dom", path.as_uri()]
        return subprocess.run(command, capture_output=True, timeout=60, check=True).stdout.decode()

    return dump_page


@pytest.mark.browser
@pytest.mark.parametrize(
    ("document", "figures"),
    [
        (ring_document, 7),
        (hostile_document, 7),
        (training_document, 10),
        (hostile_training_document, 10),
    ],
)
def test_a_browser_draws_every_figure(
    document: Callable[[], dict[str, Any]], figures: int, dump: Callable[[str], str]
) -> None:
    text = render_report(document())
    page = Page(dump(text))
    plots = [a for _, a in page.elements if "js-plotly-plot" in (a.get("class") or "").split()]
    assert len(plots) == text.count('class="plot"') == figures
    assert len([tag for tag, _ in page.elements if tag == "script"]) == SCRIPTS
    assert not [tag for tag, _ in page.elements if tag == "img"]


@pytest.mark.browser
def test_tables_sort_and_filter(dump: Callable[[str], str]) -> None:
    act = """<script>
      const table = document.getElementById("queue-pairs");
      const head = [...table.querySelectorAll("th")];
      head.find((th) => th.textContent.startsWith("Messages")).querySelector("button").click();
      const input = table.querySelector("input");
      input.value = "10.77.0.13 ACTIVE";
      input.dispatchEvent(new Event("input"));
      document.querySelector(".copy").click();
    </script></body>"""
    shown = dump(render_report(ring_document()).replace("</body>", act))
    body = re.search(r'<tbody id="queue-pairs-rows">(.*?)</tbody>', shown, re.S)
    assert body is not None
    rows = re.findall(r"<tr( hidden[^>]*)?>(.*?)</tr>", body[1], re.S)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for _, row in rows]
    messages = [int(row[7].replace(",", "")) for row in cells]
    assert messages == sorted(messages, reverse=True)
    visible = [row for (hidden, _), row in zip(rows, cells, strict=True) if not hidden]
    assert 0 < len(visible) < len(cells)
    assert all("10.77.0.13" in row[:2] and row[3] == "active" for row in visible)
    assert f"{len(visible)} match" in shown
    assert 'aria-sort="descending"' in shown


@pytest.mark.browser
def test_wide_tables_say_what_is_hidden_and_buttons_cover_nothing(
    dump: Callable[[str], str],
) -> None:
    act = """<script>
      const over = [...document.querySelectorAll(".js-plotly-plot")].filter((plot) => {
        const bar = plot.querySelector(".modebar");
        if (!bar) return false;
        const one = bar.getBoundingClientRect();
        return [...plot.querySelectorAll(".legend text, .infolayer text")].some((text) => {
          const two = text.getBoundingClientRect();
          return two.width && two.left < one.right && two.right > one.left
            && two.top < one.bottom && two.bottom > one.top;
        });
      });
      document.title = "covered " + over.length
        + ", wide " + (document.documentElement.scrollWidth > innerWidth);
    </script></body>"""
    shown = dump(render_report(ring_document()).replace("</body>", act))
    assert "<title>covered 0, wide false</title>" in shown
    assert re.search(r'<button type="button" class="more-columns">\d+ more columns →', shown)
