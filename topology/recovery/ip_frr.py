"""`ip-frr`: fast reroute with repair paths made beforehand (TI-LFA).

The device at the dead port sends packets on a repair path at once; nobody is told. A spine that
lost its way down to a leaf takes the detour over another leaf and another spine. `Routes` has
shortest paths only, so the detour is modelled at the devices that send to the one at the fault:
they stop using it for the groups in question when the repair path is in use. Delay and load of the
detour itself are not in the model, and a note says so. Routing beneath follows later.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from fabricscope.topology.recovery.detection import find_port_news, missed_messages
from fabricscope.topology.recovery.dissemination import News, disseminate
from fabricscope.topology.recovery.durations import DurationSetting, TimeSetting
from fabricscope.topology.recovery.parameters import Parameters, Setting, setting
from fabricscope.topology.recovery.plan import Plan, Scheme, Situation
from fabricscope.topology.recovery.union import unite

__all__ = ["FRR", "IpFrr", "IpFrrParameters"]

_CLAIM = "RFC 9256 and EANTC tests: below 50 ms in all; no finer figure is published"


class IpFrrParameters(Parameters):
    """Loss of signal starts the repair, or BFD where it is on."""

    detection: DurationSetting = setting(
        "0.1ms..10ms", "loss of signal to the forwarding plane", "ns", _CLAIM
    )
    bfd: bool = setting(False, "whether BFD watches each link as well", "", "off by default")
    bfd_interval: TimeSetting = setting(
        10e6, "time between BFD packets", "ns", "usual with hardware BFD: 10 ms x 3", gt=0
    )
    bfd_multiplier: Annotated[int, Field(ge=1, le=255)] = setting(
        3, "BFD packets missed before a link is down", "", "usual with hardware BFD: 10 ms x 3"
    )
    switch: DurationSetting = setting(
        "1ms..40ms", "from detection to the repair path in use", "ns", _CLAIM
    )
    restore: DurationSetting = setting(
        "0s..10s", "from a repaired port to its use", "ns", "as for OSPF: one hello of 10 s"
    )
    fallback: str = setting("ospf", "routing that runs beneath, or none", "", "TI-LFA is an IGP's")


FRR = {
    "detection": Setting("0.3ms..0.48ms..0.6ms", "lab of network namespaces: netlink event"),
}


class IpFrr:
    """Repair paths over the routing `beneath`."""

    def __init__(self, name: str, parameters: IpFrrParameters, beneath: Scheme | None) -> None:
        """Take the parameters, and what runs beneath."""
        self.name = name
        self.parameters = parameters
        self.beneath = beneath

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return when each device changes which routes."""
        given = self.parameters
        below = self.beneath.plan(situation, rng) if self.beneath else Plan(())
        watch = None
        if given.bfd:

            def watch() -> float:
                return missed_messages(given.bfd_interval, given.bfd_multiplier, 0.25, rng.random)

        ports = find_port_news(
            situation.fabric,
            situation.failure,
            lambda: given.detection.draw(rng),
            watch,
            lambda: given.restore.draw(rng),
        )
        changes = disseminate(situation, ports, _Reaction(given, rng))
        notes = below.notes
        if any(change.role == "remote" for change in changes):
            notes = (
                "the detour of a repair path is modelled as the other equal paths; its own delay "
                "and load are left out",
                *notes,
            )
        return Plan(unite(changes, below.changes), notes=notes)


class _Reaction:
    """Delays of repair paths: what breaks at one time is repaired at one time, wherever it is."""

    applies_local = True
    applies_remote = True

    def __init__(self, given: IpFrrParameters, rng: np.random.Generator) -> None:
        self.given = given
        self.rng = rng
        self.repaired: dict[float, float] = {}

    def takes_part(self, device: int) -> bool:
        """Return True: the whole fabric has repair paths."""
        return True

    def install(self, news: News) -> tuple[float, float]:
        """Return the switch to the repair path at the device at the fault."""
        if news.event_ns not in self.repaired:
            self.repaired[news.event_ns] = self.given.switch.draw(self.rng)
        return 0.0, self.repaired[news.event_ns]

    def pass_on(self, news: News) -> float:
        """Return 0: nobody is told."""
        return 0.0

    def travel(self, channel: int) -> float:
        """Return 0: no message travels."""
        return 0.0
