"""What routing protocols that run on every device share: how sessions end, and their own wires.

A session ends with its port's carrier, after silence, or when BFD misses packets. What a protocol
then does is in its own file.
"""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from fabricscope.topology.recovery.detection import PortNews, find_port_news, missed_messages
from fabricscope.topology.recovery.durations import Duration
from fabricscope.topology.recovery.parameters import Setting
from fabricscope.topology.recovery.plan import Situation

__all__ = ["FRR_LAB", "FRR_PORTS", "FabricWide", "SessionParameters", "find_session_news"]

FRR_LAB: Final = "lab of network namespaces with FRR 8.4"
FRR_PORTS: Final = {
    "carrier_detection": Setting("0.3ms..0.48ms..0.6ms", f"{FRR_LAB}: netlink event after the cut"),
    "local_repair": Setting("0.1ms..0.3ms..0.5ms", f"{FRR_LAB}: local rows after carrier loss"),
}
"""How long Linux and FRR take to notice a port, whichever protocol runs."""
_BFD_JITTER: Final = 0.25


class SessionParameters(Protocol):
    """The parameters that watch a session."""

    @property
    def bfd(self) -> bool:
        """Whether BFD watches it."""
        ...

    @property
    def bfd_interval(self) -> float:
        """Time between BFD packets, ns."""
        ...

    @property
    def bfd_multiplier(self) -> int:
        """BFD packets missed before it is down."""
        ...

    @property
    def carrier_detection(self) -> Duration:
        """From a port fault to the software that acts on it."""
        ...

    @property
    def restore(self) -> Duration:
        """From a repaired port to its use."""
        ...


def find_session_news(
    situation: Situation,
    given: SessionParameters,
    silence: Callable[[], float],
    rng: np.random.Generator,
) -> list[PortNews]:
    """Return when devices learn about their own ports; `silence` draws the protocol's timer, ns."""

    def watch() -> float:
        waited_ns = silence()
        if not given.bfd:
            return waited_ns
        missed_ns = missed_messages(
            given.bfd_interval, given.bfd_multiplier, _BFD_JITTER, rng.random
        )
        return min(waited_ns, missed_ns)

    return find_port_news(
        situation.fabric,
        situation.failure,
        lambda: given.carrier_detection.draw(rng),
        watch,
        lambda: given.restore.draw(rng),
    )


class FabricWide:
    """The part of a `Reaction` that schemes share which run on every device, in small messages."""

    def __init__(self, situation: Situation, applies_remote: bool = True) -> None:
        """Take the wires that messages travel on."""
        self.applies_local = True
        self.applies_remote = applies_remote
        self._delay_ns = situation.fabric.channels.delay_ns

    def takes_part(self, device: int) -> bool:
        """Return True: the whole fabric runs the scheme."""
        return True

    def travel(self, channel: int) -> float:
        """Return the wire's own delay; the message is small."""
        return float(self._delay_ns[channel])
