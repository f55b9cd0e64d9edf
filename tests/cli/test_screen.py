"""Writing to consoles of any width and encoding."""

import io

import pytest
from examples.analysis import HOSTILE, ring_document
from rich.cells import cell_len
from rich.console import Console

from fabricscope.cli.screen import Screen
from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.quantities import UNKNOWN
from fabricscope.dashboard.summary import rank_queue_pairs
from fabricscope.dashboard.tables import PAUSE, QUEUE_PAIRS


def _console(width: int, encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    return Console(file=file, width=width), raw


def _table(width: int, encoding: str = "utf-8") -> list[str]:
    console, raw = _console(width, encoding)
    pairs = rank_queue_pairs(ring_document())
    table = build_table("queue pairs", "Queue pairs", QUEUE_PAIRS, pairs, 5)
    Screen(console).table(table, unsure=True)
    return raw.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_tables_fit_the_width(width: int) -> None:
    lines = _table(width)
    assert len(lines) == 7
    assert all(len(line.rstrip()) <= width for line in lines)
    assert lines[-1] == "27 more, use --json"


def test_columns_go_by_rank() -> None:
    heads = {width: _table(width)[0].split() for width in (60, 80, 100, 200)}
    assert heads[60][:3] == ["From", "To", "QP"]
    for narrow, wide in ((60, 80), (80, 100), (100, 200)):
        assert set(heads[narrow]) < set(heads[wide])
    assert {"State", "Retx†", "NAK"} <= set(heads[80])


def test_long_addresses_give_way_before_columns_do() -> None:
    console, raw = _console(100)
    pairs = ring_document()["queue_pairs"][:2]
    for pair in pairs:
        pair.update(src="fd00:77:1234:5678:9abc:def0:1234:5678", dst="fd00:77::1")
    Screen(console).table(build_table("q", "Q", QUEUE_PAIRS, pairs, 5), unsure=False)
    head, first, *_ = raw.getvalue().decode().splitlines()
    assert {"State", "Payload", "Retx"} <= set(head.split())
    assert first.startswith("fd00:77:")
    assert "…" in first.split()[0]
    assert first.split()[0].endswith("5678")


def test_characters_of_two_cells_count_twice() -> None:
    console, raw = _console(80)
    pause = ring_document()["pause"][:1]
    pause[0]["tap"] = "東京" * 20
    Screen(console).table(build_table("p", "P", PAUSE, pause, 5), unsure=False)
    lines = raw.getvalue().decode().splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    assert lines[1].split()[0].startswith("東")
    assert lines[1].rstrip().endswith("0.510 %")
    assert "02:42:ac" in lines[1]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_takes_every_text(encoding: str) -> None:
    console, raw = _console(70, encoding)
    screen = Screen(console)
    screen.line((f"µ {UNKNOWN} † … ± 東京 {HOSTILE}", "bold"), indent=2, hang=2)
    screen.line((screen.sparkline([0, 1, 8], 3), ""))
    text = raw.getvalue().decode(encoding)
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
    assert all(len(line) <= 70 for line in text.splitlines())
    assert screen.unicode == (encoding == "utf-8")


def test_lines_hang_and_lose_nothing() -> None:
    console, raw = _console(30)
    words = [f"word{number}" for number in range(20)]
    Screen(console).line(("- ", ""), (" ".join(words), ""), indent=2, hang=2)
    lines = raw.getvalue().decode().splitlines()
    assert lines[0].startswith("  - word0 ")
    assert all(line.startswith("    word") for line in lines[1:])
    assert " ".join(lines).split()[1:] == words


def test_a_word_longer_than_the_console_is_broken_not_lost() -> None:
    console, raw = _console(20)
    Screen(console).line(("x" * 70, ""), indent=2)
    assert raw.getvalue().decode().count("x") == 70


def test_a_line_to_copy_is_not_broken() -> None:
    console, raw = _console(20)
    Screen(console).line(("f " * 40, ""), indent=3, wrap=False)
    assert len(raw.getvalue().decode().splitlines()) == 1


def test_the_sparkline_keeps_peaks() -> None:
    screen = Screen(_console(80)[0])
    values = [1.0] * 1000
    values[777] = 100.0
    line = screen.sparkline(values, 50)
    assert len(line) == 50
    assert line.index("█") == 777 * 50 // 1000
    assert screen.sparkline([0, 0], 10) == ""
    assert screen.sparkline([], 10) == ""
    assert screen.sparkline([0, 8], 10) == " █"
