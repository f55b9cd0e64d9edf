"""Rules applied to tables: which rows match, what is said about them, what is left unsaid.

Pure but for the counts of a run: no files, no sockets, no clock. An alert of the same rule about
the same subject is given once a run, and each rule has a bound; both are counted.
"""

import functools
import ipaddress
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from fabricscope.analyzers.policy.conditions import Network, Range
from fabricscope.analyzers.policy.metrics import columns_of, metrics_of
from fabricscope.analyzers.policy.patterns import like
from fabricscope.analyzers.policy.rules import Rule, RuleSet

MAX_SUBJECTS: Final = 100_000  # remembered for the whole run, to say things once
MAX_TEXT: Final = 256
_SHOWN: Final = ("src", "dst", "src_port", "dst_port", "protocol", "transport")
_ORDER: Final = ("flows", "queue_pairs", "findings")


@dataclass(frozen=True)
class Alert:
    """One row that a rule matched, as plain values; texts from packets are not yet escaped.

    time_ns: end of the flow or queue pair, 0 for findings; values: what the rule looked at, and
    addresses and ports where the row has them; destinations, export: of the rule.
    """

    rule: str
    severity: str
    table: str
    subject: str
    description: str
    time_ns: int
    tags: tuple[str, ...]
    values: Mapping[str, Any]
    destinations: tuple[str, ...] = ()
    export: str = ""


@dataclass(frozen=True)
class Outcome:
    """What rules made of some tables.

    alerts: in the order of the rules; tags: by table, a list of tags for each row, in order.
    """

    alerts: list[Alert]
    tags: dict[str, list[list[str]]]


@dataclass
class RuleCount:
    """What became of one rule in a run; `missing`: columns it needs that the tables lacked."""

    matched: int = 0
    alerts: int = 0
    repeated: int = 0
    suppressed: int = 0
    missing: set[str] = field(default_factory=set)


class Policy:
    """Rules with the counts of one run; apply them to each new set of tables."""

    def __init__(self, rules: RuleSet) -> None:
        """Start a run with nothing matched."""
        self.rules = rules
        self.counts = {rule.name: RuleCount() for rule in rules.rules}
        self._known: set[tuple[str, str]] = set()

    def apply(self, tables: Mapping[str, pl.DataFrame]) -> Outcome:
        """Match all rules, in their order, against `records.TABLES` frames by name.

        A rule that needs a column which a frame lacks matches nothing there, and says so in
        `counts`; a table that is absent is passed over.
        """
        alerts: list[Alert] = []
        tags: dict[str, list[list[str]]] = {}
        for table in _ORDER:
            frame = tables.get(table)
            if frame is None:
                continue
            frame = with_subject(frame, table)
            tagged: list[list[str]] = [[] for _ in range(len(frame))]
            for rule in self.rules.rules:
                if rule.table != table:
                    continue
                rows = self._matching(rule, frame, tagged)
                for row in rows:
                    tagged[row].extend(tag for tag in rule.tags if tag not in tagged[row])
                if rule.alert or rule.export:
                    alerts.extend(self._alerts(rule, frame, rows, tagged))
            tags[table] = tagged
        return Outcome(alerts, tags)

    def _matching(self, rule: Rule, frame: pl.DataFrame, tagged: list[list[str]]) -> list[int]:
        count = self.counts[rule.name]
        condition, needed = condition_of(rule)
        missing = needed - set(frame.columns)
        if missing:
            count.missing |= missing
            return []
        rows = frame.with_row_index("row").filter(condition)["row"].to_list()
        if rule.with_tags:
            rows = [row for row in rows if any(tag in tagged[row] for tag in rule.with_tags)]
        count.matched += len(rows)
        return [int(row) for row in rows]

    def _alerts(
        self, rule: Rule, frame: pl.DataFrame, rows: Sequence[int], tagged: list[list[str]]
    ) -> list[Alert]:
        count = self.counts[rule.name]
        metrics = metrics_of(rule.table)
        named = (*_SHOWN, *rule.texts, "kind", "text")
        shown = dict.fromkeys(name for name in named if name in frame.columns)
        looked_at = frame[rows].select(
            "subject",
            (pl.col("end_ns") if "end_ns" in frame.columns else pl.lit(0)).alias("time_ns"),
            *(pl.col(name).alias(f"text_{name}") for name in shown),
            *(metrics[name].alias(f"number_{name}") for name in rule.metrics),
        )
        alerts: list[Alert] = []
        for row, values in zip(rows, looked_at.iter_rows(named=True), strict=True):
            subject = _short(values.pop("subject"))
            time_ns = int(values.pop("time_ns") or 0)
            if (rule.name, subject) in self._known:
                count.repeated += 1
                continue
            if count.alerts >= rule.max_alerts or len(self._known) >= MAX_SUBJECTS:
                count.suppressed += 1
                continue
            self._known.add((rule.name, subject))
            count.alerts += 1
            alerts.append(
                Alert(
                    rule.name,
                    rule.severity,
                    rule.table,
                    subject,
                    rule.description,
                    time_ns,
                    tuple(tagged[row]),
                    {name.partition("_")[2]: _short(value) for name, value in values.items()},
                    rule.alert,
                    rule.export,
                )
            )
        return alerts


