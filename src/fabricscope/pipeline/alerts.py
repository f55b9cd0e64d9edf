"""The alerts that a store holds: what is the matter now, and what people said about it.

Collectors write a row for each change of an alert (`pipeline.live.alerts`); people acknowledge one,
or silence what matches a pattern for a time. Everything here reads and writes rows of the table
`alerts` alone, so that every program that can open the store sees the same.
"""

import time
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from fabricscope.analyzers.policy.patterns import is_like
from fabricscope.errors import ConfigError, TooManyRowsError
from fabricscope.recorder import ALERTS_NS
from fabricscope.store import Store, schema_of

__all__ = [
    "ACTIVE",
    "Silence",
    "acknowledge",
    "acknowledged_in",
    "alert_changes",
    "current_alerts",
    "end_silence",
    "last_of_collectors",
    "people_said",
    "read_silences",
    "silence",
    "silences_in",
]

ACTIVE: Final = ("firing", "acknowledged", "silenced")
REACH_NS: Final = ALERTS_NS
"""How far back changes are looked for."""

ANYBODY: Final = "*"
"""What a silence has for a collector."""

MAX_NOTE: Final = 500
_KEY: Final = ["collector", "rule", "subject"]


@dataclass(frozen=True)
class Silence:
    """Alerts that match `rule` and `subject` (patterns with `*` and `?`) stay quiet.

    start_ns, until_ns: since the epoch, the end not included; by, note: who said so, and why.
    """

    rule: str
    subject: str
    start_ns: int
    until_ns: int
    by: str
    note: str = ""

    def covers(self, rule: str, subject: str, time_ns: int) -> bool:
        """Return whether an alert is silenced at a time."""
        return (
            self.start_ns <= time_ns < self.until_ns
            and is_like(rule, [self.rule])
            and is_like(subject, [self.subject])
        )


def alert_changes(store: Store, start_ns: int, end_ns: int) -> pl.DataFrame:
    """Return rows of `alerts` with start_ns <= time_ns < end_ns in order of time, texts not null.

    Rows of people have `by`; a silence has patterns as `rule` and `subject`.
    """
    frame = store.query("alerts", start_ns, end_ns)
    return frame.with_columns(pl.col(pl.String).fill_null(""))


def people_said(store: Store, start_ns: int, end_ns: int) -> pl.DataFrame:
    """Return the rows of people with start_ns <= time_ns < end_ns: acknowledgements and silences.

    Collectors write far more rows, which stay where they are: two plain questions, since a
    database answers those by itself.
    """
    by_people = pl.col("by") != ""
    found = [
        store.query("alerts", start_ns, end_ns, where=kind & by_people)
        for kind in (pl.col("state") == "acknowledged", pl.col("collector") == ANYBODY)
    ]
    rows = pl.concat(found).sort("time_ns", maintain_order=True)
    return rows.with_columns(pl.col(pl.String).fill_null(""))


def last_of_collectors(store: Store, start_ns: int, end_ns: int) -> pl.DataFrame:
    """Return the last word of each collector about each alert, whatever the number of rows.

    `told`: whether it said before that the alert fires, since the same time.
    """
    try:
        own = pl.col("by").fill_null("") == ""
        rows = store.query("alerts", start_ns, end_ns, where=own)
    except TooManyRowsError:
        middle = (start_ns + end_ns) // 2
        if middle == start_ns:
            raise
        parts = [(start_ns, middle), (middle, end_ns)]
        words = pl.concat([last_of_collectors(store, *part) for part in parts])
    else:
        words = rows.with_columns(pl.col(pl.String).fill_null(""), told=pl.col("state") == "firing")
    told = pl.col("told").any().over([*_KEY, "since_ns"])
    return words.with_columns(told).unique(_KEY, keep="last", maintain_order=True)


