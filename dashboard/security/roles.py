"""Who asks, for the time of one request: callbacks find out here whether they may change things."""

from contextvars import ContextVar, Token
from typing import Final, NamedTuple

from fabricscope.errors import ConfigError

__all__ = [
    "LOCAL",
    "OPERATOR",
    "ROLES",
    "VIEWER",
    "Visitor",
    "current_visitor",
    "enter",
    "leave",
    "may_operate",
    "require_operator",
]

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ROLES: Final = (VIEWER, OPERATOR)
"""A viewer looks at everything; an operator also acknowledges, silences, uploads and simulates."""


class Visitor(NamedTuple):
    """name: empty where nobody has to log in."""

    name: str
    role: str


LOCAL: Final = Visitor("", OPERATOR)
"""Whoever asks while the site has no users and so listens on this host alone."""
_current: ContextVar[Visitor | None] = ContextVar("visitor", default=None)


def enter(visitor: Visitor) -> Token[Visitor | None]:
    """Say who asks, until `leave` is given what this returns."""
    return _current.set(visitor)


def leave(token: Token[Visitor | None]) -> None:
    """Forget who asked."""
    _current.reset(token)


def current_visitor() -> Visitor:
    """Return who asks; outside of any request that is nobody, who may only look."""
    return _current.get() or Visitor("", VIEWER)


def may_operate() -> bool:
    """Return whether whoever asks may change things."""
    return current_visitor().role == OPERATOR


def require_operator(what: str = "this") -> None:
    """Raise ConfigError unless whoever asks is an operator."""
    if not may_operate():
        raise ConfigError(
            f"{what} needs the role operator, and you are a viewer; ask whoever runs this site "
            "for `fabricscope user add NAME --role operator`"
        )
