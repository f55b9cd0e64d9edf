"""`bgp`, `bgp-traditional` and `bfd`: eBGP on every device, with or without BFD.

One session a link. A speaker that lost its last path withdraws the prefix from its neighbours;
each speaker on the way processes the withdrawal before it passes it on. Path hunting and route
reflectors are not in the model: with one autonomous system a device and shortest paths only, no
longer path takes over.
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fabricscope.topology.recovery.detection import find_port_news
from fabricscope.topology.recovery.dissemination import News, disseminate
from fabricscope.topology.recovery.durations import DurationSetting, TimeSetting
from fabricscope.topology.recovery.parameters import Parameters, Setting, setting
from fabricscope.topology.recovery.plan import Plan, RouteChange, Situation
from fabricscope.topology.recovery.sessions import (
    FRR_LAB,
    FRR_PORTS,
    FabricWide,
    find_session_news,
)
from fabricscope.topology.recovery.union import unite

__all__ = ["FRR", "Bgp", "BgpParameters"]

_SONIC = "SONiC tests: 59.7 and 114 ms after a link flap, shared by the two speakers"
_FASTEST_SAFE_NS = 50e6


class BgpParameters(Parameters):
    """Timers are those of FRR's datacenter profile unless the scheme is `bgp-traditional`."""

    hold_time: TimeSetting = setting(
        9e9, "silence after which a session is closed", "ns", "FRR's datacenter profile"
    )
    keepalive: TimeSetting = setting(
        3e9, "time between keepalives", "ns", "FRR's datacenter profile"
    )
    bfd: bool = setting(False, "whether BFD watches each session", "", "off by default")
    bfd_interval: TimeSetting = setting(
        100e6, "time between BFD packets", "ns", "SONiC design document: 100 ms x 3", gt=0
    )
    bfd_multiplier: Annotated[int, Field(ge=1, le=255)] = setting(
        3, "BFD packets missed before a session is down", "", "SONiC design document: 100 ms x 3"
    )
    carrier_detection: DurationSetting = setting(
        0, "port fault to the software that acts on it; polling takes up to 250 ms", "ns",
        "interrupt, contained in `process`",
    )  # fmt: skip
    local_repair: DurationSetting = setting(
        "29.85ms..57ms", "from a carrier loss to the port's removal from its ECMP groups", "ns",
        f"{_SONIC}; 0.3 ms where the kernel or the driver prunes dead members itself (lab)",
    )  # fmt: skip
    process: DurationSetting = setting(
        "29.85ms..57ms", "time a speaker works on a withdrawal before it passes it on", "ns", _SONIC
    )
    finish: DurationSetting = setting(
        0, "from the end of processing to the route in hardware", "ns", "contained in `process`"
    )
    install: Literal["per-prefix", "pic"] = setting(
        "per-prefix", "whether routes are written one by one, or one shared next hop is (PIC)", "",
        "the usual case",
    )  # fmt: skip
    prefix_time: TimeSetting = setting(
        43e3, "to write one prefix", "ns", f"{FRR_LAB}: 86 ms for 2,000 prefixes"
    )
    prefixes: Annotated[int, Field(ge=0, le=10_000_000)] = setting(
        0, "prefixes beyond the fabric's own that one failure withdraws", "", "none"
    )
    next_hop_groups: bool = setting(
        True, "whether a port's removal changes all its routes at once", "", "usual since PIC edge"
    )
    restore: DurationSetting = setting(
        "0s..10s", "from a repaired port to its routes in use", "ns",
        "connect timer of FRR's datacenter profile, 10 s",
    )  # fmt: skip
    neighbour_failed: DurationSetting | None = setting(
        None, "silence after which the forwarding plane itself avoids a neighbour", "ns",
        "hardware does not",
    )  # fmt: skip


FRR = {
    **FRR_PORTS,
    "process": Setting("50ms", f"{FRR_LAB}: bgpd holds its work queue this long"),
    "finish": Setting("19ms..21ms..25ms", f"{FRR_LAB}: what is left of the remote rows"),
    "neighbour_failed": Setting("23s..27.6s..53s", f"{FRR_LAB}: one silent run; Linux neighbours"),
}


class Bgp:
    """eBGP with the given timers."""

    def __init__(self, name: str, parameters: BgpParameters) -> None:
        """Take the parameters."""
        self.name = name
        self.parameters = parameters

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return when each device changes which routes."""
        given = self.parameters
        ports = find_session_news(situation, given, lambda: self._draw_hold(rng), rng)
        changes = disseminate(situation, ports, _Reaction(given, situation, rng))
        notes: tuple[str, ...] = ()
        if given.bfd and given.bfd_interval * given.bfd_multiplier < _FASTEST_SAFE_NS:
            notes = (
                "so fast a BFD timer breaks healthy sessions when a processor is busy; false "
                "alarms are not in the model",
            )
        return Plan(unite(changes, self._avoid_neighbours(situation, rng)), notes=notes)

    def _draw_hold(self, rng: np.random.Generator) -> float:
        """Return what is left of a hold time that the last keepalive began, ns."""
        return self.parameters.hold_time - float(rng.random()) * self.parameters.keepalive

    def _avoid_neighbours(
        self, situation: Situation, rng: np.random.Generator
    ) -> list[RouteChange]:
        """Return what a forwarding plane does by itself about silent neighbours."""
        wait = self.parameters.neighbour_failed
        if wait is None:
            return []
        ports = find_port_news(
            situation.fabric, situation.failure, None, lambda: wait.draw(rng), lambda: 0.0
        )
        reaction = _Reaction(self.parameters, situation, rng, applies_remote=False)
        changes = disseminate(situation, ports, reaction)
        return [change for change in changes if change.role == "local"]


class _Reaction(FabricWide):
    """BGP's delays."""

    def __init__(
        self,
        given: BgpParameters,
        situation: Situation,
        rng: np.random.Generator,
        applies_remote: bool = True,
    ) -> None:
        super().__init__(situation, applies_remote)
        self.given = given
        self.rng = rng

    def _write(self, groups: int) -> float:
        given = self.given
        return (given.prefixes + groups) * given.prefix_time if given.install != "pic" else 0.0

    def install(self, news: News) -> tuple[float, float]:
        """Return processing with writing, and the time until the hardware uses it."""
        given = self.given
        local = not len(news.groups)
        if local and news.carrier and not news.up and given.next_hop_groups:
            return given.local_repair.draw(self.rng), 0.0
        return (
            given.process.draw(self.rng) + self._write(len(news.groups)),
            given.finish.draw(self.rng),
        )

    def pass_on(self, news: News) -> float:
        """Return the time that the speaker works before it tells its neighbours."""
        return self.given.process.draw(self.rng)
