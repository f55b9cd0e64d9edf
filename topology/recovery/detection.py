"""When devices learn that a port of their own is dead: by its carrier, or by a timer running out.

A timer is BFD, a hold time, a dead interval or a heartbeat: it watches what comes in, and tells
the far end over the direction that still works.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.failures import Failure, find_dead_intervals

__all__ = ["PortNews", "find_port_news", "missed_messages"]

Draw = Callable[[], float]
"""Returns one random duration, ns."""


class PortNews(NamedTuple):
    """At `time_ns` the sending device of `channel` knows that it is dead, or works again (`up`).

    event_ns: when what it learned happened. carrier: learned from the port itself.
    """

    time_ns: float
    channel: int
    up: bool
    carrier: bool
    event_ns: float


class _Down(NamedTuple):
    start_ns: float
    end_ns: float
    carrier: bool
    event_ns: float
    repaired_ns: float


def find_port_news(
    fabric: Fabric,
    failure: Failure,
    carrier: Draw | None,
    timer: Draw | None,
    restore: Draw,
) -> list[PortNews]:
    """Return what devices learn about their own ports, in order of time.

    carrier: from a port signal to the control that acts on it; None: ports are not looked at.
    timer: from a direction's death until its receiver has waited long enough; None: no timer runs.
    restore: from a port or neighbour that is back until it is used again. A port that two ways
    find dead counts from the first.
    """
    downs: dict[int, list[_Down]] = {}
    if carrier is not None:
        _add_carrier(failure, carrier, restore, downs)
    if timer is not None:
        _add_timer(fabric, failure, timer, restore, downs)
    news = []
    for channel, intervals in downs.items():
        for down in _join(intervals):
            news.append(PortNews(down.start_ns, channel, False, down.carrier, down.event_ns))
            if down.end_ns < math.inf:
                news.append(PortNews(down.end_ns, channel, True, down.carrier, down.repaired_ns))
    return sorted(news)


def _add_carrier(
    failure: Failure, carrier: Draw, restore: Draw, downs: dict[int, list[_Down]]
) -> None:
    since: dict[int, float] = {}
    ended: list[tuple[int, float, float]] = []
    for signal in failure.signals:
        if not signal.up:
            since[signal.channel] = signal.time_ns
        elif signal.channel in since:
            ended.append((signal.channel, since.pop(signal.channel), signal.time_ns))
    ended += [(channel, start_ns, math.inf) for channel, start_ns in since.items()]
    for channel, start_ns, end_ns in ended:
        known_ns = start_ns + carrier()
        back_ns = end_ns + carrier() + restore()
        if known_ns < back_ns:
            downs.setdefault(channel, []).append(_Down(known_ns, back_ns, True, start_ns, end_ns))


def _add_timer(
    fabric: Fabric, failure: Failure, timer: Draw, restore: Draw, downs: dict[int, list[_Down]]
) -> None:
    delay_ns = fabric.channels.delay_ns
    crashed = set(failure.devices)
    dead = find_dead_intervals(failure)
    for channel, intervals in sorted(dead.items()):
        receiver = int(fabric.channels.target[channel])
        sender = int(fabric.channels.source[channel])
        for start_ns, end_ns in intervals:
            waited_ns = start_ns + timer()
            if waited_ns >= end_ns:
                continue
            back_ns = end_ns + restore()
            if receiver not in crashed:
                down = _Down(waited_ns, back_ns, False, start_ns, end_ns)
                downs.setdefault(channel ^ 1, []).append(down)
            told = not _covers(dead.get(channel ^ 1, []), waited_ns)
            if told and sender not in crashed and receiver not in crashed:
                told_ns = waited_ns + float(delay_ns[channel ^ 1])
                down = _Down(told_ns, back_ns, False, start_ns, end_ns)
                downs.setdefault(channel, []).append(down)


def _covers(intervals: list[tuple[float, float]], time_ns: float) -> bool:
    return any(start_ns <= time_ns < end_ns for start_ns, end_ns in intervals)


def _join(intervals: list[_Down]) -> list[_Down]:
    """Return the intervals without overlaps, each with the cause that came first."""
    out: list[_Down] = []
    for down in sorted(intervals):
        if out and down.start_ns <= out[-1].end_ns:
            if down.end_ns > out[-1].end_ns:
                out[-1] = out[-1]._replace(end_ns=down.end_ns, repaired_ns=down.repaired_ns)
        else:
            out.append(down)
    return out


def missed_messages(
    interval_ns: float, multiplier: int, jitter: float, random: Callable[[], float]
) -> float:
    """Return how long after a direction's death its receiver has missed `multiplier` messages.

    Messages come every `interval_ns`, shortened by up to the share `jitter` (0.25 in RFC 5880,
    section 6.8.7). The death falls into a gap between two messages, into long gaps more often.
    """
    shortest = 1 - jitter
    gap = math.sqrt(shortest**2 + random() * (1 - shortest**2))
    return interval_ns * (multiplier - random() * gap)
