"""`ospf` and `ospf-bfd`: link-state routing with throttled announcements and computations.

A link-state announcement floods hop by hop before anyone computes, so its way does not wait for
installation. Devices change only what the loss of their last next hop makes them change.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from fabricscope.topology.recovery.dissemination import News, disseminate
from fabricscope.topology.recovery.durations import DurationSetting, TimeSetting
from fabricscope.topology.recovery.parameters import Parameters, Setting, setting
from fabricscope.topology.recovery.plan import Plan, Situation
from fabricscope.topology.recovery.sessions import (
    FRR_LAB,
    FRR_PORTS,
    FabricWide,
    find_session_news,
)

__all__ = ["FRR", "Ospf", "OspfParameters"]

_AOS = "AOS-CX command reference: SPF throttle 200, 1,000 and 5,000 ms"


class OspfParameters(Parameters):
    """Timers are the defaults of RFC 2328 and of a published data-centre switch."""

    hello: TimeSetting = setting(10e9, "time between hellos", "ns", "RFC 2328, appendix C")
    dead_interval: TimeSetting = setting(
        40e9, "silence after which a neighbour is gone", "ns", "RFC 2328, appendix C"
    )
    bfd: bool = setting(False, "whether BFD watches each neighbour", "", "off by default")
    bfd_interval: TimeSetting = setting(
        100e6, "time between BFD packets", "ns", "SONiC design document: 100 ms x 3", gt=0
    )
    bfd_multiplier: Annotated[int, Field(ge=1, le=255)] = setting(
        3, "BFD packets missed before a neighbour is down", "", "SONiC design document"
    )
    carrier_detection: DurationSetting = setting(
        0, "port fault to the software that acts on it; polling takes up to 250 ms", "ns",
        "interrupt, contained in `local_repair`",
    )  # fmt: skip
    local_repair: DurationSetting = setting(
        "29.85ms..57ms", "from a carrier loss to the port's removal from its ECMP groups", "ns",
        "as for BGP on the same hardware (SONiC tests)",
    )  # fmt: skip
    lsa_wait: TimeSetting = setting(
        0, "wait before the first announcement of a change", "ns", "RFC 2328: at once"
    )
    lsa_interval: TimeSetting = setting(
        5e9, "least time between announcements of one device", "ns", "RFC 2328, MinLSInterval"
    )
    flood: DurationSetting = setting(
        "0.1ms..1ms", "time a device takes to flood an announcement on", "ns",
        "assumed: a packet through a switch's processor",
    )  # fmt: skip
    spf_wait: TimeSetting = setting(200e6, "wait before the first computation", "ns", _AOS)
    spf_hold: TimeSetting = setting(
        1e9, "wait between computations, doubled by each further change", "ns", _AOS
    )
    spf_longest: TimeSetting = setting(5e9, "longest wait for a computation", "ns", _AOS)
    install: DurationSetting = setting(
        "29.85ms..57ms", "from the start of the computation to the routes in hardware", "ns",
        "as for BGP on the same hardware (SONiC tests)",
    )  # fmt: skip
    restore: DurationSetting = setting(
        "0s..10s", "from a repaired port to a full adjacency", "ns", "one hello of 10 s"
    )


FRR = {
    **FRR_PORTS,
    "flood": Setting("0.1ms..0.3ms", f"{FRR_LAB}: a part of the remote row"),
    "spf_wait": Setting("0ms", "FRR's default: timers throttle spf 0 50 5000"),
    "spf_hold": Setting("50ms", "FRR's default: timers throttle spf 0 50 5000"),
    "install": Setting("10ms..11.7ms..13.5ms", f"{FRR_LAB}: what is left of the remote row"),
}


class Ospf:
    """OSPF with the given timers."""

    def __init__(self, name: str, parameters: OspfParameters) -> None:
        """Take the parameters."""
        self.name = name
        self.parameters = parameters

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return when each device changes which routes."""
        given = self.parameters
        ports = find_session_news(situation, given, lambda: self._draw_dead(rng), rng)
        return Plan(tuple(disseminate(situation, ports, _Reaction(given, situation, rng))))

    def _draw_dead(self, rng: np.random.Generator) -> float:
        """Return what is left of a dead interval that the last hello began, ns."""
        return self.parameters.dead_interval - float(rng.random()) * self.parameters.hello


class _Reaction(FabricWide):
    """OSPF's delays; it remembers each device's last announcement and computation."""

    def __init__(
        self, given: OspfParameters, situation: Situation, rng: np.random.Generator
    ) -> None:
        super().__init__(situation)
        self.given = given
        self.rng = rng
        self.announced: dict[int, float] = {}
        self.computed: dict[int, tuple[float, float]] = {}

    def install(self, news: News) -> tuple[float, float]:
        """Return the wait for the computation with the writing; it is used at once."""
        given = self.given
        if not len(news.groups) and news.carrier and not news.up:
            return given.local_repair.draw(self.rng), 0.0
        return self._wait_for_spf(news) + given.install.draw(self.rng), 0.0

    def _wait_for_spf(self, news: News) -> float:
        """Return the wait before the device computes, and remember when it does."""
        given = self.given
        last = self.computed.get(news.device)
        if last is not None and news.time_ns <= last[0]:
            return last[0] - news.time_ns  # a computation is due that takes this in
        wait_ns = given.spf_wait
        hold_ns = given.spf_hold
        if last is not None and news.time_ns < last[0] + last[1]:
            wait_ns = max(wait_ns, last[0] + last[1] - news.time_ns)
            hold_ns = min(2 * last[1], given.spf_longest)
        self.computed[news.device] = (news.time_ns + wait_ns, hold_ns)
        return wait_ns

    def pass_on(self, news: News) -> float:
        """Return the throttle of an own announcement, or the time to flood another's."""
        given = self.given
        if len(news.groups):
            return given.flood.draw(self.rng)
        due_ns = news.time_ns + given.lsa_wait
        if news.device in self.announced:
            due_ns = max(due_ns, self.announced[news.device] + given.lsa_interval)
        self.announced[news.device] = due_ns
        return due_ns - news.time_ns + given.flood.draw(self.rng)
