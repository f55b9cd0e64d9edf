"""Maintenance windows: times in which alerts are kept and shown, but not sent."""

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from typing import Any, Final

from fabricscope.analyzers.policy.patterns import is_like
from fabricscope.analyzers.policy.reading import (
    NAME,
    Place,
    near,
    read_string,
    read_strings,
    reject_unknown,
)

__all__ = ["Maintenance", "read_maintenance"]

_KEYS: Final = ("name", "rule", "subject", "start", "end", "days", "from", "to", "timezone")
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = "%H:%M"


@dataclass(frozen=True)
class Maintenance:
    """One window: from `start` to `end`, or each of `days` from one time of day to another.

    rules, subjects: patterns with `*` and `?` of what is quiet. days: 0 is Monday; a window whose
    `until` is not later than its `begin` goes on until the next day.
    """

    name: str
    rules: tuple[str, ...] = ("*",)
    subjects: tuple[str, ...] = ("*",)
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    days: tuple[int, ...] = ()
    begin: dt.time = dt.time()
    until: dt.time = dt.time()
    zone: dt.tzinfo = dt.UTC

    def quiet_until_ns(self, rule: str, subject: str, time_ns: int) -> int | None:
        """Return when the window ends that covers an alert at a time, None when none does."""
        if not is_like(rule, self.rules) or not is_like(subject, self.subjects):
            return None
        now = dt.datetime.fromtimestamp(time_ns / 1e9, self.zone)
        if self.start is not None and self.end is not None:
            return _ns(self.end) if self.start <= now < self.end else None
        for back in (0, 1):
            day = now.date() - dt.timedelta(days=back)
            if day.weekday() not in self.days:
                continue
            begin = dt.datetime.combine(day, self.begin, self.zone)
            later = dt.timedelta(days=self.until <= self.begin)
            end = dt.datetime.combine(day + later, self.until, self.zone)
            if begin <= now < end:
                return _ns(end)
        return None


def _ns(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 10**9


def read_maintenance(entry: Any, place: Place) -> Maintenance:
    """Return a window from a `[[maintenance]]` table. Raises ConfigError."""
    if not isinstance(entry, dict):
        raise place.error("maintenance", "expected a table [[maintenance]]")
    reject_unknown(entry, _KEYS, place)
    name = read_string(entry, "name", "maintenance", place)
    if not NAME.fullmatch(name):
        raise place.error("name", "expected 1 to 64 letters, digits, '.', '_' and '-'")
    zone = _zone(read_string(entry, "timezone", "UTC", place), place)
    patterns: dict[str, Any] = {
        "name": name,
        "rules": read_strings(entry, "rule", place) or ("*",),
        "subjects": read_strings(entry, "subject", place) or ("*",),
        "zone": zone,
    }
    once, daily = {"start", "end"} & set(entry), {"days", "from", "to"} & set(entry)
    if once and not daily:
        start, end = (_moment(entry, key, zone, place) for key in ("start", "end"))
        if end <= start:
            raise place.error("end", "a window must end after it starts")
        return Maintenance(**patterns, start=start, end=end)
    if daily and not once:
        days = read_strings(entry, "days", place) or _DAYS
        for day in days:
            if day not in _DAYS:
                raise place.error("days", f"{day!r} is no day{near(day, _DAYS)}")
        begin, until = (_clock(entry, key, place) for key in ("from", "to"))
        numbers = tuple(_DAYS.index(day) for day in days)
        return Maintenance(**patterns, days=numbers, begin=begin, until=until)
    raise place.error("start", "expected either start and end, or from and to (and days)")


def _zone(name: str, place: Place) -> dt.tzinfo:
    if name == "UTC":
        return dt.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        reason = f"there is no time zone {name!r} on this host; write one such as Europe/Berlin"
        raise place.error("timezone", reason) from None


def _moment(entry: dict[str, Any], key: str, zone: dt.tzinfo, place: Place) -> dt.datetime:
    value = entry.get(key)
    if not isinstance(value, dt.datetime):
        raise place.error(key, "expected a date and time such as 2026-11-24T22:00:00Z, no quotes")
    return value if value.tzinfo else value.replace(tzinfo=zone)


def _clock(entry: dict[str, Any], key: str, place: Place) -> dt.time:
    value = entry.get(key)
    if isinstance(value, dt.time):
        return value
    try:
        return dt.datetime.strptime(str(value), _CLOCK).time()
    except ValueError:
        raise place.error(key, 'expected a time of day such as "22:00"') from None
