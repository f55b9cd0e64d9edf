"""`fabricscope user`: who may log in to the live site."""

import getpass
import sys
from pathlib import Path

import typer

from fabricscope.dashboard.security.users import UserFile, default_users_path
from fabricscope.errors import ConfigError

__all__ = ["add", "find_users", "remove", "show"]


def find_users(path: str) -> UserFile:
    """Return the file of users at `path`, or where it is by default."""
    return UserFile(Path(path) if path else default_users_path())


def add(name: str, role: str, path: str) -> None:
    """Add a user with a password from the terminal, or from one line of standard input."""
    users = find_users(path)
    new = users.add(name, role, _ask_password())
    typer.echo(f"{name} is {'now' if new else 'still'} a user, as {role}, in {users.path}")


def show(path: str) -> None:
    """Print names and roles."""
    users = find_users(path)
    found = users.users()
    if not found:
        typer.echo(f"There are no users in {users.path}; `fabricscope user add NAME` makes one.")
    for user in found.values():
        typer.echo(f"{user.name:<24} {user.role}")


def remove(name: str, path: str) -> None:
    """Remove a user."""
    users = find_users(path)
    users.remove(name)
    typer.echo(f"{name} is no longer a user in {users.path}")


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise ConfigError("the two passwords differ; nothing was changed")
    return password
