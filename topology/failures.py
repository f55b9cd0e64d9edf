"""Failures as the engines and the recovery schemes see them.

What breaks is a list of channel events (the physical truth); who can notice it is a list of
port signals (what a device's data plane sees by itself). A silent failure has the first only.
How users write failures stands in failure_specs.py.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ChannelEvent", "Failure", "PortSignal", "combine_failures", "find_dead_intervals"]


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """From `time_ns` on, a channel carries `rate_factor` of its rate and loses `loss` of packets.

    rate_factor: 1 healthy, 0 dead (everything sent into it is lost); loss: probability 0..1.
    """

    time_ns: float
    channel: int
    rate_factor: float
    loss: float = 0.0


@dataclass(frozen=True, slots=True)
class PortSignal:
    """At `time_ns` the device at the sending end of `channel` sees its port go down or up."""

    time_ns: float
    channel: int
    up: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that breaks, compiled for a fabric.

    name: as the user gave it, for example `leaf3-spine1@1ms`. kind: link, device, flap, silent,
    degrade, decay, several. events and signals are in order of time. start_ns: of the first event.
    devices: those that crash themselves (they neither forward nor signal from start_ns on).
    """

    name: str
    kind: str
    start_ns: float
    events: tuple[ChannelEvent, ...]
    signals: tuple[PortSignal, ...]
    devices: tuple[int, ...] = ()


def combine_failures(failures: Sequence[Failure]) -> Failure:
    """Return one failure that is all of `failures` together (at least one).

    A channel that several of them touch carries the least of their rates and loses the most of
    their losses; a port is up only when none of them holds it down.
    """
    if len(failures) == 1:
        return failures[0]
    events: dict[int, list[tuple[float, int, ChannelEvent]]] = defaultdict(list)
    signals: dict[int, list[tuple[float, int, bool]]] = defaultdict(list)
    for number, failure in enumerate(failures):
        for event in failure.events:
            events[event.channel].append((event.time_ns, number, event))
        for signal in failure.signals:
            signals[signal.channel].append((signal.time_ns, number, signal.up))
    return Failure(
        ",".join(failure.name for failure in failures),
        "several",
        min(failure.start_ns for failure in failures),
        tuple(
            sorted(
                (event for channel in events for event in _overlay(channel, events[channel])),
                key=lambda event: (event.time_ns, event.channel),
            )
        ),
        tuple(
            sorted(
                (signal for channel in signals for signal in _hold(channel, signals[channel])),
                key=lambda signal: (signal.time_ns, signal.channel),
            )
        ),
        tuple(sorted({device for failure in failures for device in failure.devices})),
    )


def _overlay(channel: int, events: list[tuple[float, int, ChannelEvent]]) -> list[ChannelEvent]:
    state: dict[int, tuple[float, float]] = {}
    out: list[ChannelEvent] = []
    for time_ns, number, event in sorted(events, key=lambda entry: entry[:2]):
        state[number] = (event.rate_factor, event.loss)
        rate = min(factor for factor, _ in state.values())
        loss = max(loss for _, loss in state.values())
        if out and (out[-1].rate_factor, out[-1].loss) == (rate, loss):
            continue
        out.append(ChannelEvent(time_ns, channel, rate, loss))
    return out


def _hold(channel: int, signals: list[tuple[float, int, bool]]) -> list[PortSignal]:
    down: set[int] = set()
    out: list[PortSignal] = []
    for time_ns, number, up in sorted(signals):
        before = bool(down)
        if up:
            down.discard(number)
        else:
            down.add(number)
        if bool(down) != before:
            out.append(PortSignal(time_ns, channel, not down))
    return out


def find_dead_intervals(failure: Failure) -> dict[int, list[tuple[float, float]]]:
    """Return for each channel when nothing sent into it arrives: [(from_ns, until_ns)].

    until_ns is inf where the channel never comes back.
    """
    intervals: dict[int, list[tuple[float, float]]] = {}
    since: dict[int, float] = {}
    for event in failure.events:
        dead = event.rate_factor <= 0 or event.loss >= 1
        if dead:
            since.setdefault(event.channel, event.time_ns)
        elif event.channel in since:
            start_ns = since.pop(event.channel)
            intervals.setdefault(event.channel, []).append((start_ns, event.time_ns))
    for channel, start_ns in since.items():
        intervals.setdefault(channel, []).append((start_ns, math.inf))
    return intervals
