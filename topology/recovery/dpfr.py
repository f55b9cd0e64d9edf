"""`dpfr`, `dpfr-local`, `dpfr-remote`: data plane fast recovery, driven by ports.

The user's mode: as soon as a port fails, every destination behind it moves (local), and a device
without another path notifies all devices that send it traffic for those destinations (remote),
which relay where nothing is left to them either. The published mode, which waits for sampled
packets, stands in dpfr_sampled.py. Routing runs beneath and takes over what DPFR cannot see.
"""

import fnmatch
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fabricscope.topology.fabric import Fabric
from fabricscope.topology.recovery.detection import PortNews, find_port_news, missed_messages
from fabricscope.topology.recovery.dissemination import News, disseminate
from fabricscope.topology.recovery.durations import DurationSetting, TimeSetting
from fabricscope.topology.recovery.parameters import Parameters, Setting, setting
from fabricscope.topology.recovery.plan import DataPlane, Plan, Scheme, Situation
from fabricscope.topology.recovery.union import unite

__all__ = [
    "FRR",
    "CommonParameters",
    "Dpfr",
    "DpfrParameters",
    "find_participants",
    "keep_included",
]

_FLOOR = "physical floor of a remote switch-over: some microseconds in all"
_LAB = "lab of network namespaces, stages of twelve runs"


class CommonParameters(Parameters):
    """What both modes have. The claim is below 1 ms in all; no finer figure is published."""

    local: bool = setting(True, "whether a device moves its own traffic", "", "the mechanism")
    remote: bool = setting(True, "whether a device notifies those upstream", "", "the mechanism")
    detection: DurationSetting = setting(
        "0.5us..5us", "from the fault to the data plane that knows of it", "ns", _FLOOR
    )
    notify: DurationSetting = setting(
        "0.25us..1us", "time a device takes to make or relay a notification", "ns",
        "forwarding delay of one switch",
    )  # fmt: skip
    notification_bytes: Annotated[int, Field(ge=64, le=9216)] = setting(
        64, "size of a notification on the wire", "B", "least Ethernet frame"
    )
    install: DurationSetting = setting(
        "1us..5us", "time to write what was told into the table", "ns", _FLOOR
    )
    local_install: DurationSetting = setting(
        "1us..5us", "time to write a fault of an own port into the table", "ns", _FLOOR
    )
    devices: str = setting(
        "*", "names of devices that take part, with * and ?, separated by commas", "", "all",
        min_length=1,
    )  # fmt: skip
    exclude: str = setting(
        "", "links it does not protect (LAG members, VXLAN tunnels), as in `devices`", "", "none"
    )
    fallback: str = setting(
        "bgp", "recovery scheme that runs beneath, or none", "", "DPFR assumes converging routes"
    )


class DpfrParameters(CommonParameters):
    """The port-driven mode can watch for silent failures, and waits before it returns."""

    heartbeat: TimeSetting = setting(
        0, "time between heartbeats that find silent failures; 0: none", "ns",
        "the mechanism looks at ports only",
    )  # fmt: skip
    heartbeats_missed: Annotated[int, Field(ge=1, le=100)] = setting(
        4, "heartbeats missed before a link is dead", "", f"{_LAB}: 4 ms x 4"
    )
    restore: DurationSetting = setting(
        5e9, "from a repaired port to its use", "ns", "default age of fault-table entries, 5 s"
    )


FRR = {
    "detection": Setting("341us..480us..1498us", f"{_LAB}: cut to the netlink event"),
    "notify": Setting("97us..888us..4455us", f"{_LAB}: event to the notification"),
    "install": Setting("49us..79us..3129us", f"{_LAB}: notification to the acknowledged route"),
    "local_install": Setting("81us..118us..1109us", f"{_LAB}: event to the acknowledged route"),
}


class Dpfr:
    """Port-driven DPFR over the scheme `beneath`."""

    def __init__(self, name: str, parameters: DpfrParameters, beneath: Scheme | None) -> None:
        """Take the parameters, and what runs beneath."""
        self.name = name
        self.parameters = parameters
        self.beneath = beneath

    def plan(self, situation: Situation, rng: np.random.Generator) -> Plan:
        """Return when each device changes which routes."""
        given = self.parameters
        below = self.beneath.plan(situation, rng) if self.beneath else Plan(())
        timer = None
        if given.heartbeat:
            timer = lambda: missed_messages(  # noqa: E731
                given.heartbeat, given.heartbeats_missed, 0.0, rng.random
            )
        ports = find_port_news(
            situation.fabric,
            situation.failure,
            lambda: given.detection.draw(rng),
            timer,
            lambda: given.restore.draw(rng),
        )
        kept, notes = keep_included(situation.fabric, ports, given.exclude)
        reaction = _Reaction(given, situation, rng)
        changes = disseminate(situation, kept, reaction)
        data_plane = DataPlane(
            mode="port",
            local=given.local,
            remote=given.remote,
            detect_ns=given.detection.draw(rng),
            install_ns=given.install.draw(rng),
            sampler=1,
            table_size=0,
            ageing_ns=0.0,
            notification_bytes=given.notification_bytes,
            process_ns=given.notify.draw(rng),
            takes_part=reaction.participants,
        )
        return Plan(
            unite(changes, below.changes), data_plane, beneath=below.changes,
            notes=(*notes, *below.notes),
        )  # fmt: skip


class _Reaction:
    """DPFR's delays."""

    def __init__(
        self, given: DpfrParameters, situation: Situation, rng: np.random.Generator
    ) -> None:
        self.applies_local = given.local
        self.applies_remote = given.remote
        self.given = given
        self.channels = situation.fabric.channels
        self.participants = find_participants(situation.fabric, given.devices)
        self.rng = rng

    def takes_part(self, device: int) -> bool:
        """Return whether `device` has DPFR."""
        return bool(self.participants[device])

    def install(self, news: News) -> tuple[float, float]:
        """Return the time to write the table; forwarding looks it up at once."""
        given = self.given
        write = given.install if len(news.groups) else given.local_install
        return write.draw(self.rng), 0.0

    def pass_on(self, news: News) -> float:
        """Return the time to make or relay a notification."""
        return self.given.notify.draw(self.rng)

    def travel(self, channel: int) -> float:
        """Return serialisation, propagation and forwarding of the notification."""
        bits = 8 * self.given.notification_bytes
        return float(bits / self.channels.rate[channel] + self.channels.delay_ns[channel])


def find_participants(fabric: Fabric, patterns: str) -> NDArray[np.uint8]:
    """Return (devices) 1 for those whose name one of the comma-separated patterns matches."""
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    return np.array(
        [
            any(fnmatch.fnmatchcase(device.name, pattern) for pattern in wanted)
            for device in fabric.devices
        ],
        np.uint8,
    )


def keep_included(
    fabric: Fabric, ports: list[PortNews], exclude: str
) -> tuple[list[PortNews], tuple[str, ...]]:
    """Return the news of ports that are protected, and a note about those that are not."""
    if not exclude:
        return ports, ()
    patterns = [pattern.strip() for pattern in exclude.split(",")]
    kept = []
    left_out: set[str] = set()
    for port in ports:
        name = fabric.link_names[port.channel >> 1]
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            left_out.add(name)
        else:
            kept.append(port)
    if not left_out:
        return kept, ()
    return kept, (f"excluded from DPFR: {', '.join(sorted(left_out))}",)
