"""What all pages have in common: chapters from data, safe JSON, and files that can be written."""

import json
from pathlib import Path

import plotly.graph_objects as go
import pytest

from fabricscope.dashboard.page import (
    Bar,
    Page,
    Panel,
    Section,
    embed_json,
    render_page,
    write_page,
)
from fabricscope.dashboard.summary import Total, Verdict
from fabricscope.errors import ConfigError

HOSTILE = "<script>alert(1)</script>"


def _page(lost: int) -> Page:
    section = Section(
        "one",
        "Chapter one",
        (Panel("first", HOSTILE, go.Figure(), note="a note"),),
        facts=(Total("Fact", HOSTILE, distorted=lost > 0),),
        bars=(Bar(HOSTILE, 1234, "12 %", 12.0),),
        bars_title=("Bars", "of what"),
    )
    return Page(
        title=HOSTILE,
        word="Word",
        verdict=Verdict("notice", HOSTILE, (HOSTILE,)),
        totals=(),
        sections=(section,),
        definitions=(("Term", "what it means"),),
        remarks_title="Remarks",
        remarks=(HOSTILE,),
        lost=lost,
    )


def _render(lost: int = 0) -> str:
    return render_page(
        "simulation.html", _page(lost), name=HOSTILE, plan="plan", engine="flow", seed=1
    )


def test_chapters_are_made_from_data_alone() -> None:
    text = _render()
    assert text.startswith("<!doctype html>")
    for part in ('href="#one"', 'id="figure-first"', "a note", "1,234", "Remarks", "Term"):
        assert part in text
    assert HOSTILE not in text
    assert 'class="mark"' not in text


def test_numbers_that_loss_distorts_are_marked() -> None:
    text = _render(lost=1200)
    assert 'class="mark"' in text
    assert "missed at least 1,200 packets" in text


def test_embedded_json_cannot_end_its_element() -> None:
    value = {"a": "</script><!--", "b": [1, "&"]}
    text = embed_json(value)
    assert not set(text) & set("<>&")
    assert json.loads(text) == value


def test_a_page_is_written_or_the_reason_is_one_sentence(tmp_path: Path) -> None:
    write_page("<p>\udce4</p>", str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text() == "<p>\\udce4</p>"
    with pytest.raises(ConfigError, match="cannot be written"):
        write_page("", str(tmp_path / "missing" / "page.html"))
