"""Failures as text, and what they become on a fabric."""

import math

import pytest

from fabricscope.errors import FabricError
from fabricscope.topology.builders import build
from fabricscope.topology.failure_specs import (
    FailureSpec,
    compile_failure,
    endpoints_cut_off,
    parse_failure,
)
from fabricscope.topology.failures import find_dead_intervals


@pytest.fixture(scope="module")
def fabric():
    return build("leaf-spine:4x2x2@100G")


def _names(fabric, channels):
    ends = fabric.channels
    names = [device.name for device in fabric.devices]
    return {f"{names[ends.source[c]]}>{names[ends.target[c]]}" for c in channels}


def _compile(text, fabric):
    return compile_failure(parse_failure(text), fabric)


def test_a_link_breaks_in_both_directions(fabric):
    failure = _compile("leaf3-spine1@1ms", fabric)
    assert (failure.kind, failure.start_ns, failure.name) == ("link", 1e6, "leaf3-spine1@1ms")
    both = {"leaf3>spine1", "spine1>leaf3"}
    assert _names(fabric, find_dead_intervals(failure)) == both
    assert _names(fabric, {s.channel for s in failure.signals if not s.up}) == both
    assert _names(fabric, find_dead_intervals(_compile("spine1-leaf3@1ms", fabric))) == both


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("leaf3>spine1@1ms", "leaf3>spine1"),
        ("spine1>leaf3@1ms", "spine1>leaf3"),
        ("leaf3-spine1@1ms:oneway", "leaf3>spine1"),
        ("spine1-leaf3@1ms:oneway", "spine1>leaf3"),
    ],
)
def test_one_direction_is_seen_by_its_sender(fabric, text, direction):
    failure = _compile(text, fabric)
    assert _names(fabric, find_dead_intervals(failure)) == {direction}
    assert _names(fabric, {signal.channel for signal in failure.signals}) == {direction}


def test_one_of_parallel_links_breaks_alone():
    fabric = build("leaf-spine:2x2x1@100G,links=2")
    failure = _compile("leaf1>spine0#2@1ms", fabric)
    (channel,) = find_dead_intervals(failure)
    assert fabric.link_names[channel >> 1] in ("leaf1-spine0#2", "spine0-leaf1#2")
    assert _names(fabric, [channel]) == {"leaf1>spine0"}


def test_a_repair_brings_rate_and_port_back(fabric):
    failure = _compile("leaf3-spine1@1ms..5s", fabric)
    assert set(map(tuple, find_dead_intervals(failure).values())) == {((1e6, 5e9),)}
    assert {(s.time_ns, s.up) for s in failure.signals} == {(1e6, False), (5e9, True)}
    assert failure.events[-1].rate_factor == 1


def test_a_port_with_hysteresis_comes_back_later(fabric):
    failure = _compile("leaf3-spine1@1ms..5ms:hold=10ms", fabric)
    assert {(s.time_ns, s.up) for s in failure.signals} == {(1e6, False), (15e6, True)}


def test_a_flap_goes_down_once_a_period(fabric):
    failure = _compile("leaf3-spine1@0ms..40ms:flap=10ms/0.2", fabric)
    expected = [(0.0, 2e6), (1e7, 1.2e7), (2e7, 2.2e7), (3e7, 3.2e7)]
    assert failure.kind == "flap"
    assert all(times == expected for times in find_dead_intervals(failure).values())
    assert len(failure.signals) == 2 * 2 * 4


def test_hysteresis_hides_the_flaps_from_forwarding(fabric):
    failure = _compile("leaf3-spine1@0ms..40ms:flap=10ms/0.2:hold=9ms", fabric)
    assert {(s.time_ns, s.up) for s in failure.signals} == {(0.0, False), (41e6, True)}


def test_a_silent_failure_has_no_signals(fabric):
    failure = _compile("leaf3-spine1@1ms:silent", fabric)
    assert failure.kind == "silent"
    assert failure.signals == ()
    assert len(find_dead_intervals(failure)) == 2


def test_seen_names_the_ends_whose_ports_go_down(fabric):
    failure = _compile("leaf3-spine1@1ms:seen=spine1", fabric)
    assert _names(fabric, {s.channel for s in failure.signals}) == {"spine1>leaf3"}
    assert len(find_dead_intervals(failure)) == 2


