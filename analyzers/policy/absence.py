"""Rules that fire when rows stop to come, such as "no traffic on rail 3 for 5 s"."""

from typing import Final

import polars as pl

from fabricscope.analyzers.policy.folding import fold_rows
from fabricscope.analyzers.policy.matching import limits_of, selection_of
from fabricscope.analyzers.policy.patterns import like
from fabricscope.analyzers.policy.rules import Rule
from fabricscope.analyzers.policy.states import Change, Quiet, RuleStates, duration_text
from fabricscope.analyzers.policy.timing import DAY_NS, Timing

__all__ = ["Absence"]

SECOND_NS: Final = 10**9
MAX_ABSENT: Final = 10_000
"""Subjects of one rule that are waited for; more are not, and counted as suppressed."""


class Absence:
    """When rows of each subject last came.

    Without `group_by` all rows that match are one subject, which is waited for from the start;
    else each one from when it was first seen, and given up after a day.
    """

    def __init__(self, rule: Rule, timing: Timing, quiet: Quiet) -> None:
        """Wait for nothing yet; `quiet` says what must not be sent."""
        self.rule = rule
        self.states = RuleStates(rule, quiet)
        self._timing = timing
        self._condition = selection_of(rule)
        self._limits = limits_of(rule.table, rule.metrics)
        if rule.subject and timing.group_by:
            self._limits = self._limits & like("subject", rule.subject)
        self._whole = _words(rule)
        self._last_ns: dict[str, int] = {}

    def begin(self, start_ns: int) -> None:
        """Wait from now on, for what already fires from when it was missed."""
        for subject, state in self.states.subjects.items():
            self._last_ns[subject] = state.since_ns
        if not self._timing.group_by:
            self._last_ns.setdefault(self._whole, start_ns)

    def update(self, frame: pl.DataFrame | None, start_ns: int, end_ns: int) -> list[Change]:
        """Take note of rows; what was missed and is there again is over."""
        if frame is None or frame.is_empty():
            return []
        group_by = self._timing.group_by
        window_s = max((end_ns - start_ns) / SECOND_NS, 1.0)
        selected = frame.filter(self._condition)
        if selected.is_empty():
            return []
        rows = fold_rows(selected, self.rule.table, group_by, window_s).filter(self._limits)
        changes = []
        for named in rows["subject"].to_list():
            subject = named if group_by else self._whole
            if subject not in self._last_ns and len(self._last_ns) >= MAX_ABSENT:
                self.states.suppressed += 1
                continue
            self._last_ns[subject] = end_ns
            if subject in self.states.subjects:
                changes.append(self.states.resolve(subject, end_ns, "it is there again"))
        return changes

    def pass_time(self, now_ns: int, *, hidden: bool) -> list[Change]:
        """Return what has been missing for long enough; hidden: nothing could be seen."""
        if hidden:
            self._last_ns = {subject: max(t, now_ns) for subject, t in self._last_ns.items()}
            return []
        changes = []
        for subject, last_ns in list(self._last_ns.items()):
            missing_ns = now_ns - last_ns
            if self._timing.group_by and missing_ns > DAY_NS + self._timing.absent_ns:
                del self._last_ns[subject]
                if subject in self.states.subjects:
                    changes.append(self.states.resolve(subject, now_ns, "it is given up"))
            elif missing_ns >= self._timing.absent_ns and subject not in self.states.subjects:
                values = {"value": missing_ns / SECOND_NS}
                what = self.rule.description or f"there are no such rows in {self.rule.table}"
                text = f"{subject}: {what} for {duration_text(self._timing.absent_ns)}."
                # Fired when it was due: time may have been passed over where nothing came at all.
                due_ns = last_ns + self._timing.absent_ns
                changes += self.states.matched(subject, values, last_ns, due_ns, text)
        return changes


def _words(rule: Rule) -> str:
    """Return what all rows together are called."""
    patterns = [text for texts in rule.texts.values() for text in texts]
    networks = [str(network) for networks in rule.addresses.values() for network in networks]
    return ", ".join([*patterns, *rule.subject, *networks]) or rule.name
