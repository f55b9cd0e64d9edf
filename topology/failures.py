"""Failures as the engines and the recovery schemes see them.

What breaks is a list of channel events (the physical truth); who can notice it is a list of
port signals (what a device's data plane sees by itself). A silent failure has the first only.
"""

from dataclasses import dataclass

__all__ = ["ChannelEvent", "Failure", "PortSignal"]


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
    degrade, decay. events and signals are in order of time. start_ns: of the first event.
    devices: those that crash themselves (they neither forward nor signal from start_ns on).
    """

    name: str
    kind: str
    start_ns: float
    events: tuple[ChannelEvent, ...]
    signals: tuple[PortSignal, ...]
    devices: tuple[int, ...] = ()
