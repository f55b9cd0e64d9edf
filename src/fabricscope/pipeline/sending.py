"""Alerts carried out of the house, one attempt at a time: JSON lines, syslog, web servers.

Nothing here raises for a receiver that is away, waits longer than its time-out, or tries again:
who calls decides what becomes of what was not taken.
"""

import datetime as dt
import json
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

from fabricscope.analyzers.policy.destinations import Destination

__all__ = ["MAX_PER_REQUEST", "RESEND_S", "Message", "Sent", "send", "to_json"]

MAX_PER_REQUEST: Final = 500
SYSLOG_TIMEOUT_S: Final = 2.0
RESEND_S: Final = 60.0
"""Alertmanager takes an alert for over that is not said again; it is said so often."""

_TOLD_TIMES: Final = 4
_SYSLOG_FACILITY: Final = 16  # local0
_SYSLOG_SEVERITY: Final = {"critical": 2, "warning": 4, "notice": 5, "info": 6}
_ALERTMANAGER_PATH: Final = "/api/v2/alerts"


@dataclass(frozen=True)
class Message:
    """One alert, or a change of one. record: plain values, for JSON."""

    severity: str
    record: dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """How many messages, from the first on, were taken; why no more; final: and never will be."""

    count: int
    reason: str = ""
    final: bool = False


def to_json(record: dict[str, Any]) -> str:
    """Return one line of ASCII JSON; whatever a packet brought is escaped."""
    return json.dumps(record, ensure_ascii=True, allow_nan=False, default=str)


def send(destination: Destination, messages: Sequence[Message]) -> Sent:
    """Send messages, at most MAX_PER_REQUEST, once."""
    return _SENDERS[destination.type](destination, messages)


def _write_lines(destination: Destination, messages: Sequence[Message]) -> Sent:
    lines = "".join(f"{to_json(message.record)}\n" for message in messages)
    try:
        if destination.target == "-":
            sys.stdout.write(lines)
            sys.stdout.flush()
        else:
            with open(destination.target, "a", encoding="ascii") as stream:
                stream.write(lines)
    except OSError as error:
        return Sent(0, str(error))
    return Sent(len(messages))


def _send_syslog(destination: Destination, messages: Sequence[Message]) -> Sent:
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
        return Sent(0, str(error))
    with sender:
        sender.settimeout(SYSLOG_TIMEOUT_S)
        for count, message in enumerate(messages):
            priority = 8 * _SYSLOG_FACILITY + _SYSLOG_SEVERITY[message.severity]
            line = f"<{priority}>fabricscope: {to_json(message.record)}".encode("ascii")
            try:
                sender.sendto(line, address)
            except OSError as error:
                # A receiver that is away for one is away for all: waiting for each would hold up.
                return Sent(count, str(error))
    return Sent(len(messages))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Alerts go where the file says, not where an answer sends them."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Refuse; urllib then raises the answer as an error."""
        return None


def _post(url: str, body: str, timeout_s: float, count: int) -> Sent:
    request = urllib.request.Request(
        url,
        data=body.encode("ascii"),
        headers={"Content-Type": "application/json", "User-Agent": "fabricscope"},
    )
    try:
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=timeout_s) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        error.close()
        refused = 300 <= error.code < 500 and error.code not in (408, 429)
        return Sent(0, f"HTTP {error.code}", final=refused)
    except (OSError, HTTPException) as error:
        return Sent(0, str(error) or type(error).__name__)
    return Sent(count)


def _send_webhook(destination: Destination, messages: Sequence[Message]) -> Sent:
    """POST the alerts as `{"alerts": [...]}`."""
    body = '{"alerts": [' + ", ".join(to_json(message.record) for message in messages) + "]}"
    return _post(destination.target, body, destination.timeout_s, len(messages))


def _send_alertmanager(destination: Destination, messages: Sequence[Message]) -> Sent:
    """POST the alerts as version 2 of Alertmanager's interface takes them."""
    body = "[" + ", ".join(to_json(_labelled(message.record)) for message in messages) + "]"
    url = destination.target.rstrip("/")
    url += "" if url.endswith(_ALERTMANAGER_PATH) else _ALERTMANAGER_PATH
    return _post(url, body, destination.timeout_s, len(messages))


def _labelled(record: dict[str, Any]) -> dict[str, Any]:
    """Return an alert with the labels that make it one, and annotations that may change."""
    now_s = time.time()
    labels = {
        "alertname": record["rule"],
        "severity": record["severity"],
        "subject": record["subject"],
        "table": record["table"],
        "collector": record.get("collector", ""),
    }
    annotations = {
        "summary": record.get("text") or record.get("description") or record["rule"],
        "action": record.get("action", ""),
    }
    alert: dict[str, Any] = {
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {name: value for name, value in annotations.items() if value},
    }
    since_s = (record.get("since_ns") or record["time_ns"]) / 1e9
    if since_s:
        # A replayed capture has times of its own; an end before the start would be refused.
        alert["startsAt"] = _rfc3339(min(since_s, now_s))
    if record.get("state") == "resolved":
        alert["endsAt"] = _rfc3339(now_s)
    elif record.get("state"):
        alert["endsAt"] = _rfc3339(now_s + _TOLD_TIMES * RESEND_S)
    return alert


def _rfc3339(time_s: float) -> str:
    return dt.datetime.fromtimestamp(time_s, dt.UTC).isoformat()


_SENDERS: Final = {
    "json": _write_lines,
    "syslog": _send_syslog,
    "webhook": _send_webhook,
    "alertmanager": _send_alertmanager,
}
