"""A capture's report as components: verdict, findings that lead to packets, chapters."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from fabricscope.dashboard.pages.report_view import build_chapters, build_report, build_section
from fabricscope.dashboard.report import build_sections
from fabricscope.dashboard.view import View
from fabricscope.pipeline.captures import analyze_capture

VIEW = View(0, 1)
PCAPS = Path(__file__).parents[3] / "pcaps"


@functools.cache
def document_of(name: str) -> dict[str, Any]:
    return analyze_capture(str(PCAPS / name))


def text_of(components: object) -> str:
    return json.dumps(components, default=lambda one: one.to_plotly_json())


def test_a_slow_link_leads_to_its_packets_and_frames_to_theirs() -> None:
    text = text_of(build_report(document_of("slow-link.pcap"), VIEW, "a/b.pcap"))
    assert "/captures?file=a%2Fb.pcap&host=" in text
    assert "&way=" in text
    text = text_of(build_report(document_of("loss-before-tap.pcap"), VIEW, "x.pcap"))
    assert "/captures?file=x.pcap&frames=" in text


@pytest.mark.parametrize("name", ["slow-link.pcap", "congestion.pcap"])
def test_every_chapter_is_a_tab_with_figures_and_tables(name: str) -> None:
    sections = build_sections(document_of(name))
    (tabs,) = build_chapters(sections)
    labels = [tab.value for tab in tabs.children[0].children]
    assert labels == [section.name for section in sections]
    for section in sections:
        assert len(build_section(section)) >= 1
    assert build_chapters([]) == []


def test_hostile_texts_stay_text() -> None:
    evil = "<script>alert(1)</script>\x1b[31m"
    document = {**document_of("slow-link.pcap")}
    document["findings"] = [
        {**document["findings"][0], "text": evil, "action": evil, "subject": evil, "packets": []}
    ]
    text = text_of(build_report(document, VIEW, evil))
    assert "\\u001b" not in text
    assert "Markdown" not in text
    assert "dangerously" not in text
    assert "file=%3Cscript%3E" in text
