"""Alerts of `live` and `replay`: the rules that were asked for, and how their alerts are shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from fabricscope.analyzers.findings.finding import SEVERITIES
from fabricscope.analyzers.policy.rules import RuleSet
from fabricscope.analyzers.policy.states import Change, duration_text
from fabricscope.cli.screen import SEVERITY_STYLES, Screen
from fabricscope.config import LiveSettings
from fabricscope.pipeline.live.alerts import AlertWatch
from fabricscope.pipeline.rules import load_rules
from fabricscope.recorder import Recorder

__all__ = ["AlertBoard", "open_alerts"]

_SHOWN: Final = 6


def open_alerts(
    settings: LiveSettings,
    collector: str,
    recorder: Recorder | None,
    clock: Callable[[], int],
) -> AlertWatch:
    """Return the alerts of a run, not started yet. Raises ConfigError for a wrong rule file."""
    rules = load_rules(Path(settings.rules)) if settings.rules else RuleSet(())
    return AlertWatch(
        rules, collector, recorder, clock=clock, built_in=not settings.no_default_rules
    )


class AlertBoard:
    """Draws what fires, and says what changed where there is no screen to draw on."""

    def __init__(self, screen: Screen, alerts: AlertWatch) -> None:
        """Show the alerts of one run."""
        self._screen = screen
        self._alerts = alerts

    def draw(self) -> list[Any]:
        """Return what fires, worst and newest first, and what the destinations did not take."""
        firing = sorted(
            self._alerts.firing(),
            key=lambda one: (
                one.state == "silenced", SEVERITIES.index(one.severity), -one.since_ns
            ),
        )  # fmt: skip
        parts: list[Any] = []
        if firing:
            table = Table(
                box=None, padding=(0, 2, 0, 0), title=self._title(firing), title_justify="left"
            )
            for title in ("", "for", "rule", "what"):
                table.add_column(title, no_wrap=title != "what")
            for one in firing[:_SHOWN]:
                quiet = one.state == "silenced"
                table.add_row(
                    Text(
                        "silenced" if quiet else one.severity,
                        "dim" if quiet else SEVERITY_STYLES[one.severity],
                    ),
                    duration_text(one.time_ns - one.since_ns),
                    self._screen.text(one.rule),
                    self._what(one),
                )
            parts.append(table)
        summary = self.summary()
        return [*parts, self._screen.text(summary, "dim")] if summary else parts

    def _title(self, firing: list[Change]) -> str:
        more = len(firing) - _SHOWN
        return f"Alerts, {more} more not shown" if more > 0 else "Alerts"

    def _what(self, one: Change) -> Text:
        text = self._screen.text(one.text)
        return text.append_text(self._screen.text(f" {one.action}", "dim")) if one.action else text

    def summary(self) -> str:
        """Return what was sent, and what was not; empty when there is nothing to say."""
        parts = []
        for name, count in self._alerts.counts.items():
            states = (
                (count.delivered, "sent"), (count.waiting, "waiting"), (count.dropped, "dropped")
            )  # fmt: skip
            said = ", ".join(f"{number:,} {what}" for number, what in states if number)
            reason = f" ({count.problem})" if count.problem else ""
            if said:
                parts.append(f"{name}: {said}{reason}")
        if self._alerts.suppressed:
            parts.append(f"{self._alerts.suppressed:,} not raised: a rule had too many")
        if self._alerts.problem:
            parts.append(f"silences cannot be read: {self._alerts.problem}")
        return "; ".join(parts)

    def say(self, changes: list[Change]) -> None:
        """Print a line for each change."""
        for change in changes:
            style = SEVERITY_STYLES[change.severity] if change.state == "firing" else ""
            action = f" {change.action}" if change.state == "firing" and change.action else ""
            self._screen.line(
                (f"{change.severity} {change.state}", style),
                (f"  {change.rule}: {change.text}", ""),
                (action, "dim"),
            )
