"""The life of an alert: conditions hold, it fires, it is over; and what is said of each change.

Pure but for the states of a run: no files, no sockets, no clock; time is that of the rows.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fabricscope.analyzers.policy.matching import MAX_TEXT
from fabricscope.analyzers.policy.rules import Rule
from fabricscope.analyzers.policy.timing import DEFAULT_EXPIRE_NS, PLACEHOLDER, Timing

__all__ = ["AlertState", "Change", "RuleStates"]

MAX_SENTENCE: Final = 500
Quiet = Callable[[str, str, int], int | None]
"""Rule, subject and time to the end of the silence that covers them, None for none."""


@dataclass(frozen=True)
class Change:
    """One change of an alert.

    state: firing, resolved or silenced (it fires, but is not sent); again: a reminder of what was
    said before; send: whether destinations hear of it; value: what the first condition looked at.
    """

    rule: str
    severity: str
    table: str
    subject: str
    state: str
    text: str
    action: str
    time_ns: int
    since_ns: int
    value: float | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    destinations: tuple[str, ...] = ()
    until_ns: int | None = None
    send: bool = True
    again: bool = False


@dataclass
class AlertState:
    """What is known of a subject, times in ns.

    heard: end of the last second with a row about it; fine: since when its rows say that it is
    over, 0 while they do not; told: when destinations last heard that it fires, 0 for never;
    quiet_until: end of the silence it is under, 0 for none.
    """

    since_ns: int
    heard_ns: int
    fired: bool = False
    fine_ns: int = 0
    told_ns: int = 0
    quiet_until_ns: int = 0
    acknowledged: bool = False
    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)


class RuleStates:
    """The subjects of one rule that are pending or firing."""

    def __init__(self, rule: Rule, quiet: Quiet) -> None:
        """Begin with none; `quiet` says what must not be sent."""
        self.rule = rule
        self.timing = rule.timing or Timing(expire_ns=DEFAULT_EXPIRE_NS)
        self.subjects: dict[str, AlertState] = {}
        self.suppressed = 0
        self._quiet = quiet

    def matched(self, subject: str, values: dict[str, Any], start_ns: int, end_ns: int,
                text: str = "") -> list[Change]:  # fmt: skip
        """Take note that the conditions held about a subject from start_ns to end_ns."""
        state = self.subjects.get(subject)
        if state is None:
            if len(self.subjects) >= self.rule.max_alerts:
                self.suppressed += 1
                return []
            state = self.subjects[subject] = AlertState(start_ns, end_ns)
        state.heard_ns, state.fine_ns = end_ns, 0
        state.values = values
        state.text = text or sentence(self.rule, subject, values)
        if state.fired or end_ns - state.since_ns < self.timing.hold_ns:
            return []
        state.fired = True
        return [self._fire(subject, state, end_ns)]

    def unmatched(self, subject: str, fine: bool, start_ns: int, end_ns: int) -> list[Change]:
        """Take note of rows about a subject that do not match; fine: they say that it is over."""
        state = self.subjects[subject]
        state.heard_ns = end_ns
        if not state.fired:
            del self.subjects[subject]
            return []
        if not fine:
            state.fine_ns = 0
            return []
        state.fine_ns = state.fine_ns or start_ns
        if end_ns - state.fine_ns < self.timing.clear_for_ns:
            return []
        return [self.resolve(subject, end_ns)]

    def silent(self, now_ns: int) -> list[Change]:
        """Give up subjects of which nothing was heard for long."""
        late = [
            subject
            for subject, state in self.subjects.items()
            if now_ns - state.heard_ns > self.timing.expire_ns
        ]
        seconds = self.timing.expire_ns / 1e9
        fired = [subject for subject in late if self.subjects[subject].fired]
        for subject in late:
            if subject not in fired:
                del self.subjects[subject]
        reason = f"nothing more was heard of it for {seconds:g} s"
        return [self.resolve(subject, now_ns, reason) for subject in fired]

    def postpone(self, now_ns: int) -> None:
        """Take note that nothing could be heard: silence until now says nothing."""
        for state in self.subjects.values():
            state.heard_ns = max(state.heard_ns, now_ns)

    def resolve(self, subject: str, now_ns: int, reason: str = "") -> Change:
        """End an alert."""
        state = self.subjects.pop(subject)
        lasted = duration_text(now_ns - state.since_ns)
        text = f"{subject or self.rule.name}: over after {lasted}"
        return self.change(
            subject,
            state,
            "resolved",
            now_ns,
            text=f"{text}, {reason}." if reason else f"{text}.",
            send=state.told_ns > 0,
        )

    def remind(self, now_ns: int) -> list[Change]:
        """Say again what still fires, and what a silence began or ended to cover."""
        changes = []
        for subject, state in self.subjects.items():
            if not state.fired:
                continue
            until_ns = self._quiet(self.rule.name, subject, now_ns) or 0
            if bool(until_ns) != bool(state.quiet_until_ns):
                state.quiet_until_ns = until_ns
                if until_ns:
                    change = self.change(
                        subject, state, "silenced", now_ns, until_ns=until_ns, send=False
                    )
                    changes.append(change)
                else:
                    changes.append(self._fire(subject, state, now_ns))
                continue
            repeat_ns = self.timing.repeat_ns
            quiet = until_ns or state.acknowledged
            if repeat_ns and not quiet and now_ns - state.told_ns >= repeat_ns:
                state.told_ns = now_ns
                changes.append(self.change(subject, state, "firing", now_ns, again=True))
        return changes

    def _fire(self, subject: str, state: AlertState, now_ns: int) -> Change:
        until_ns = self._quiet(self.rule.name, subject, now_ns)
        state.quiet_until_ns = until_ns or 0
        if until_ns:
            return self.change(subject, state, "silenced", now_ns, until_ns=until_ns, send=False)
        # What was sent before a silence began is known out there: it is not news.
        known = state.told_ns > 0
        state.told_ns = state.told_ns or now_ns
        return self.change(subject, state, "firing", now_ns, send=not known)

    def change(self, subject: str, state: AlertState, kind: str, now_ns: int,
                text: str = "", **more: Any) -> Change:  # fmt: skip
        """Return a change of a subject as it is said; more: fields of `Change`."""
        rule = self.rule
        first = next((state.values.get(name) for name in rule.metrics), state.values.get("value"))
        return Change(
            rule.name,
            rule.severity,
            rule.table,
            subject,
            kind,
            (text or state.text)[:MAX_SENTENCE],
            rule.action,
            now_ns,
            state.since_ns,
            float(first) if isinstance(first, int | float) and math.isfinite(first) else None,
            dict(state.values),
            rule.alert,
            **more,
        )


def sentence(rule: Rule, subject: str, values: Mapping[str, Any]) -> str:
    """Return what is the matter, with the numbers, in one sentence."""
    named = {**values, "subject": subject}
    if PLACEHOLDER.search(rule.description):
        return PLACEHOLDER.sub(lambda found: shown(named.get(found[1]), found[1]), rule.description)
    numbers = [f"{name} {shown(values[name], name)}" for name in rule.metrics if name in values]
    texts = [f"{name} {shown(values[name])}" for name in rule.texts if name in values]
    what = ", ".join([*numbers, *texts])
    about = f"{rule.description} ({what})" if rule.description and what else rule.description
    return f"{subject}: {about or what}." if subject else f"{about or what}."


def shown(value: Any, name: str = "") -> str:
    """Return a value for a sentence; a share, as its name says, in percent."""
    if value is None:
        return "unknown"
    if isinstance(value, float) and name.endswith(("_share", "utilization", "burst")):
        return f"{100 * value:.3g} %"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)[:MAX_TEXT]


def duration_text(length_ns: int) -> str:
    """Return a length of time in its largest fitting unit."""
    seconds = length_ns / 1e9
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
