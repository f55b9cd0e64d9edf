"""Alerts of a running collector: rules judge each second, changes go to the store and further.

Judging takes place where the samples come, in their own time. What may wait - reading what people
said from the store, sending - is done by threads of its own.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from fabricscope.analyzers.policy.builtin import with_built_in
from fabricscope.analyzers.policy.rules import RuleSet
from fabricscope.analyzers.policy.states import Change
from fabricscope.analyzers.policy.watching import RuleWatch
from fabricscope.errors import StoreError
from fabricscope.pipeline.alerts import (
    REACH_NS,
    Silence,
    acknowledged_in,
    last_of_collectors,
    people_said,
    silences_in,
)
from fabricscope.pipeline.live.outbox import GIVE_UP_S, Counts, Outbox
from fabricscope.pipeline.live.session import Second
from fabricscope.recorder import Recorder
from fabricscope.schemas import schema_of
from fabricscope.store import DeltaStore, Store

__all__ = ["AlertWatch"]

LOOK_S: Final = 5.0
"""How often the store is asked what people acknowledged and silenced."""

DAY_NS: Final = 86_400 * 10**9
_LOG = logging.getLogger(__name__)


@dataclass
class AlertWatch:
    """Listens to seconds; `start` before the first one, `stop` after the last.

    rules: of a file, the built-in ones are added unless `built_in` says no. recorder: keeps the
    changes, None without a store. clock: ns since the epoch, of the data. listeners: told of
    changes, such as a screen.
    """

    rules: RuleSet
    collector: str
    recorder: Recorder | None = None
    clock: Callable[[], int] = time.time_ns
    built_in: bool = True
    look_s: float = LOOK_S
    listeners: list[Callable[[list[Change]], None]] = field(default_factory=list)
    changes: int = 0
    problem: str = ""

    def __post_init__(self) -> None:
        """Prepare the rules; nothing is read or sent yet."""
        rules = with_built_in(self.rules) if self.built_in else self.rules
        self._silences: tuple[Silence, ...] = ()
        self._acknowledged: list[tuple[str, str, int]] = []
        self._before: list[dict[str, Any]] | None = None
        self._unsure_ns = (0, 0)
        self._watch = RuleWatch(rules, self._quiet_until)
        self._end_ns = 0
        self._firing: tuple[Change, ...] = ()
        recorder = self.recorder
        self._outbox = Outbox(
            rules.destinations,
            self.collector,
            before=None if recorder is None else recorder.flush,
            firing=lambda: self._firing,
        )
        self._stopped = threading.Event()
        self._reader: threading.Thread | None = None

    @property
    def counts(self) -> dict[str, Counts]:
        """Return what became of the changes by destination."""
        return self._outbox.counts

    @property
    def suppressed(self) -> int:
        """Return how many alerts were not raised because a rule had too many at once."""
        return self._watch.suppressed

    def firing(self) -> tuple[Change, ...]:
        """Return what fires after the last second; state: firing or silenced."""
        return self._firing

    def start(self) -> None:
        """Take over what fired when the run before ended, and begin to send."""
        if self.recorder is not None:
            store, now_ns = self.recorder.store, self.clock()
            restored = self._read(store, now_ns, now_ns)
            self._restore(now_ns)
            self._reader = threading.Thread(
                target=self._keep_reading,
                args=(store, None if restored else now_ns),
                name="alerts-read",
                daemon=True,
            )
            self._reader.start()
        self._outbox.start()

    def _restore(self, now_ns: int) -> None:
        """Take over what the store said of the run before, if it has been read meanwhile."""
        before, self._before = self._before, None
        if before is not None:
            self._watch.restore(before, now_ns, self._unsure_ns)

    def listen(self, second: Second) -> None:
        """Judge a second."""
        self._restore(second.start_ns)
        acknowledged, self._acknowledged = self._acknowledged, []
        for rule, subject, since_ns in acknowledged:
            self._watch.acknowledge(rule, subject, since_ns)
        self._end_ns = second.end_ns
        self._tell(self._watch.update(second.start_ns, second.end_ns, second.tables))

    def stop(self, *, ended: bool = False) -> None:
        """Stop to send. ended: nothing will follow, so that all alerts are over."""
        if ended:
            # After whatever began at the end of the last second.
            self._tell(self._watch.finish(self._end_ns + 1))
        self._stopped.set()
        self._outbox.stop()
        if self._reader is not None:
            self._reader.join()

    def _tell(self, changes: list[Change]) -> None:
        self._firing = tuple(self._watch.firing())
        if not changes:
            return
        self.changes += len(changes)
        if self.recorder is not None:
            kept = [change for change in changes if not change.again]
            self.recorder.append("alerts", _frame(kept, self.collector))
        self._outbox.put(changes)
        for listener in self.listeners:
            listener(changes)

    def _quiet_until(self, rule: str, subject: str, time_ns: int) -> int | None:
        ends = [s.until_ns for s in self._silences if s.covers(rule, subject, time_ns)]
        return max(ends, default=None)

    def _keep_reading(self, store: Store, began_ns: int | None) -> None:
        """Look again and again; began_ns: of this run, None once the run before is known."""
        while not self._stopped.wait(self.look_s):
            if self._read(store, self.clock(), began_ns):
                began_ns = None

    def _read(self, store: Store, now_ns: int, began_ns: int | None) -> bool:
        """Take note of what people said, and before `began_ns` the collector; whether it worked."""
        try:
            # People's clocks may be ahead of a replayed capture's.
            people = people_said(store, now_ns - REACH_NS, now_ns + DAY_NS)
            self._silences = tuple(silences_in(people, now_ns))
            own = acknowledged_in(people).filter(pl.col("collector") == self.collector)
            self._acknowledged = list(own.select("rule", "subject", "since_ns").iter_rows())
            if began_ns is not None:
                self._read_before(store, began_ns)
        except Exception as error:  # whatever it is, what people say later must be heard
            expected = isinstance(error, StoreError)
            problem = str(error) if expected else f"{type(error).__name__}: {error}"
            if problem != self.problem:
                _LOG.warning("alerts: %s", problem, exc_info=None if expected else error)
            self.problem = problem
            return False
        self.problem = ""
        return True

    def _read_before(self, store: Store, began_ns: int) -> None:
        """Read what the run before said last of each alert, and when it ended."""
        last = last_of_collectors(store, began_ns - REACH_NS, began_ns + DAY_NS)
        last = last.filter(pl.col("collector") == self.collector)
        ended_ns = began_ns
        if not last.is_empty() and isinstance(store, DeltaStore):
            heard_ns = store.last("tap_samples", pl.col("collector") == self.collector)
            ended_ns = min(heard_ns or began_ns, began_ns)
        # What was tried for no longer than that may not have arrived.
        self._unsure_ns = (ended_ns - int(GIVE_UP_S * 1e9), began_ns)
        known = set(self._acknowledged)
        self._before = [
            row | {"state": "acknowledged"}
            if row["state"] == "firing" and (row["rule"], row["subject"], row["since_ns"]) in known
            else row
            for row in last.iter_rows(named=True)
        ]


def _frame(changes: list[Change], collector: str) -> pl.DataFrame:
    """Return changes as rows of `alerts`."""
    rows = [
        {
            "time_ns": change.time_ns,
            "collector": collector,
            "rule": change.rule,
            "subject": change.subject,
            "severity": change.severity,
            "state": change.state,
            "text": change.text,
            "action": change.action,
            "value": change.value,
            "table": change.table,
            "since_ns": change.since_ns,
            "until_ns": change.until_ns,
            "by": "",
        }
        for change in changes
    ]
    return pl.DataFrame(rows, schema=schema_of("alerts"))
