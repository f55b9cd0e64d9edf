"""Mirrors that arrive at this host's own address, wrapped in ERSPAN, VXLAN or GRE.

What is mirrored is taken out of its wrapping before it is decoded, so that everything after sees
the packet as it was on the switch; each session or VNI is a tap with a name of its own.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.mirror import kernels
from fabricscope.collectors.mirror.layout import (
    ERSPAN,
    GRE,
    KEY_ADDRESS_HI,
    KEY_ADDRESS_LO,
    KEY_COLUMNS,
    KEY_SESSION,
    SESSION_SHIFT,
    TUNNEL_NAMES,
    VXLAN,
)
from fabricscope.records import Packets

__all__ = ["FILTERS", "MirrorTunnels"]

FILTERS: Final = {
    "erspan": (ERSPAN, "proto 47"),
    "vxlan": (VXLAN, "udp dst port 4789"),
    "gre": (GRE, "proto 47"),
}
"""Kind of tunnel and the filter (pcap syntax) that lets it through, by the name to ask for."""

MAX_TAPS: Final = 64
"""Taps told apart, those of the interfaces included; later sessions share the last."""


class MirrorTunnels:
    """The sessions seen so far on `interfaces`; `kinds` are names out of FILTERS."""

    def __init__(self, kinds: Sequence[str], interfaces: Sequence[str]) -> None:
        """Know no session yet. Taps are numbered after those of the interfaces."""
        self.kinds = tuple(kinds)
        self._wanted = sum({FILTERS[kind][0] for kind in kinds})
        self._interfaces = list(interfaces)
        room = max(MAX_TAPS - len(self._interfaces) - 1, 0)
        self._keys = np.zeros((room, KEY_COLUMNS), np.uint64)
        self._found = np.zeros(KEY_COLUMNS, np.uint64)
        self._names: list[str] = []

    def names(self) -> list[str]:
        """Return the name of each tap number, the interfaces first."""
        shared = ["other mirrors"] if len(self._names) == len(self._keys) else []
        return [*self._interfaces, *self._names, *shared]

    def unwrap(self, view: NDArray[np.uint8], packets: Packets) -> None:
        """Move rows to the mirrored frame and give them their tap; call before decoding."""
        row = 0
        while row < packets.time_ns.size:
            row = kernels.unwrap_mirrors(
                view,
                packets,
                row,
                self._wanted,
                self._keys,
                len(self._names),
                len(self._interfaces),
                self._found,
            )
            if row < packets.time_ns.size:
                self._keys[len(self._names)] = self._found
                self._names.append(self._name())

    def _name(self) -> str:
        """Return the name of the tap just found, with the sender where the name is taken."""
        session = int(self._found[KEY_SESSION])
        kind = TUNNEL_NAMES[session >> SESSION_SHIFT]
        name = f"{kind} {session & ((1 << SESSION_SHIFT) - 1)}"
        if name not in self._names:
            return name
        hi, lo = int(self._found[KEY_ADDRESS_HI]), int(self._found[KEY_ADDRESS_LO])
        address = ipaddress.IPv6Address(hi << 64 | lo)
        name = f"{name} from {address.ipv4_mapped or address}"
        # The same session of the same switch on two interfaces: told apart by a number.
        alike = sum(known == name or known.startswith(f"{name} (") for known in self._names)
        return f"{name} ({alike + 1})" if alike else name
