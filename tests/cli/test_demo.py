"""The demo: it finds what was put into the shipped captures, and says so when they are missing."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from fabricscope.cli import demo
from fabricscope.errors import ConfigError
from fabricscope.pipeline.analysis import Options, analyze
from fabricscope.pipeline.document import build_document


def _document(captures: list[Path]) -> dict[str, Any]:
    return build_document(analyze([str(path) for path in captures], Options(), lambda *_: None))


@pytest.mark.parametrize("show", demo.DEMONSTRATIONS, ids=lambda show: show.recipe)
def test_what_was_put_in_is_found(show: demo.Demonstration) -> None:
    captures, truth = demo._files(demo.CAPTURES, show)
    document = _document(captures)
    put_in = {fact.plural: fact.put_in(truth) for fact in demo.FACTS}
    found = {fact.plural: fact.found(document) for fact in demo.FACTS}
    assert any(put_in.values())
    if show.recipe == "tail-timeout":
        # How much of a message's end was lost cannot be seen: one packet each at least.
        lost = "packets lost in the network"
        assert found.pop(lost) == found["time-outs"] <= put_in.pop(lost)
    assert found == put_in


def test_the_whole_demo_is_printed_and_a_page_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(demo, "CAPTURES", tmp_path / "pcaps")
    shutil.copytree(Path(__file__).parents[2] / "pcaps", tmp_path / "pcaps")
    assert demo.run() == 0
    text = capsys.readouterr().out
    for number, show in enumerate(demo.DEMONSTRATIONS, 1):
        assert f"{number}/5  {show.title.capitalize()}" in text
    assert text.count("put in  ") == text.count("found   ") == len(demo.DEMONSTRATIONS)
    page = (tmp_path / "build" / demo.REPORT).read_text(encoding="utf-8")
    assert "three-taps.leaf2.pcap" in page
    assert str(tmp_path / "build" / demo.REPORT) in text.replace("\n", "")


def test_no_capture_fills_more_than_two_screens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(demo, "_report_path", lambda: tmp_path / "page.html")
    demo.run()
    parts = capsys.readouterr().out.split("-" * 80)
    assert len(parts) == 2 + len(demo.DEMONSTRATIONS)
    assert max(len(part.splitlines()) for part in parts) <= 2 * 24


def test_a_wheel_without_captures_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "CAPTURES", tmp_path / "pcaps")
    with pytest.raises(ConfigError, match=r"captures are not at .*make run"):
        demo.run()


def test_a_missing_capture_is_named(tmp_path: Path) -> None:
    show = demo.DEMONSTRATIONS[0]
    shutil.copy(demo.CAPTURES / f"{show.recipe}.truth.json", tmp_path)
    with pytest.raises(ConfigError, match=r"loss-before-tap\.pcap is missing"):
        demo._files(tmp_path, show)


def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("sys.argv", [".venv/bin/fabricscope", "demo"])
    assert demo._program() == ".venv/bin/fabricscope"
    monkeypatch.setattr("sys.argv", ["/somewhere/__main__.py", "demo"])
    assert demo._program() == "fabricscope"
