"""Entries of a rule file read and checked; every error names file, line, key and reason."""

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fabricscope.errors import ConfigError

__all__ = [
    "INNER",
    "NAME",
    "Place",
    "is_number",
    "near",
    "read_duration_ns",
    "read_number",
    "read_string",
    "read_strings",
    "reject_unknown",
]

INNER: Final = ("match", "clear")
"""Tables inside a rule."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
MAX_VALUES: Final = 256
MAX_TEXT: Final = 256
SHOWN_WORDS: Final = 12
_UNITS_NS: Final = {
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3_600 * 10**9,
    "d": 86_400 * 10**9,
}


@dataclass(frozen=True)
class Place:
    """Where an entry stands: its `header`, such as `[[rule]]`, and the number among its like.

    part: the table inside the entry that keys are looked for in, "" for the entry itself.
    """

    file: str
    text: str
    header: str
    index: int = 0
    part: str = ""

    def error(self, key: str, reason: str) -> ConfigError:
        """Return an error about a key of the entry."""
        return ConfigError(f"{self.file}, line {self._line(key)}: {key}: {reason}")

    def _line(self, key: str) -> int:
        """Return the line that sets `key` in the entry, or of its header where none does."""
        found, inside, count, part = 1, not self.header, -1, ""
        wanted = re.compile(rf"(^|[\s{{,.])[\"']?{re.escape(key)}[\"']?\s*[=.]")
        for number, line in enumerate(self.text.splitlines(), 1):
            stripped = line.split("#", 1)[0].strip()
            if stripped.startswith("[") and stripped.endswith("]") and "=" not in stripped:
                part = stripped.strip("[] ").partition(".")[2]
                if stripped == self.header:
                    count += 1
                    inside, part = count == self.index, ""
                    found = number if inside else found
                elif inside and self.header == "[[rule]]" and part:
                    found = number if part in (self.part, key) else found
                else:
                    inside = False
                continue
            # `match.bytes = ...` and `match = { bytes = ... }` stand in the entry itself.
            head = stripped.split("=")[0].split(".")[0].strip(" \"'")
            here = part or (head if head in INNER else "")
            if inside and here in (self.part, key) and wanted.search(stripped):
                return number
        return found


def near(word: str, words: Collection[str]) -> str:
    """Return the end of a sentence that suggests what may have been meant."""
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close or not words:
        return f"; did you mean {close[0]}?" if close else ""
    return f"; known: {', '.join(sorted(words)[:SHOWN_WORDS])}"


def reject_unknown(entry: Mapping[str, Any], known: Collection[str], place: Place) -> None:
    """Raise ConfigError for a key that is not known."""
    for key in entry:
        if key not in known:
            raise place.error(key, f"unknown key{near(key, known)}")


def read_string(entry: Mapping[str, Any], key: str, default: str, place: Place) -> str:
    """Return a text, `default` where the key is absent."""
    value = entry.get(key, default)
    if not isinstance(value, str):
        raise place.error(key, "expected a text")
    return value


def read_strings(entry: Mapping[str, Any], key: str, place: Place) -> tuple[str, ...]:
    """Return one text or a list of texts; none where the key is absent."""
    value = entry.get(key, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise place.error(key, "expected a text or a list of texts")
    if key in entry and not values:
        raise place.error(key, "expected at least one text")
    if len(values) > MAX_VALUES or any(len(text) > MAX_TEXT for text in values):
        raise place.error(key, f"expected at most {MAX_VALUES} texts of {MAX_TEXT} characters")
    return tuple(values)


def is_number(value: Any) -> bool:
    """Return whether a value of TOML is a number, true and false aside."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def read_number(
    entry: Mapping[str, Any], key: str, default: float, low: float, high: float, place: Place
) -> float:
    """Return a number from `low` to `high`, both included."""
    value = entry.get(key, default)
    if not is_number(value) or not low <= value <= high:
        raise place.error(key, f"expected a number from {low:g} to {high:g}")
    return float(value)


def read_duration_ns(
    entry: Mapping[str, Any], key: str, default_ns: int, most_ns: int, place: Place
) -> int:
    """Return the ns of a time such as "500ms", "5s" or "2h", `default_ns` where it is absent."""
    if key not in entry:
        return default_ns
    value = entry[key]
    found = (
        re.fullmatch(r"(\d+(?:\.\d+)?) ?(ms|s|m|h|d)", value) if isinstance(value, str) else None
    )
    if not found:
        raise place.error(key, f'{value!r} is no time; write a text such as "5s", "2m" or "1h"')
    time_ns = round(float(found[1]) * _UNITS_NS[found[2]])
    if time_ns > most_ns:
        raise place.error(key, f"{value} is more than {most_ns / 3.6e12:g} hours")
    return time_ns
