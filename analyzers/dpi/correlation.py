"""Flows named by other flows: who was announced where, and what the addresses are called.

Each reader takes one message of a flow that announces others (FTP, SIP, RTSP, portmap, a c10d
store, ...) and notes endpoints. The tables are bounded and their entries expire, in capture time.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fabricscope.analyzers.dpi.extractors.text import Detail

MAX_ENTRIES: Final = 16_384
LIFETIME_NS: Final = 600 * 1_000_000_000
NAME_LIFETIME_NS: Final = 24 * 3_600 * 1_000_000_000
_IPV4_LOW: Final = 0xFFFF_0000_0000


class Endpoint(NamedTuple):
    """An address (two halves, IPv4 mapped) and a port."""

    high: int
    low: int
    port: int


class Announcements:
    """What flows have said about others."""

    def __init__(self) -> None:
        """Start empty."""
        self.dropped = 0
        self._time_ns = 0
        self._endpoints: dict[tuple[int, int, int, int], tuple[str, int]] = {}
        self._queue_pairs: dict[tuple[int, int, int], tuple[str, int]] = {}
        self._connections: dict[tuple[int, int, int], str] = {}
        self._names: dict[tuple[int, int], tuple[str, int]] = {}

    def read(
        self, application: str, message: bytes, sender: Endpoint, receiver: Endpoint, time_ns: int
    ) -> None:
        """Take in one message of an announcing flow."""
        self._time_ns = time_ns
        reader = _READERS.get(application)
        if reader is not None:
            reader(self, message, sender, receiver)

    def read_connection(
        self, detail: Detail, sender: Endpoint, receiver: Endpoint, time_ns: int
    ) -> None:
        """Take in an RDMA connection request or reply: both queue pairs carry the service."""
        self._time_ns = time_ns
        comm_id, queue_pair = detail.get("local_comm_id"), detail.get("local_qp")
        if not isinstance(comm_id, int) or not isinstance(queue_pair, int):
            return
        if detail["cm"] == "request" and "service" in detail:
            service = str(detail["service"])
            self._bound(self._connections)
            self._connections[sender.high, sender.low, comm_id] = service
            self._add_queue_pair(sender, queue_pair, service)
        elif detail["cm"] == "reply":
            remote = detail.get("remote_comm_id")
            if isinstance(remote, int):
                key = (receiver.high, receiver.low, remote)
                if key in self._connections:
                    self._add_queue_pair(sender, queue_pair, self._connections[key])

    def find(
        self, first: Endpoint, second: Endpoint, transport: int, queue_pairs: tuple[int, ...]
    ) -> str:
        """Return the name announced for a flow between two endpoints, or ""."""
        if transport == 2:
            for end, queue_pair in ((second, queue_pairs[0]), (first, queue_pairs[1])):
                entry = self._queue_pairs.get((end.high, end.low, queue_pair))
                if entry:
                    return entry[0]
            return ""
        for end in (first, second):
            entry = self._endpoints.get((transport, end.high, end.low, end.port))
            if entry and abs(self._time_ns - entry[1]) <= LIFETIME_NS:
                return entry[0]
        return ""

    def name_of(self, high: int, low: int) -> str:
        """Return the host name that a DNS answer gave to an address, or ""."""
        entry = self._names.get((high, low))
        return entry[0] if entry and self._time_ns - entry[1] <= NAME_LIFETIME_NS else ""

    def add_endpoint(self, transport: int, high: int, low: int, port: int, name: str) -> None:
        """Expect a flow of `name` at an endpoint (transport 0 TCP, 1 UDP)."""
        if port:
            self._bound(self._endpoints)
            self._endpoints[transport, high, low, port] = (name, self._time_ns)

    def add_name(self, high: int, low: int, name: str) -> None:
        """Note the name of an address."""
        self._bound(self._names)
        self._names[high, low] = (name, self._time_ns)

    def _add_queue_pair(self, end: Endpoint, queue_pair: int, service: str) -> None:
        self._bound(self._queue_pairs)
        self._queue_pairs[end.high, end.low, queue_pair] = (service, self._time_ns)

    def _bound(self, table: dict[Any, Any]) -> None:
        if len(table) >= MAX_ENTRIES:
            del table[next(iter(table))]  # the oldest
            self.dropped += 1


def _ipv4(octets: list[int]) -> int:
    return _IPV4_LOW | int.from_bytes(bytes(octets), "big")


_READERS: Final[dict[str, Callable[[Announcements, bytes, Endpoint, Endpoint], None]]] = {}
