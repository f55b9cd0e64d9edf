"""The file of users: a line `name:role:hash` each, the hash by Argon2id. Read anew when it changed.

Passwords are never kept. A name that is not there costs as much time as one that is.
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fabricscope.dashboard.security.roles import ROLES
from fabricscope.errors import ConfigError

__all__ = ["LEAST_PASSWORD", "User", "UserFile", "default_users_path"]

LEAST_PASSWORD: Final = 10
MOST_PASSWORD: Final = 1_024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_HASHER: Final = PasswordHasher()
_NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""The hash that an unknown name is compared with, to take the same time; nothing matches it."""


class User(NamedTuple):
    """One line of the file."""

    name: str
    role: str
    hash: str


def default_users_path() -> Path:
    """Return where users are kept unless `--users` says otherwise."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "fabricscope" / "users"


class UserFile:
    """The users in `path`; a file that is not there holds none. Safe between threads."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read yet."""
        self.path = path
        self._lock = threading.Lock()
        self._read_at: tuple[int, int, int] | None = None
        self._users: dict[str, User] = {}

    def users(self) -> dict[str, User]:
        """Return the users by name. Raises ConfigError for a file that cannot be understood."""
        with self._lock:
            try:
                status = self.path.stat()
                stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
                if stamp != self._read_at:
                    self._users = _parse(self.path, self.path.read_text(encoding="utf-8"))
                    self._read_at = stamp
            except FileNotFoundError:
                self._users, self._read_at = {}, None
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"users file {self.path} cannot be read: {error}") from error
            return self._users

    def verify(self, name: str, password: str) -> User | None:
        """Return the user if the password is theirs; takes as long for names that are unknown."""
        user = self.users().get(name)
        try:
            _HASHER.verify(user.hash if user else _NOBODY, password[:MOST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        return user

    def add(self, name: str, role: str, password: str) -> bool:
        """Add a user, or give one a new password and role; return whether it is a new one.

        Raises ConfigError for a name, role or password that will not do.
        """
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} is no user name; use up to 64 letters, digits and . _ @ -, beginning "
                "with a letter or digit"
            )
        if role not in ROLES:
            raise ConfigError(f"{role!r} is no role; choose one of {', '.join(ROLES)}")
        if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
            raise ConfigError(
                f"the password has {len(password)} characters; use {LEAST_PASSWORD} to "
                f"{MOST_PASSWORD}"
            )
        with self._changing() as users:
            new = name not in users
            users[name] = User(name, role, _HASHER.hash(password))
        return new

    def remove(self, name: str) -> None:
        """Remove a user. Raises ConfigError when there is none of that name."""
        with self._changing() as users:
            if users.pop(name, None) is None:
                raise ConfigError(f"{self.path} has no user {name!r}; see `fabricscope user list`")

    @contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """Give the users to change, and write them back in one piece, readable by the owner."""
        users = dict(self.users())
        yield users
        text = "".join(f"{one.name}:{one.role}:{one.hash}\n" for one in users.values())
        part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            part.replace(self.path)
        except OSError as error:
            raise ConfigError(f"users file {self.path} cannot be written: {error}") from error


def _parse(path: Path, text: str) -> dict[str, User]:
    users = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        role, _, hashed = rest.partition(":")
        if not _NAME.fullmatch(name) or role not in ROLES or not hashed.startswith("$argon2id$"):
            raise ConfigError(
                f"users file {path}, line {number} is not name:role:hash; make lines with "
                "`fabricscope user add`"
            )
        users[name] = User(name, role, hashed)
    return users