def _short(value: Any) -> Any:
    """Return a value that fits into an alert: texts cut, numbers that JSON has no word for gone."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def with_subject(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Return `frame` with a text column `subject`: what a row is about."""
    if "subject" in frame.columns:
        return frame
    ends = [pl.col("src"), pl.lit(" -> "), pl.col("dst")]
    if table == "flows":
        ends = [
            pl.col("src"), pl.lit(" "), pl.col("src_port"), pl.lit(" -> "),
            pl.col("dst"), pl.lit(" "), pl.col("dst_port"), pl.lit(" "), pl.col("protocol"),
        ]  # fmt: skip
    elif table == "queue_pairs":
        ends += [pl.lit(" qp "), pl.col("dest_qp")]
    return frame.with_columns(pl.concat_str(ends, ignore_nulls=True).alias("subject"))


def condition_of(rule: Rule) -> tuple[pl.Expr, set[str]]:
    """Return a rule's conditions, tags aside, as one expression, and the columns it needs."""
    parts = [selection_of(rule), limits_of(rule.table, rule.metrics)]
    if rule.subject:
        parts.append(like("subject", rule.subject))
    condition = pl.all_horizontal(*parts).fill_null(False)
    return condition, set(condition.meta.root_names())


def selection_of(rule: Rule) -> pl.Expr:
    """Return the conditions on texts, addresses and ports as one expression."""
    parts = [pl.lit(True)]
    columns = [column.name for column in columns_of(rule.table)]
    for column, patterns in rule.texts.items():
        parts.append(like(column, patterns))
    for key, networks in rule.addresses.items():
        sides = [side for side in ("src", "dst") if side in columns] if key == "host" else [key]
        parts.append(pl.any_horizontal(*(_within(side, networks) for side in sides)))
    for key, ranges in rule.ports.items():
        sides = ["src_port", "dst_port"] if key == "port" else [key]
        parts.append(
            pl.any_horizontal(*(_between(pl.col(side), one) for side in sides for one in ranges))
        )
    return pl.all_horizontal(*parts).fill_null(False)


def limits_of(table: str, ranges: Mapping[str, Range]) -> pl.Expr:
    """Return the conditions on numbers as one expression."""
    metrics = metrics_of(table)
    parts = [_between(metrics[name], limits) for name, limits in ranges.items()]
    return pl.all_horizontal(pl.lit(True), *parts).fill_null(False)


def _between(number: pl.Expr, limits: Range) -> pl.Expr:
    return (number >= limits.low) & (number <= limits.high)


def _within(column: str, networks: tuple[Network, ...]) -> pl.Expr:
    """Match addresses that lie in one of the prefixes; each distinct one is looked at once."""

    def inside(addresses: pl.Series) -> pl.Series:
        unique = addresses.unique().drop_nulls().to_list()
        matching = [text for text in unique if _is_within(text, networks)]
        return addresses.is_in(matching)

    return pl.col(column).map_batches(inside, return_dtype=pl.Boolean)


@functools.lru_cache(65_536)
def _is_within(text: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)
