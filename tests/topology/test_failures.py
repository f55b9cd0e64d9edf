"""Several failures as one, and when channels are dead."""

import math

from fabricscope.topology.failures import (
    ChannelEvent,
    Failure,
    PortSignal,
    combine_failures,
    find_dead_intervals,
)


def _failure(name, start_ns, end_ns, channel=0, device=()):
    return Failure(
        name,
        "link",
        start_ns,
        (ChannelEvent(start_ns, channel, 0.0), ChannelEvent(end_ns, channel, 1.0)),
        (PortSignal(start_ns, channel, False), PortSignal(end_ns, channel, True)),
        device,
    )


def test_one_failure_stays_what_it_is():
    failure = _failure("a@1", 1.0, 2.0)
    assert combine_failures([failure]) is failure


def test_overlapping_failures_hold_a_channel_down_together():
    both = combine_failures([_failure("a", 1.0, 5.0), _failure("b", 3.0, 9.0, device=(7,))])
    assert both.name == "a,b"
    assert both.start_ns == 1.0
    assert find_dead_intervals(both) == {0: [(1.0, 9.0)]}
    assert [(s.time_ns, s.up) for s in both.signals] == [(1.0, False), (9.0, True)]
    assert both.devices == (7,)


def test_other_channels_keep_their_own_times():
    both = combine_failures([_failure("b", 3.0, 9.0), _failure("a", 1.0, 2.0, channel=4)])
    assert find_dead_intervals(both) == {0: [(3.0, 9.0)], 4: [(1.0, 2.0)]}
    assert [event.time_ns for event in both.events] == [1.0, 2.0, 3.0, 9.0]


def test_the_worst_of_two_degradations_counts():
    slow = Failure("a", "degrade", 1.0, (ChannelEvent(1.0, 0, 0.5, 0.1),), ())
    lossy = Failure("b", "degrade", 2.0, (ChannelEvent(2.0, 0, 0.8, 0.3),), ())
    assert combine_failures([slow, lossy]).events[-1] == ChannelEvent(2.0, 0, 0.5, 0.3)


def test_a_channel_that_loses_everything_is_dead():
    failure = Failure(
        "a", "decay", 1.0, (ChannelEvent(1.0, 0, 1.0, 0.5), ChannelEvent(2.0, 0, 1.0, 1.0)), ()
    )
    assert find_dead_intervals(failure) == {0: [(2.0, math.inf)]}
