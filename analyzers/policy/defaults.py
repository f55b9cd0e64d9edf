"""What a file of rules says of the built-in ones."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from fabricscope.analyzers.policy.patterns import is_like
from fabricscope.analyzers.policy.reading import Place, near, read_strings, reject_unknown

__all__ = ["BUILT_IN", "Defaults", "read_defaults"]

BUILT_IN: Final = Path(__file__).with_name("builtin.toml")


@dataclass(frozen=True)
class Defaults:
    """Built-in rules that are `off`, as patterns of their names, and where the others alert."""

    off: tuple[str, ...] = ()
    alert: tuple[str, ...] = ()


@lru_cache(1)
def _names() -> tuple[str, ...]:
    rules = tomllib.loads(BUILT_IN.read_text(encoding="utf-8"))["rule"]
    return tuple(rule["name"] for rule in rules)


def read_defaults(entry: Any, place: Place) -> Defaults:
    """Return what `[defaults]` says, its `alert` aside. Raises ConfigError."""
    if not isinstance(entry, dict):
        raise place.error("defaults", "expected a table [defaults]")
    reject_unknown(entry, ("off", "alert"), place)
    off = read_strings(entry, "off", place)
    for pattern in off:
        if not any(is_like(name, [pattern]) for name in _names()):
            reason = f"there is no built-in rule {pattern}{near(pattern, _names())}"
            raise place.error("off", reason)
    return Defaults(off)
