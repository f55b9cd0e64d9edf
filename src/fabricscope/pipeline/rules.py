"""Rule files read, and what became of a capture: alerts delivered, snippets written.

What the rules match is worked out in `analyzers.policy`, one attempt to send is in `sending`.
Delivery never raises for a receiver that is away: it tries a bounded number of times and counts
what was not delivered, with the reason. Delivery of a running collector is in `live.outbox`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fabricscope.analyzers.policy.builtin import with_built_in
from fabricscope.analyzers.policy.destinations import Destination
from fabricscope.analyzers.policy.matching import Alert
from fabricscope.analyzers.policy.rules import RuleSet, parse_rules
from fabricscope.analyzers.policy.snippets import access_list, nftables
from fabricscope.analyzers.policy.states import duration_text
from fabricscope.analyzers.policy.timing import Timing
from fabricscope.pipeline.sending import MAX_PER_REQUEST, Message, Sent, send, to_json
from fabricscope.pipeline.text_files import read_text_file

RETRY_WAIT_S: Final = 0.2
_SNIPPETS: Final = {"nftables": ("nft", nftables), "acl": ("acl", access_list)}


@dataclass
class Delivery:
    """What became of the alerts of one destination; `reason`: of the last failure."""

    delivered: int = 0
    failed: int = 0
    reason: str = ""


@dataclass
class Deliveries:
    """Counts by destination name, and the snippet files that were written."""

    destinations: dict[str, Delivery] = field(default_factory=dict)
    snippets: list[Path] = field(default_factory=list)


def load_rules(path: Path) -> RuleSet:
    """Return the rules of a file. Raises ConfigError with file, line, key and reason."""
    return parse_rules(read_text_file(path), str(path))


def check_rules(path: Path) -> list[str]:
    """Return a line on each part of a file, or raise ConfigError; nothing is opened or sent."""
    rules = load_rules(path)
    lines = []
    for rule in rules.rules:
        does = [f"tags {', '.join(rule.tags)}"] * bool(rule.tags)
        does += [f"alerts to {', '.join(rule.alert)}"] * bool(rule.alert)
        does += [f"exports {rule.export} (a passive tap cannot block)"] * bool(rule.export)
        looks = f"watches {rule.table} live" if rule.timing else f"matches {rule.table}"
        when = [_when(rule.timing)] if rule.timing else []
        lines.append(f"{rule.name}: {'; '.join([looks, *when, *does])}")
    for window in rules.maintenance:
        what = f"{', '.join(window.rules)} about {', '.join(window.subjects)}"
        lines.append(f"{window.name}: maintenance; {what} is not sent")
    built_in = [rule.name for rule in with_built_in(rules).rules[len(rules.rules) :]]
    lines.append(f"built-in rules of live data that are on: {', '.join(built_in) or 'none'}")
    return lines


def _when(timing: Timing) -> str:
    """Return when a rule fires and is over."""
    if timing.absent_ns:
        parts = [f"fires when none came for {duration_text(timing.absent_ns)}"]
    else:
        after = f" for {duration_text(timing.hold_ns)}" if timing.hold_ns else ""
        over = f" over {duration_text(timing.over_ns)}" if timing.over_ns else ""
        parts = [f"fires when it matches{over}{after}"]
        rest = f" for {duration_text(timing.clear_for_ns)}" if timing.clear_for_ns else ""
        limits = ", ".join(timing.clear)
        parts.append(f"is over when {f'{limits} recovered' if limits else 'it does not'}{rest}")
    if timing.group_by:
        parts.append(f"one alert a {', '.join(timing.group_by)}")
    return "; ".join(parts)


def alert_json(alert: Alert) -> str:
    """Return an alert as one line of ASCII JSON; whatever a packet brought is escaped."""
    return to_json(_record(alert))


def _record(alert: Alert) -> dict[str, Any]:
    return {
        "rule": alert.rule,
        "severity": alert.severity,
        "table": alert.table,
        "subject": alert.subject,
        "description": alert.description,
        "time_ns": alert.time_ns,
        "tags": list(alert.tags),
        "values": dict(alert.values),
    }


def deliver(
    alerts: Sequence[Alert], rules: RuleSet, *, snippet_dir: Path | None = None
) -> Deliveries:
    """Send alerts to the destinations that their rules name and write the snippets they ask for.

    snippet_dir: where `fabricscope.nft` and `fabricscope.acl` go, replacing earlier ones; None
    for nowhere.
    """
    result = Deliveries()
    for destination in rules.destinations:
        chosen = [alert for alert in alerts if destination.name in alert.destinations]
        count = result.destinations[destination.name] = Delivery()
        if chosen:
            _send_all(destination, chosen, count)
    for export, (suffix, text_of) in _SNIPPETS.items():
        chosen = [alert for alert in alerts if alert.export == export]
        if chosen and snippet_dir is not None:
            path = snippet_dir / f"fabricscope.{suffix}"
            path.write_text(text_of(chosen), encoding="ascii")
            result.snippets.append(path)
    return result


def _send_all(destination: Destination, alerts: Sequence[Alert], count: Delivery) -> None:
    """Send alerts in parts; a part that fails ends it."""
    for start in range(0, len(alerts), MAX_PER_REQUEST):
        part = [
            Message(alert.severity, _record(alert))
            for alert in alerts[start : start + MAX_PER_REQUEST]
        ]
        sent = _try(destination, part)
        count.delivered += sent.count
        if sent.reason:
            count.failed = len(alerts) - count.delivered
            count.reason = sent.reason
            return


def _try(destination: Destination, part: Sequence[Message]) -> Sent:
    """Send one part, to a web server again if that may help."""
    sent = send(destination, part)
    retries = destination.retries if destination.type in ("webhook", "alertmanager") else 0
    for attempt in range(retries):
        if not sent.reason or sent.final:
            break
        time.sleep(RETRY_WAIT_S * 2**attempt)
        sent = send(destination, part)
    return sent
