"""Maintenance windows, once and every week."""

import datetime as dt

import pytest

from fabricscope.analyzers.policy.maintenance import Maintenance
from fabricscope.analyzers.policy.rules import parse_rules
from fabricscope.errors import ConfigError


def window_of(text: str) -> Maintenance:
    (window,) = parse_rules(f"[[maintenance]]\n{text}\n", "r.toml").maintenance
    return window


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp()) * 10**9


def test_once() -> None:
    window = window_of(
        'subject = "leaf3*"\nstart = 2026-11-24T22:00:00Z\nend = 2026-11-25T02:00:00+01:00'
    )
    end = at("2026-11-25T01:00:00+00:00")
    assert window.quiet_until_ns("any", "leaf3-spine1 up", at("2026-11-24T22:00:00+00:00")) == end
    assert window.quiet_until_ns("any", "leaf3-spine1 up", at("2026-11-24T21:59:59+00:00")) is None
    assert window.quiet_until_ns("any", "leaf3-spine1 up", end) is None
    assert window.quiet_until_ns("any", "leaf1-spine1 up", end - 10**9) is None


def test_every_weekend_over_midnight() -> None:
    window = window_of(
        'rule = "link-*"\ndays = ["sat"]\nfrom = "22:00"\nto = "02:00"\ntimezone = "Europe/Berlin"'
    )
    end = at("2026-11-29T02:00:00+01:00")  # a Sunday
    for inside in ("2026-11-28T22:00:00+01:00", "2026-11-29T01:59:59+01:00"):
        assert window.quiet_until_ns("link-health", "x", at(inside)) == end
    for outside in ("2026-11-28T21:59:59+01:00", "2026-11-29T02:00:00+01:00",
                    "2026-11-28T01:00:00+01:00", "2026-11-29T23:00:00+01:00"):  # fmt: skip
        assert window.quiet_until_ns("link-health", "x", at(outside)) is None
    assert window.quiet_until_ns("straggler", "x", end - 10**9) is None


def test_every_day_in_the_time_of_the_place() -> None:
    window = window_of('from = 03:00:00\nto = 04:00:00\ntimezone = "America/New_York"')
    winter, summer = "2026-01-15T08:30:00+00:00", "2026-07-15T07:30:00+00:00"
    assert window.quiet_until_ns("x", "y", at(winter)) == at("2026-01-15T09:00:00+00:00")
    assert window.quiet_until_ns("x", "y", at(summer)) == at("2026-07-15T08:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'", "line 1: start: expected either start and end, or from and to"),
        ("start = 2026-11-24T22:00:00Z", "line 1: end: expected a date and time"),
        (
            "start = 2026-11-24T22:00:00Z\nend = 2026-11-24T22:00:00Z",
            "line 3: end: a window must end after it starts",
        ),
        ("start = 2026-11-24T22:00:00Z\nfrom = '1:00'", "expected either start and end"),
        ("from = '22'\nto = '23:00'", 'line 2: from: expected a time of day such as "22:00"'),
        ("from = '22:00'", "line 1: to: expected a time of day"),
        ("from = '22:00'\nto = '23:00'\ndays = 'sunday'", "line 4: days: 'sunday' is no day"),
        ("from = '22:00'\nto = '23:00'\ntimezone = 'Berlin'", "line 4: timezone: there is no time"),
        ("from = '22:00'\nto = '23:00'\nsubjects = 'x'", "line 4: subjects: unknown key; did"),
    ],
)
def test_mistakes_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        window_of(text)
    assert message in str(caught.value)
