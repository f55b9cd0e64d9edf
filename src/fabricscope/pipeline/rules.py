"""Rule files read, and alerts carried out of the house: JSON lines, syslog, web servers, snippets.

What the rules match is worked out in `analyzers.policy`. Delivery never raises for a receiver that
is away: it tries a bounded number of times and counts what was not delivered, with the reason.
"""

import json
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from fabricscope.analyzers.policy.destinations import Destination
from fabricscope.analyzers.policy.matching import Alert
from fabricscope.analyzers.policy.rules import RuleSet, parse_rules
from fabricscope.analyzers.policy.snippets import access_list, nftables
from fabricscope.errors import ConfigError

MAX_FILE_BYTES: Final = 1 << 20
MAX_PER_REQUEST: Final = 500
RETRY_WAIT_S: Final = 0.2
SYSLOG_TIMEOUT_S: Final = 2.0
_SYSLOG_FACILITY: Final = 16  # local0
_SYSLOG_SEVERITY: Final = {"critical": 2, "warning": 4, "notice": 5, "info": 6}
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
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES} bytes; split it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    return parse_rules(text, str(path))


def check_rules(path: Path) -> list[str]:
    """Return a line on each rule of a file, or raise ConfigError; nothing is opened or sent."""
    rules = load_rules(path)
    lines = []
    for rule in rules.rules:
        does = [f"tags {', '.join(rule.tags)}"] * bool(rule.tags)
        does += [f"alerts to {', '.join(rule.alert)}"] * bool(rule.alert)
        does += [f"exports {rule.export} (a passive tap cannot block)"] * bool(rule.export)
        lines.append(f"{rule.name}: matches {rule.table}; {'; '.join(does)}")
    return lines


def alert_json(alert: Alert) -> str:
    """Return an alert as one line of ASCII JSON; whatever a packet brought is escaped."""
    record: dict[str, Any] = {
        "rule": alert.rule,
        "severity": alert.severity,
        "table": alert.table,
        "subject": alert.subject,
        "description": alert.description,
        "time_ns": alert.time_ns,
        "tags": list(alert.tags),
        "values": dict(alert.values),
    }
    return json.dumps(record, ensure_ascii=True, allow_nan=False, default=str)


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
            _SENDERS[destination.type](destination, chosen, count)
    for export, (suffix, text_of) in _SNIPPETS.items():
        chosen = [alert for alert in alerts if alert.export == export]
        if chosen and snippet_dir is not None:
            path = snippet_dir / f"fabricscope.{suffix}"
            path.write_text(text_of(chosen), encoding="ascii")
            result.snippets.append(path)
    return result


def _write_lines(destination: Destination, alerts: Sequence[Alert], count: Delivery) -> None:
    lines = "".join(f"{alert_json(alert)}\n" for alert in alerts)
    try:
        if destination.target == "-":
            sys.stdout.write(lines)
            sys.stdout.flush()
        else:
            with open(destination.target, "a", encoding="ascii") as stream:
                stream.write(lines)
    except OSError as error:
        count.failed, count.reason = len(alerts), str(error)
        return
    count.delivered = len(alerts)


def _send_syslog(destination: Destination, alerts: Sequence[Alert], count: Delivery) -> None:
    """Send RFC 3164 datagrams to a socket path or over UDP."""
    target = destination.target
    try:
        if target.startswith("/"):
            sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            address: Any = target
        else:
            host, _, port = target.rpartition(":")
            family, kind, _, _, address = socket.getaddrinfo(
                host.strip("[]"), int(port), type=socket.SOCK_DGRAM
            )[0]
            sender = socket.socket(family, kind)
    except OSError as error:
        count.failed, count.reason = len(alerts), str(error)
        return
    with sender:
        sender.settimeout(SYSLOG_TIMEOUT_S)
        for alert in alerts:
            priority = 8 * _SYSLOG_FACILITY + _SYSLOG_SEVERITY[alert.severity]
            message = f"<{priority}>fabricscope: {alert_json(alert)}".encode("ascii")
            try:
                sender.sendto(message, address)
            except OSError as error:
                # A receiver that is away for one is away for all: waiting for each would hold up.
                count.failed = len(alerts) - count.delivered
                count.reason = str(error)
                return
            count.delivered += 1


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Alerts go where the file says, not where an answer sends them."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Refuse; urllib then raises the answer as an error."""
        return None


def _post(destination: Destination, alerts: Sequence[Alert], count: Delivery) -> None:
    """POST the alerts as `{"alerts": [...]}`, in parts; a part that fails ends it."""
    opener = urllib.request.build_opener(_NoRedirect)
    for start in range(0, len(alerts), MAX_PER_REQUEST):
        part = alerts[start : start + MAX_PER_REQUEST]
        body = '{"alerts": [' + ", ".join(alert_json(alert) for alert in part) + "]}"
        request = urllib.request.Request(
            destination.target,
            data=body.encode("ascii"),
            headers={"Content-Type": "application/json", "User-Agent": "fabricscope"},
        )
        reason = ""
        for attempt in range(destination.retries + 1):
            if attempt:
                time.sleep(RETRY_WAIT_S * 2 ** (attempt - 1))
            try:
                with opener.open(request, timeout=destination.timeout_s) as answer:
                    answer.read(1)
                reason = ""
                break
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code}"
                error.close()
                if 400 <= error.code < 500 and error.code not in (408, 429):
                    break
            except (OSError, HTTPException) as error:
                reason = str(error) or type(error).__name__
        if reason:
            count.failed = len(alerts) - count.delivered
            count.reason = reason
            return
        count.delivered += len(part)


_SENDERS: Final = {"json": _write_lines, "syslog": _send_syslog, "webhook": _post}