@pytest.mark.parametrize(
    ("modifier", "factor", "loss"),
    [
        ("rate=25%", 0.25, 0.0),
        ("rate=10G", 0.1, 0.0),
        ("loss=1%", 1.0, 0.01),
        ("crc=1e-6", 1.0, 1 - (1 - 1e-6) ** (8 * 4178)),
        ("rate=0.5:loss=0.1", 0.5, 0.1),
    ],
)
def test_a_degraded_link_stays_up(fabric, modifier, factor, loss):
    failure = _compile(f"leaf3-spine1@1ms..2ms:{modifier}", fabric)
    assert failure.kind == "degrade"
    assert failure.signals == ()
    assert failure.events[0].rate_factor == pytest.approx(factor)
    assert failure.events[0].loss == pytest.approx(loss)
    assert (failure.events[-1].rate_factor, failure.events[-1].loss) == (1.0, 0.0)


def test_dying_optics_lose_more_and_more_until_the_port_goes_down(fabric):
    failure = _compile("leaf3-spine1@1s:decay=10s", fabric)
    losses = [event.loss for event in failure.events if event.rate_factor > 0]
    assert failure.kind == "decay"
    assert losses == sorted(losses)
    assert losses[0] < 1e-8
    assert losses[-1] > 0.1
    assert all(times == [(11e9, math.inf)] for times in find_dead_intervals(failure).values())
    assert {signal.time_ns for signal in failure.signals} == {11e9}


def test_a_crashed_device_takes_all_its_links_along(fabric):
    failure = _compile("spine1@1ms", fabric)
    dead = _names(fabric, find_dead_intervals(failure))
    assert dead == {f"leaf{n}>spine1" for n in range(4)} | {f"spine1>leaf{n}" for n in range(4)}
    assert _names(fabric, {s.channel for s in failure.signals}) == {
        f"leaf{n}>spine1" for n in range(4)
    }
    assert failure.devices == (fabric.find_device("spine1"),)


def test_a_hung_device_is_not_seen(fabric):
    failure = _compile("spine1@1ms:silent", fabric)
    assert failure.signals == ()
    assert failure.kind == "device"


def test_endpoints_with_broken_access_links_are_alone(fabric):
    host = next(d.name for d in fabric.devices if d.kind == "host")
    link = next(n for n in fabric.link_names if host in n.split("-"))
    broken = _compile(f"{link}@1ms", fabric)
    assert endpoints_cut_off([broken], fabric) == (fabric.find_device(host),)
    assert endpoints_cut_off([_compile("leaf0@1ms", fabric)], fabric) == ()


def test_keys_of_a_file_say_the_same_as_text(fabric):
    spec = FailureSpec.model_validate(
        {"target": "leaf3-spine1", "at": "1ms", "until": "1s", "flap_period": "100ms"}
    )
    assert compile_failure(spec, fabric) == _compile("leaf3-spine1@1ms..1s:flap=100ms", fabric)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("leaf3-spine1", "TARGET@TIME"),
        ("leaf3-spine1@", "TARGET@TIME"),
        ("leaf3-spine1@soon", "'soon'"),
        ("leaf3-spine1@-1ms", "negative"),
        ("leaf3-spine1@5ms..1ms", "repaired before"),
        ("leaf3-spine1@1ms:sideways", "'sideways' is no modifier"),
        ("leaf3-spine1@1ms:flap=10ms", "needs an end"),
        ("leaf3-spine1@1ms..9d:flap=1ms", "flaps are more than"),
        ("leaf3-spine1@1ms..1s:flap=1ms/1.0", "duty"),
        ("leaf3-spine1@1ms:loss=2", "above 1"),
        ("leaf3-spine1@1ms:silent:seen=leaf3", "exclude each other"),
        ("leaf3-spine1@1ms:loss=0.1:decay=1s", "exclude each other"),
        ("leaf3-spine1@1e999s", "too large"),
    ],
)
def test_misspelt_failures_are_one_sentence(text, part):
    with pytest.raises(FabricError, match="failure") as caught:
        parse_failure(text)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("leaf3-spine9@1ms", "leaf3-spine1"),
        ("spin1@1ms", "no link"),
        ("spine1@1ms:oneway", "no direction"),
        ("leaf3-spine1@1ms:seen=leaf2", "one of its ends"),
        ("leaf3-spine1@1ms:rate=400G", "above the link's"),
    ],
)
def test_what_the_fabric_lacks_is_named(fabric, text, part):
    with pytest.raises(FabricError) as caught:
        _compile(text, fabric)
    assert part in str(caught.value)
