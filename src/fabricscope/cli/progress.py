"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Final

_BAR_EVERY_S: Final = 0.1
_LINE_EVERY_S: Final = 10.0
_PATIENCE_S: Final = 0.5
_WIDTH: Final = 28


class Progress:
    """Work done of work in all, with rate and time left, on standard error.

    Work that ends within half a second, or ten without a terminal, shows nothing.
    """

    def __init__(self, *, enabled: bool, unit: str = "MB") -> None:
        """Start the clock; `unit` is MB for counts of bytes, else what is counted."""
        self._enabled = enabled
        self._unit = unit
        self._terminal = sys.stderr.isatty()
        self._started_s = time.monotonic()
        patience_s = _PATIENCE_S if self._terminal else _LINE_EVERY_S
        self._last_s = self._started_s + patience_s - self._every_s
        self._shown = False

    def __enter__(self) -> "Progress":
        """Use as a context, so that the bar is taken away at the end."""
        return self

    def __exit__(self, *details: object) -> None:
        """Take the bar away."""
        if self._shown and self._terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    @property
    def _every_s(self) -> float:
        return _BAR_EVERY_S if self._terminal else _LINE_EVERY_S

    def update(self, done: int, total: int | None) -> None:
        """Show how far the work is, at most ten times a second."""
        if not self._enabled:
            return
        now_s = time.monotonic()
        if now_s - self._last_s < self._every_s:
            return
        self._last_s = now_s
        self._shown = True
        describe = _describe_bar if self._terminal else _describe_line
        text = describe(done, total, now_s - self._started_s, self._unit)
        sys.stderr.write(f"\r\x1b[K{text}" if self._terminal else f"fabricscope: {text}\n")
        sys.stderr.flush()


def _describe_bar(done: int, total: int | None, elapsed_s: float, unit: str) -> str:
    """Return one line with a bar, or with the amount where the end is not known."""
    if not total:
        return _describe_line(done, total, elapsed_s, unit)
    filled = round(min(done / total, 1.0) * _WIDTH)
    bar = "#" * filled + "-" * (_WIDTH - filled)
    share, speed, left = _estimate(done, total, elapsed_s, unit)
    return f"[{bar}] {share:>4}  {speed}  {left} left"


def _describe_line(done: int, total: int | None, elapsed_s: float, unit: str) -> str:
    """Return one plain line, for a log."""
    share, speed, left = _estimate(done, total or 0, elapsed_s, unit)
    if not total:
        return f"{done / _scale(unit):,.0f} {unit} done, {speed}"
    return f"{share} of {total / _scale(unit):,.0f} {unit} done, {speed}, {left} left"


def _estimate(done: int, total: int, elapsed_s: float, unit: str) -> tuple[str, str, str]:
    """Return the share done, the rate and the time left as text."""
    rate = done / max(elapsed_s, 1e-9)
    share = min(done / total, 1.0) if total else 0.0
    left_s = max(total - done, 0) / rate if rate > 0 else 0.0
    return f"{share:.0%}", f"{rate / _scale(unit):,.0f} {unit}/s", f"{left_s:,.0f} s"


def _scale(unit: str) -> float:
    return 1e6 if unit == "MB" else 1.0
