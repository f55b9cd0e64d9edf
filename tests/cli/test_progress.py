import io
import sys

import pytest

from fabricscope.cli import progress
from fabricscope.cli.progress import Progress


class Screen(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class Clock:
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def _follow(
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    *,
    terminal: bool,
    total: int | None,
    enabled: bool = True,
    unit: str = "MB",
) -> str:
    """Return what is shown of 1 GB of work that takes 20 s, told twenty times a second."""
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress(enabled=enabled, unit=unit) as bar:
        for step in range(401):
            clock.now_s = 1000.0 + step / 20
            bar.update(step * 2_500_000, total)
    return screen.getvalue()


def test_a_terminal_gets_a_bar_at_most_ten_times_a_second(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    shown = _follow(monkeypatch, clock, terminal=True, total=10**9)
    frames = shown.split("\r\x1b[K")
    assert frames[0] == frames[-1] == ""
    assert 100 < len(frames) < 203
    assert "[##############--------------]  50%  50 MB/s  10 s left" in frames
    assert "\n" not in shown


def test_elsewhere_there_is_a_line_every_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    assert _follow(monkeypatch, clock, terminal=False, total=10**9).splitlines() == [
        "fabricscope: 50% of 1,000 MB done, 50 MB/s, 10 s left",
        "fabricscope: 100% of 1,000 MB done, 50 MB/s, 0 s left",
    ]


@pytest.mark.parametrize("terminal", [False, True])
def test_an_unknown_end_shows_the_amount(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, terminal: bool
) -> None:
    shown = _follow(monkeypatch, clock, terminal=terminal, total=None)
    assert "980 MB done, 50 MB/s" in shown or "500 MB done, 50 MB/s" in shown
    assert "left" not in shown


def test_counts_have_their_own_unit(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    shown = _follow(monkeypatch, clock, terminal=False, total=10**9, unit="packets")
    assert "50% of 1,000,000,000 packets done, 50,000,000 packets/s" in shown


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet_shows_nothing(monkeypatch: pytest.MonkeyPatch, clock: Clock, terminal: bool) -> None:
    assert _follow(monkeypatch, clock, terminal=terminal, total=10**9, enabled=False) == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_short_work_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, terminal: bool
) -> None:
    screen = Screen(terminal=terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress(enabled=True) as bar:
        bar.update(0, 100)
        clock.now_s += 0.4
        bar.update(100, 100)
    assert screen.getvalue() == ""
