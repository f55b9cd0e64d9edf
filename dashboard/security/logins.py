"""Who is logged in: random tokens in cookies, their digests in a file that outlives the server.

A login ends after half a day, when the user logs out, is removed, or gets another password.
"""

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fabricscope.dashboard.security.roles import Visitor
from fabricscope.dashboard.security.users import User, UserFile

__all__ = ["LIFETIME_S", "Logins"]

LIFETIME_S: Final = 12 * 3_600
CAPACITY: Final = 1_000
"""Logins at a time; past it the oldest end."""


class Logins:
    """Logins of the users in a file. Safe between threads of one process."""

    def __init__(self, users: UserFile, clock: Callable[[], float] = time.time) -> None:
        """Take up the logins of the server before."""
        self._users = users
        self._clock = clock
        self._path = users.path.with_name(users.path.name + ".logins")
        self._lock = threading.Lock()
        self._logins: dict[str, dict[str, Any]] = _read(self._path)

    def begin(self, user: User) -> str:
        """Return the token of a new login of `user`."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            now = self._clock()
            kept = {key: one for key, one in self._logins.items() if one["until"] > now}
            kept[_digest(token)] = {
                "name": user.name,
                "password": _digest(user.hash),
                "until": now + LIFETIME_S,
            }
            self._logins = dict(list(kept.items())[-CAPACITY:])
            self._write()
        return token

    def find(self, token: str) -> Visitor | None:
        """Return whose login a token is, None when it has ended or never was."""
        login = self._logins.get(_digest(token)) if token else None
        if login is None or login["until"] <= self._clock():
            return None
        user = self._users.users().get(login["name"])
        if user is None or login["password"] != _digest(user.hash):
            return None
        return Visitor(user.name, user.role)

    def end(self, token: str) -> None:
        """End a login."""
        with self._lock:
            if self._logins.pop(_digest(token), None) is not None:
                self._write()

    def _write(self) -> None:
        """Write the digests; if that fails, logins end with the server."""
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(self._logins, file)
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the logins of a file; one that makes no sense holds none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(key): {
                "name": str(one["name"]),
                "password": str(one["password"]),
                "until": float(one["until"]),
            }
            for key, one in found.items()
        }
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return {}
