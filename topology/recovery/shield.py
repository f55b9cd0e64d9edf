"""`shield`: switches of an adaptive-routing fabric mask dead ports and notify their neighbours.

Like NVIDIA's SHIELD: fast link fault recovery is the local part, the notification of neighbours the
remote one. Only ports are looked at: a silent failure stays until the subnet manager's next sweep,
which is not in the model.
"""

import numpy as np

from fabricscope.topology.recovery.detection import find_port_news
from fabricscope.topology.recovery.dissemination import News, disseminate
from fabricscope.topology.recovery.durations import DurationSetting
from fabricscope.topology.recovery.parameters import Parameters, setting
from fabricscope.topology.recovery.plan import Plan, Situation
from fabricscope.topology.recovery.sessions import FabricWide

__all__ = ["Shield", "ShieldParameters"]

_CLAIM = "derived from the claim of 5,000 times faster than a subnet manager's 10-20 s"


class ShieldParameters(Parameters):
    """The claim is end to end; it is taken as the time to mask, whoever masks."""

    detection: DurationSetting = setting(
        "0.5us..5us", "port fault to the switch's own control", "ns", "loss of signal"
    )
    notify: DurationSetting = setting(
        "0.25us..1us", "time a switch takes to make or relay a notification", "ns",
        "forwarding delay of one switch",
    )  # fmt: skip
    mask: DurationSetting = setting(
        "2ms..4ms", "time to take a port out of its adaptive-routing group", "ns", _CLAIM
    )
    restore: DurationSetting = setting(
        "10s..20s", "from a repaired port to its use", "ns", "a subnet manager's sweep"
    )


class Shield:
    """Masks and notifications."""

    def __init__(self, name: str, parameters: ShieldParameters) -> None:
        """Take the parameters."""
        self.name = name
        self.parameters = parameters

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return when each device changes which routes."""
        given = self.parameters
        ports = find_port_news(
            situation.fabric,
            situation.failure,
            lambda: given.detection.draw(rng),
            None,
            lambda: given.restore.draw(rng),
        )
        return Plan(tuple(disseminate(situation, ports, _Reaction(situation, given, rng))))


class _Reaction(FabricWide):
    """Delays of masks and notifications; one subnet manager rules the fabric."""

    def __init__(
        self, situation: Situation, given: ShieldParameters, rng: np.random.Generator
    ) -> None:
        super().__init__(situation)
        self.given = given
        self.rng = rng

    def install(self, news: News) -> tuple[float, float]:
        """Return the time to write the mask."""
        return self.given.mask.draw(self.rng), 0.0

    def pass_on(self, news: News) -> float:
        """Return the time to make or relay a notification."""
        return self.given.notify.draw(self.rng)