def current_alerts(
    store: Store, now_ns: int | None = None, *, reach_ns: int = REACH_NS
) -> pl.DataFrame:
    """Return the alerts that fire, worst and newest first, a row each, as columns of `alerts`.

    `state` is firing, acknowledged or silenced; `by`, `text` of the collector; `until_ns`: end of
    the silence. `time_ns`: of the last change.
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    people = people_said(store, now_ns - reach_ns, now_ns + 1)
    silences = silences_in(people, now_ns)
    said = acknowledged_in(people).select(*_KEY, "since_ns", acknowledged="by")
    last = last_of_collectors(store, now_ns - reach_ns, now_ns + 1).drop("told")
    last = last.filter(pl.col("state").is_in(ACTIVE))
    last = last.join(said, on=[*_KEY, "since_ns"], how="left")
    rows = []
    for row in last.iter_rows(named=True):
        acknowledged = row.pop("acknowledged")
        covering = [s for s in silences if s.covers(row["rule"], row["subject"], now_ns)]
        if covering:
            longest = max(covering, key=lambda one: one.until_ns)
            row |= {"state": "silenced", "by": longest.by, "until_ns": longest.until_ns}
        elif row["state"] != "silenced" and acknowledged:
            row |= {"state": "acknowledged", "by": acknowledged}
        rows.append(row)
    rank = pl.col("severity").replace_strict(
        {"critical": 0, "warning": 1, "notice": 2}, default=3, return_dtype=pl.Int8
    )
    found = pl.DataFrame(rows, schema=schema_of("alerts"))
    return found.sort(rank, pl.col("since_ns"), descending=[False, True])


def acknowledged_in(changes: pl.DataFrame) -> pl.DataFrame:
    """Return the last acknowledgement of each alert; `since_ns` says of which time it fired."""
    said = changes.filter((pl.col("state") == "acknowledged") & (pl.col("by") != ""))
    return said.unique([*_KEY, "since_ns"], keep="last", maintain_order=True)


def read_silences(store: Store, now_ns: int | None = None) -> list[Silence]:
    """Return the silences that hold now, the newest last."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    return silences_in(people_said(store, now_ns - REACH_NS, now_ns + 1), now_ns)


def silences_in(changes: pl.DataFrame, now_ns: int) -> list[Silence]:
    """Return the silences among rows of `alerts` that hold at a time, the newest last."""
    said = changes.filter((pl.col("state") == "silenced") & (pl.col("by") != ""))
    last = said.unique(["rule", "subject"], keep="last", maintain_order=True)
    return [
        Silence(
            row["rule"], row["subject"], row["time_ns"], row["until_ns"], row["by"], row["text"]
        )
        for row in last.iter_rows(named=True)
        if row["until_ns"] is not None and row["until_ns"] > now_ns
    ]


def acknowledge(
    store: Store,
    collector: str,
    rule: str,
    subject: str,
    *,
    by: str,
    note: str = "",
    now_ns: int | None = None,
) -> None:
    """Say that somebody looks after an alert: it is not sent again while it keeps firing.

    store: ready for rows. Raises ConfigError when the alert does not fire, or `by` is empty.
    """
    _check_person(by)
    now_ns = time.time_ns() if now_ns is None else now_ns
    wanted = {"collector": collector, "rule": rule, "subject": subject}
    found = current_alerts(store, now_ns).filter(
        pl.all_horizontal(pl.col(name) == value for name, value in wanted.items())
    )
    if found.is_empty():
        raise ConfigError(
            f"no alert {rule} about {subject} of collector {collector} is firing; it may be over"
        )
    row = found.row(0, named=True)
    changed = {"time_ns": now_ns, "state": "acknowledged", "by": by, "until_ns": None}
    _append(store, row | changed | {"text": note[:MAX_NOTE] or f"acknowledged by {by}"})


def silence(
    store: Store,
    *,
    by: str,
    until_ns: int,
    rule: str = "*",
    subject: str = "*",
    note: str = "",
    now_ns: int | None = None,
) -> Silence:
    """Keep alerts that match two patterns quiet until a time; a later one of the same replaces it.

    store: ready for rows. They are still kept, as silenced. Raises ConfigError for an end that is
    past, empty patterns or an empty `by`.
    """
    _check_person(by)
    now_ns = time.time_ns() if now_ns is None else now_ns
    if until_ns <= now_ns:
        raise ConfigError("a silence must end later than now")
    if not rule or not subject:
        raise ConfigError("a silence needs patterns of rules and subjects; * is all")
    made = Silence(rule, subject, now_ns, until_ns, by, note[:MAX_NOTE])
    _append_silence(store, made)
    return made


def end_silence(store: Store, held: Silence, *, by: str, now_ns: int | None = None) -> None:
    """End a silence early. store: ready for rows."""
    _check_person(by)
    now_ns = time.time_ns() if now_ns is None else now_ns
    note = f"ended by {by}"
    _append_silence(store, Silence(held.rule, held.subject, now_ns, now_ns, by, note))


def _check_person(by: str) -> None:
    if not by.strip():
        raise ConfigError("an alert is acknowledged or silenced by somebody: give a name")


def _append_silence(store: Store, made: Silence) -> None:
    row = {
        "time_ns": made.start_ns,
        "collector": ANYBODY,
        "rule": made.rule,
        "subject": made.subject,
        "severity": "info",
        "state": "silenced",
        "text": made.note,
        "action": "",
        "until_ns": made.until_ns,
        "by": made.by,
        "table": "",
    }
    _append(store, row)


def _append(store: Store, row: dict[str, Any]) -> None:
    store.append("alerts", pl.DataFrame([row], schema=schema_of("alerts")))
