"""When ports are known to be dead: by carrier, by timers, and by what comes first."""

import math

import numpy as np
import pytest

from fabricscope.topology.builders import build
from fabricscope.topology.failure_specs import compile_failure, parse_failure
from fabricscope.topology.recovery.detection import find_port_news, missed_messages


@pytest.fixture(scope="module")
def fabric():
    return build("leaf-spine:2x2x1@100G")


def _news(fabric, spec, carrier=None, timer=None, restore=0.0):
    failure = compile_failure(parse_failure(spec), fabric)
    found = find_port_news(
        fabric,
        failure,
        None if carrier is None else lambda: carrier,
        None if timer is None else lambda: timer,
        lambda: restore,
    )
    names = [device.name for device in fabric.devices]
    return [(names[fabric.channels.source[n.channel]], n.time_ns, n.up, n.carrier) for n in found]


def test_both_ends_see_their_carrier_go(fabric):
    assert _news(fabric, "leaf0-spine0@1us", carrier=10.0) == [
        ("leaf0", 1010.0, False, True),
        ("spine0", 1010.0, False, True),
    ]


def test_a_silent_failure_is_found_by_the_timer_only(fabric):
    assert _news(fabric, "leaf0-spine0@1us:silent", carrier=10.0) == []
    assert [entry[:3] for entry in _news(fabric, "leaf0-spine0@1us:silent", 10.0, 500.0)] == [
        ("leaf0", 1500.0, False),
        ("spine0", 1500.0, False),
    ]


def test_the_far_end_is_told_over_the_direction_that_works(fabric):
    delay = float(fabric.channels.delay_ns[2 * fabric.find_link("leaf0-spine0")])
    news = _news(fabric, "leaf0>spine0@1us:silent", timer=500.0)
    assert news[0][:2] == ("spine0", 1500.0)
    assert news[1][0] == "leaf0"
    assert news[1][1] == pytest.approx(1500.0 + delay, rel=0.5)


def test_the_first_of_two_ways_counts(fabric):
    late = _news(fabric, "leaf0-spine0@1us", carrier=900.0, timer=500.0)
    assert {(entry[1], entry[3]) for entry in late} == {(1500.0, False)}
    early = _news(fabric, "leaf0-spine0@1us", carrier=100.0, timer=500.0)
    assert {(entry[1], entry[3]) for entry in early} == {(1100.0, True)}


def test_a_repair_is_known_after_carrier_and_wait(fabric):
    news = _news(fabric, "leaf0-spine0@1us..9us", carrier=10.0, restore=100.0)
    assert [entry[1] for entry in news if entry[2]] == [9110.0, 9110.0]


def test_a_timer_does_not_notice_what_is_over_before_it_ends(fabric):
    assert _news(fabric, "leaf0-spine0@1us..2us:silent", timer=5e3) == []


def test_crashed_devices_know_nothing(fabric):
    assert {entry[0] for entry in _news(fabric, "spine0@1us", 10.0, 500.0)} == {"leaf0", "leaf1"}


def test_missed_messages_take_two_to_three_intervals():
    random = np.random.default_rng(1).random
    draws = [missed_messages(100.0, 3, 0.25, random) for _ in range(20_000)]
    assert 200 <= min(draws) <= max(draws) <= 300
    mean_gap = (1 + 0.75 + 0.75**2) / 3 * 2 / (1 + 0.75) / 2  # length-biased half of U(0.75, 1)
    assert np.mean(draws) == pytest.approx(300 - 100 * mean_gap, rel=0.01)
    assert math.isclose(missed_messages(100.0, 3, 0.0, lambda: 0.5), 250.0)
