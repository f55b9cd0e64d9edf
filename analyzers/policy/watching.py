"""Rules over live data: each second's rows in, changes of alerts out.

Pure but for the states of a run: no files, no sockets, no clock; time is that of the rows, so that
a capture played at any speed raises the same alerts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from fabricscope.analyzers.policy.absence import Absence
from fabricscope.analyzers.policy.folding import Window, fold_rows, subject_of
from fabricscope.analyzers.policy.history import IterationHistory
from fabricscope.analyzers.policy.matching import Policy, limits_of, selection_of
from fabricscope.analyzers.policy.metrics import LIVE_TABLES, metrics_of
from fabricscope.analyzers.policy.patterns import like
from fabricscope.analyzers.policy.rules import Rule, RuleSet
from fabricscope.analyzers.policy.states import (
    AlertState,
    Change,
    Quiet,
    RuleStates,
    shown,
)
from fabricscope.analyzers.policy.timing import DEFAULT_GROUPS, PLACEHOLDER, Timing
from fabricscope.series import is_folded

__all__ = ["RuleWatch"]

SECOND_NS: Final = 10**9
_HIDDEN_FROM: Final = {
    "rdma_samples": 1,
    "iterations": 1,
    "job_samples": 1,
    "application_samples": 2,
    "flows": 2,
}
"""Level of overload from which on a table has no rows, so that their absence says nothing."""


@dataclass
class _Plan:
    """What a rule needs each second, worked out once."""

    rule: Rule
    timing: Timing
    selection: pl.Expr
    limits: pl.Expr
    fine: pl.Expr | None
    shown: dict[str, pl.Expr]
    columns: list[str]
    window: Window | None
    every_ns: int
    states: RuleStates
    judged_ns: int = 0


class RuleWatch:
    """Every rule over live data, with the states of its alerts."""

    def __init__(self, rules: RuleSet, quiet: Quiet | None = None) -> None:
        """Prepare; quiet: rule, subject and time to the end of a silence, besides maintenance."""
        self.rules = rules
        self._also_quiet = quiet
        self._history = IterationHistory()
        self._plans = [
            self._plan(rule) for rule in rules.rules if rule.timing and not rule.timing.absent_ns
        ]
        self._absences = [
            Absence(rule, rule.timing, self._quiet)
            for rule in rules.rules
            if rule.timing and rule.timing.absent_ns
        ]
        flows = tuple(rule for rule in rules.rules if rule.table == "flows")
        self._flow_rules = replace(rules, rules=flows)
        self._flow_states = {
            rule.name: RuleStates(rule, self._quiet) for rule in flows if rule.alert
        }
        self._restored: list[Change] = []
        self._began = False

    @property
    def states(self) -> list[RuleStates]:
        """Return the states of every rule."""
        plans = [plan.states for plan in self._plans]
        absences = [absence.states for absence in self._absences]
        return [*plans, *absences, *self._flow_states.values()]

    @property
    def suppressed(self) -> int:
        """Return how many alerts were not raised because a rule had too many."""
        return sum(states.suppressed for states in self.states)

    def firing(self) -> list[Change]:
        """Return what fires now, as if it were said again."""
        return [
            states.change(subject, state, "silenced" if state.quiet_until_ns else "firing",
                           state.heard_ns, until_ns=state.quiet_until_ns or None)
            for states in self.states
            for subject, state in states.subjects.items()
            if state.fired
        ]  # fmt: skip

    def restore(
        self,
        known: Iterable[Mapping[str, Any]],
        now_ns: int,
        unsure_ns: tuple[int, int] = (0, 0),
    ) -> None:
        """Take over the last rows of the table `alerts` of an earlier run, one an alert.

        What fires is not said again. But what changed from one time of `unsure_ns` to before the
        other may never have arrived: it is said once more, as a reminder, also that it is over.
        What no rule knows any more is over. `told` of a row: it was said that the alert fires.
        """
        by_name = {states.rule.name: states for states in self.states}
        for row in known:
            states = by_name.get(row["rule"])
            if states is not None and states.rule.table != row["table"]:
                states = None
            again = unsure_ns[0] <= row["time_ns"] < unsure_ns[1]
            state = _state_of(row, now_ns)
            if row["state"] == "resolved":
                if states is not None and again and state.told_ns:
                    self._restored.append(
                        states.change(row["subject"], state, "resolved", row["time_ns"], again=True)
                    )
            elif states is None:
                rule = Rule(row["rule"], row["table"], severity=row["severity"])
                gone = RuleStates(rule, self._quiet)
                gone.subjects[row["subject"]] = state
                self._restored.append(gone.resolve(row["subject"], now_ns, "its rule is gone"))
            else:
                self._take_over(states, row["subject"], state, now_ns, again=again)

    def _take_over(
        self, states: RuleStates, subject: str, state: AlertState, now_ns: int, *, again: bool
    ) -> None:
        known = states.subjects.get(subject)
        if known is not None and known.fired:
            return  # it was said by this run before the store could be read
        states.subjects[subject] = state
        quiet = state.quiet_until_ns or self._quiet(states.rule.name, subject, now_ns)
        if again and not quiet and not state.acknowledged:
            state.told_ns = now_ns
            self._restored.append(states.change(subject, state, "firing", now_ns, again=True))

    def acknowledge(self, rule: str, subject: str, since_ns: int) -> None:
        """Take note that somebody looks after an alert: there are no more reminders of it."""
        for states in self.states:
            state = states.subjects.get(subject)
            if states.rule.name == rule and state is not None and state.since_ns == since_ns:
                state.acknowledged = True

    def update(
        self, start_ns: int, end_ns: int, tables: Mapping[str, pl.DataFrame]
    ) -> list[Change]:
        """Take in what a second brought, by table; return what changed, in order."""
        changes, self._restored = self._restored, []
        if not self._began:
            self._began = True
            for absence in self._absences:
                absence.begin(start_ns)
            for states in self.states:
                states.postpone(start_ns)
        hidden = self._hidden(tables)
        # Silence may have lasted long between the second before and this one.
        changes += self._pass_time(start_ns, hidden)
        iterations = tables.get("iterations")
        if iterations is not None and not iterations.is_empty():
            tables = {**tables, "iterations": self._history.extend(iterations)}
        for plan in self._plans:
            changes += _judge(plan, tables.get(plan.rule.table), start_ns, end_ns)
        for absence in self._absences:
            changes += absence.update(tables.get(absence.rule.table), start_ns, end_ns)
        changes += self._judge_flows(tables.get("flows"), start_ns, end_ns)
        changes += self._pass_time(end_ns, hidden)
        for states in self.states:
            changes += states.remind(end_ns)
        return changes

    def finish(self, now_ns: int) -> list[Change]:
        """End every alert, because nothing will follow."""
        return [
            states.resolve(subject, now_ns, "the capture ended")
            for states in self.states
            for subject, state in list(states.subjects.items())
            if state.fired
        ]

    def _quiet(self, rule: str, subject: str, time_ns: int) -> int | None:
        ends = [w.quiet_until_ns(rule, subject, time_ns) for w in self.rules.maintenance]
        if self._also_quiet is not None:
            ends.append(self._also_quiet(rule, subject, time_ns))
        return max((end for end in ends if end is not None), default=None)

    def _plan(self, rule: Rule) -> _Plan:
        timing = rule.timing or Timing()
        metrics = metrics_of(rule.table)
        selection = selection_of(rule)
        limits = limits_of(rule.table, rule.metrics)
        fine = limits_of(rule.table, timing.clear) if timing.clear else None
        if rule.subject:
            limits = limits & like("subject", rule.subject)
        texts = [*rule.texts, *PLACEHOLDER.findall(rule.description), *timing.group_by]
        names = dict.fromkeys([*rule.metrics, *timing.clear, *texts])
        shown_values = {name: metrics.get(name, pl.col(name)) for name in names}
        expressions = [selection, limits, *shown_values.values(), *([] if fine is None else [fine])]
        columns = {root for expression in expressions for root in expression.meta.root_names()}
        return _Plan(
            rule,
            timing,
            selection,
            limits,
            fine,
            shown_values,
            ["time_ns", *sorted(columns - {"time_ns", "subject", "rows", "folded_s"})],
            Window(timing.over_ns) if timing.over_ns else None,
            # Long windows change slowly, and cost as much as they have rows.
            timing.over_ns // 10,
            RuleStates(rule, self._quiet),
        )

    def _hidden(self, tables: Mapping[str, pl.DataFrame]) -> set[str]:
        taps = tables.get("tap_samples")
        levels = [0] if taps is None else taps["level"].fill_null(0).to_list()
        return {table for table, least in _HIDDEN_FROM.items() if max(levels, default=0) >= least}

    def _pass_time(self, now_ns: int, hidden: set[str]) -> list[Change]:
        changes = []
        for states in self.states:
            if states.rule.table in hidden:
                states.postpone(now_ns)
        for absence in self._absences:
            changes += absence.pass_time(now_ns, hidden=absence.rule.table in hidden)
        kept = {id(absence.states) for absence in self._absences}
        for states in self.states:
            if id(states) not in kept:
                changes += states.silent(now_ns)
        return changes

    def _judge_flows(self, frame: pl.DataFrame | None, start_ns: int, end_ns: int) -> list[Change]:
        """Match flows that ended; their alerts are over when no more are heard of."""
        changes: list[Change] = []
        if frame is None or not self._flow_states:
            return changes
        for alert in Policy(self._flow_rules).apply({"flows": frame}).alerts:
            values = dict(alert.values)
            what = ", ".join(f"{name} {shown(value)}" for name, value in values.items())
            text = f"{alert.subject}: {alert.description or alert.rule} ({what})."
            states = self._flow_states.get(alert.rule)
            if states is not None:
                changes += states.matched(alert.subject, values, start_ns, end_ns, text)
        return changes


def _state_of(row: Mapping[str, Any], now_ns: int) -> AlertState:
    """Return the state that a row of the table `alerts` tells of."""
    silenced = row["state"] == "silenced"
    told_ns = row["time_ns"] if row.get("told", not silenced) else 0
    state = AlertState(row["since_ns"] or row["time_ns"], now_ns, True, told_ns=told_ns)
    state.quiet_until_ns = row["until_ns"] or 0 if silenced else 0
    state.acknowledged = row["state"] == "acknowledged"
    state.text = row["text"]
    state.values = {} if row["value"] is None else {"value": row["value"]}
    return state


def _judge(plan: _Plan, frame: pl.DataFrame | None, start_ns: int, end_ns: int) -> list[Change]:
    """Return the changes that a second's rows make under one rule."""
    table, timing = plan.rule.table, plan.timing
    group_by = timing.group_by
    window_s = max(timing.over_ns or end_ns - start_ns, SECOND_NS) / SECOND_NS
    rows = None if frame is None or frame.is_empty() else frame.select(plan.columns)
    if plan.window is not None:
        rows = plan.window.add(end_ns, rows)
        if end_ns - plan.judged_ns < plan.every_ns:
            return []
        plan.judged_ns = end_ns
    if rows is None:
        return []
    selected = rows.filter(plan.selection)
    # Samples of a second have one row a subject already.
    if plan.window is None and group_by == DEFAULT_GROUPS[table] and table in _ONE_ROW:
        folded = selected.with_columns(
            subject_of(table, group_by).alias("subject"),
            pl.lit(1).alias("rows"),
            pl.lit(window_s).alias("folded_s"),
        )
    else:
        folded = fold_rows(selected, table, group_by, window_s)
    matching = folded.filter(plan.limits)
    changes: list[Change] = []
    matched: set[str] = set()
    if not matching.is_empty():
        values = matching.select(
            pl.col("subject").alias("the subject"),
            *(expression.alias(name) for name, expression in plan.shown.items()),
        )
        for row in values.iter_rows(named=True):
            subject = row.pop("the subject")
            if subject and subject not in matched:
                matched.add(subject)
                changes += plan.states.matched(subject, row, start_ns, end_ns)
    tracked = [subject for subject in plan.states.subjects if subject not in matched]
    if tracked:
        changes += _unmatched(plan, tracked, folded, rows, start_ns, end_ns)
    return changes


_ONE_ROW: Final = tuple(name for name in LIVE_TABLES if is_folded(name))


def _unmatched(
    plan: _Plan,
    tracked: list[str],
    folded: pl.DataFrame,
    rows: pl.DataFrame,
    start_ns: int,
    end_ns: int,
) -> list[Change]:
    """Return what rows change that are about known subjects and do not match."""
    about = folded.filter(pl.col("subject").is_in(tracked))
    fine = pl.lit(True) if plan.fine is None else plan.fine
    judged = about.select("subject", fine.alias("fine"))
    said = dict(judged.iter_rows()) if not judged.is_empty() else {}
    others = subject_of(plan.rule.table, plan.timing.group_by)
    for subject in rows.select(others).to_series().unique().to_list():
        said.setdefault(subject, True)  # its rows are no longer of the kind that the rule is about
    changes = []
    for subject in tracked:
        if subject in said:
            changes += plan.states.unmatched(subject, bool(said[subject]), start_ns, end_ns)
    return changes
