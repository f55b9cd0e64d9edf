"""Files that commands write: checked before the work, written after it."""

import json
import os
import sys
from collections.abc import Iterable
from typing import Any

from fabricscope.errors import ConfigError

__all__ = ["check_output", "same_file", "write_json"]


def check_output(option: str, path: str, read: Iterable[str], what: str = "capture") -> None:
    """Refuse a file that cannot be written, or that is one of those `read`, each a `what`.

    Raises ConfigError.
    """
    parent = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise ConfigError(f"{option} {path} is a folder: name a file in it.")
    if not os.path.isdir(parent):
        raise ConfigError(f"{option} {path}: there is no folder {parent}; create it first.")
    if any(same_file(path, other) for other in read):
        raise ConfigError(f"{option} {path} would overwrite the {what}: name another file.")
    if not os.access(path if os.path.exists(path) else parent, os.W_OK):
        raise ConfigError(f"{option} {path} cannot be written: check the permissions.")


def same_file(one: str, other: str) -> bool:
    """Return whether two paths lead to one file."""
    return os.path.realpath(one) == os.path.realpath(other) if one and other else False


def write_json(document: dict[str, Any], path: str) -> None:
    """Write `document` to the file `path`, or to standard output for `-`. Raises ConfigError."""
    if path == "-":
        json.dump(document, sys.stdout, separators=(",", ":"), allow_nan=False)
        print()
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file, separators=(",", ":"), allow_nan=False)
            file.write("\n")
    except OSError as error:
        raise ConfigError(f"--json {path} cannot be written: {error.strerror}.") from error
