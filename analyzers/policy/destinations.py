"""Where alerts go, as a rule file says it. Sending is in the pipeline."""

import urllib.parse
from dataclasses import dataclass
from typing import Any, Final

from fabricscope.analyzers.policy.reading import (
    NAME,
    Place,
    near,
    read_number,
    read_string,
    reject_unknown,
)

__all__ = ["Destination", "read_destination"]

_KEYS: Final = {
    "json": ("type", "file"),
    "syslog": ("type", "address"),
    "webhook": ("type", "url", "timeout_s", "retries"),
    "alertmanager": ("type", "url", "timeout_s", "retries"),
}


@dataclass(frozen=True)
class Destination:
    """Where alerts go: a file of JSON lines (`-`: standard output), syslog, or a web server.

    target: the file, `host:port` or socket path, or URL (of Alertmanager: what stands before
    /api/v2); timeout_s, retries: of the web server.
    """

    name: str
    type: str
    target: str
    timeout_s: float = 5.0
    retries: int = 2


def read_destination(name: str, entry: Any, place: Place) -> Destination:
    """Return a destination from its table. Raises ConfigError."""
    if not isinstance(entry, dict):
        raise place.error(name, "expected a table [destination.NAME]")
    if not NAME.fullmatch(name):
        raise place.error(name, "expected a name of letters, digits, '.', '_' and '-'")
    kind = read_string(entry, "type", "", place)
    if kind not in _KEYS:
        raise place.error("type", f"{kind!r} is no destination{near(kind, _KEYS)}")
    reject_unknown(entry, _KEYS[kind], place)
    key = _KEYS[kind][1]
    target = read_string(entry, key, "/dev/log" if kind == "syslog" else "", place)
    if not target or "\0" in target:
        raise place.error(key, f"a destination of type {kind} needs it")
    if _KEYS[kind][1] == "url":
        try:
            url = urllib.parse.urlsplit(target)
            usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise place.error(key, "expected a URL that starts with http:// or https://")
    if kind == "syslog" and not target.startswith("/"):
        host, _, port = target.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise place.error(key, "expected a socket path such as /dev/log, or host:port")
    return Destination(
        name,
        kind,
        target,
        timeout_s=read_number(entry, "timeout_s", 5.0, 0.1, 60.0, place),
        retries=int(read_number(entry, "retries", 2, 0, 10, place)),
    )
