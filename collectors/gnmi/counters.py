"""What streamed OpenConfig interface counters say ports did; no connections here."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fabricscope.collectors.ports import PortInterval

__all__ = ["GnmiPorts"]

MAX_PORTS: Final = 16_384
"""Ports told apart; updates of others are counted as left out."""

_WANTED: Final = re.compile(
    r"(?:in|out)-(?:octets|pkts|unicast-pkts|multicast-pkts|broadcast-pkts|errors|discards"
    r"|fcs-errors)|carrier-transitions"
)
_SPEED: Final = re.compile(r"(?:.*:)?SPEED_(\d+)(MB|GB)")
_UNIT_GBPS: Final = {"MB": 1e-3, "GB": 1.0}


@dataclass
class _Port:
    """A port's counters now and as they were told last."""

    time_ns: int = 0
    values: dict[str, int] = field(default_factory=dict)
    told_ns: int = 0
    told: dict[str, int] = field(default_factory=dict)
    rate_gbps: float | None = None
    is_up: bool = True


class GnmiPorts:
    """State of all ports of all targets; `take` may be called from any thread."""

    def __init__(self, *, max_ports: int = MAX_PORTS) -> None:
        """Know no port yet."""
        self._max_ports = max_ports
        self._ports: dict[str, _Port] = {}
        self._lock = threading.Lock()
        self.left_out = 0
        """Updates of ports beyond the bound."""

    def take(self, target: str, name: str, time_ns: int, leaves: Mapping[str, Any]) -> None:
        """Take in leaves of a port by the last part of their path; others are passed over."""
        with self._lock:
            port = self._ports.get(f"{target} {name}")
            if port is None:
                if len(self._ports) >= self._max_ports:
                    self.left_out += 1
                    return
                port = self._ports[f"{target} {name}"] = _Port()
            for leaf, value in leaves.items():
                text = str(value)
                if leaf == "oper-status":
                    port.is_up = text.rpartition(":")[2] == "UP"
                elif leaf == "port-speed":
                    found = _SPEED.fullmatch(text)
                    port.rate_gbps = int(found[1]) * _UNIT_GBPS[found[2]] if found else None
                elif _WANTED.fullmatch(leaf) and re.fullmatch(r"\d{1,20}", text):
                    port.values[leaf] = int(text)
                    port.time_ns = max(port.time_ns, time_ns)

    def intervals(self) -> list[PortInterval]:
        """Return both directions of each port whose counters have come since they were told."""
        result: list[PortInterval] = []
        with self._lock:
            for name, port in self._ports.items():
                if port.time_ns <= port.told_ns:
                    continue
                if port.told_ns:
                    result += _intervals(name, port)
                port.told_ns, port.told = port.time_ns, dict(port.values)
        return result


def _intervals(name: str, port: _Port) -> list[PortInterval]:
    """Return what grew, nothing if a counter fell: OpenConfig keeps 64 bits, so it was set back."""
    grown = {leaf: port.values[leaf] - port.told[leaf] for leaf in port.told}
    if any(step < 0 for step in grown.values()):
        return []
    result = []
    for direction, side in (("up", "in"), ("down", "out")):
        kinds = [f"{side}-{kind}-pkts" for kind in ("unicast", "multicast", "broadcast")]
        packets = grown.get(f"{side}-pkts", sum(grown.get(kind, 0) for kind in kinds))
        result.append(
            PortInterval(
                name,
                direction,
                port.time_ns - port.told_ns,
                port.rate_gbps,
                packets=packets,
                bytes=grown.get(f"{side}-octets", 0),
                errors=max(grown.get(f"{side}-errors", 0), grown.get(f"{side}-fcs-errors", 0)),
                discards=grown.get(f"{side}-discards", 0),
                # A transition is a change either way; a port that is up went down half as often.
                flaps=(grown.get("carrier-transitions", 0) + (not port.is_up)) // 2,
                notes=() if port.is_up else ("is down",),
            )
        )
    return result
