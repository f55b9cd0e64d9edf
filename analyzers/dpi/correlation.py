"""Flows named by other flows: who was announced where, and what the addresses are called.

Each reader takes one message of a flow that announces others (FTP, SIP, RTSP, portmap, a c10d
store, ...) and notes endpoints. The tables are bounded and their entries expire, in capture time.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fabricscope.analyzers.dpi.extractors.dns import read_answers
from fabricscope.analyzers.dpi.extractors.text import Detail

MAX_ENTRIES: Final = 16_384
LIFETIME_NS: Final = 600 * 1_000_000_000
NAME_LIFETIME_NS: Final = 24 * 3_600 * 1_000_000_000
MAX_TEXT_BYTES: Final = 2_048
_IPV4_LOW: Final = 0xFFFF_0000_0000
_FTP_TUPLE: Final = re.compile(
    rb"(?:227 |PORT )[^0-9]{0,40}(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})"
)
_FTP_EXTENDED: Final = re.compile(rb"(?:229 [^(]{0,80}\(|EPRT )\|\d?\|([0-9.]{0,15})\|(\d{1,5})\|")
_SDP_HOST: Final = re.compile(rb"\nc=IN IP4 ([0-9.]{7,15})")
_SDP_MEDIA: Final = re.compile(rb"\nm=(?:audio|video|image) (\d{1,5}) ")
_RTSP_PORTS: Final = re.compile(rb"(client|server)_port=(\d{1,5})(?:-(\d{1,5}))?")
_SOCKET_ADDRESS: Final = re.compile(
    rb"\x02\x00([\x00-\xff]{2})(?!\x00)([\x00-\xff]{4})\x00{8}"
    # IPv6: no flow label, and an address that hosts have (global, local or of the link).
    rb"|\x0a\x00([\x00-\xff]{2})\x00{4}([\x20-\x3f\xfc\xfd][\x00-\xff]{15}|\xfe\x80\x00{6}[\x00-\xff]{8})"
)
_UNIQUE_ID_BYTES: Final = (128).to_bytes(8, "little")


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
        self._endpoints: dict[tuple[int, int, int, int], tuple[str, int, int]] = {}
        self._queue_pairs: dict[tuple[int, int, int], tuple[str, int]] = {}
        self._connections: dict[tuple[int, int, int], str] = {}
        self._names: dict[tuple[int, int], tuple[str, int]] = {}
        self._calls: dict[tuple[Endpoint, int], tuple[int, int]] = {}

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
        self,
        first: Endpoint,
        second: Endpoint,
        transport: int,
        queue_pairs: tuple[int, ...],
        opened_ns: int,
    ) -> str:
        """Return the name announced for a flow between two endpoints, or "".

        opened_ns: time of the flow's first packet; flows may live long after their announcement.
        """
        if transport == 2:
            for end, queue_pair in ((second, queue_pairs[0]), (first, queue_pairs[1])):
                entry = self._queue_pairs.get((end.high, end.low, queue_pair))
                if entry:
                    return entry[0]
            return ""
        for end in (first, second):
            expected = self._endpoints.get((transport, end.high, end.low, end.port))
            if expected and expected[1] - LIFETIME_NS <= opened_ns <= expected[2] + LIFETIME_NS:
                return expected[0]
        return ""

    @property
    def has_names(self) -> bool:
        """Whether any address has a name."""
        return bool(self._names)

    def name_of(self, high: int, low: int) -> str:
        """Return the host name that a DNS answer gave to an address, or ""."""
        entry = self._names.get((high, low))
        return entry[0] if entry and self._time_ns - entry[1] <= NAME_LIFETIME_NS else ""

    def add_endpoint(self, transport: int, high: int, low: int, port: int, name: str) -> None:
        """Expect a flow of `name` at an endpoint (transport 0 TCP, 1 UDP)."""
        if port:
            key = (transport, high, low, port)
            before = self._endpoints.pop(key, None)
            again = before is not None and before[0] == name
            self._bound(self._endpoints)
            first_ns = before[1] if before is not None and again else self._time_ns
            self._endpoints[key] = (name, first_ns, self._time_ns)

    def add_name(self, high: int, low: int, name: str) -> None:
        """Note the name of an address."""
        self._bound(self._names)
        self._names[high, low] = (name, self._time_ns)

    def note_call(self, caller: Endpoint, number: int, program: int, transport: int) -> None:
        """Remember an RPC call that asks for a program's port."""
        self._bound(self._calls)
        self._calls[caller, number] = (program, transport)

    def take_call(self, caller: Endpoint, number: int) -> tuple[int, int]:
        """Return program and transport of a remembered call, (0, 0) if there is none."""
        return self._calls.pop((caller, number), (0, 0))

    def _add_queue_pair(self, end: Endpoint, queue_pair: int, service: str) -> None:
        self._bound(self._queue_pairs)
        self._queue_pairs[end.high, end.low, queue_pair] = (service, self._time_ns)

    def _bound(self, table: dict[Any, Any]) -> None:
        if len(table) >= MAX_ENTRIES:
            del table[next(iter(table))]  # the oldest
            self.dropped += 1


def _ipv4(octets: bytes) -> int:
    return _IPV4_LOW | int.from_bytes(octets[:4], "big")


def _halves(octets: bytes) -> tuple[int, int]:
    """Return the high and the low half of an IPv6 address."""
    return int.from_bytes(octets[:8], "big"), int.from_bytes(octets[8:16], "big")


def _parse_ipv4(text: bytes) -> int:
    """Return a dotted address as the low half of a mapped one, or 0."""
    parts = text.split(b".")
    if len(parts) != 4 or not all(part.isdigit() and len(part) <= 3 for part in parts):
        return 0
    numbers = [int(part) for part in parts]
    return _ipv4(bytes(numbers)) if max(numbers) < 256 else 0


def _read_dns(known: Announcements, message: bytes, sender: Endpoint, receiver: Endpoint) -> None:
    for answer in read_answers(message):
        if len(answer.address) == 4:
            known.add_name(0, _ipv4(answer.address), answer.name)
        else:
            known.add_name(*_halves(answer.address), answer.name)


def _read_ftp(known: Announcements, message: bytes, sender: Endpoint, receiver: Endpoint) -> None:
    """Read PASV, EPSV, PORT and EPRT (RFC 959, RFC 2428)."""
    for match in _FTP_TUPLE.finditer(message[:MAX_TEXT_BYTES]):
        numbers = [int(group) for group in match.groups()]
        if max(numbers) < 256:
            known.add_endpoint(
                0, 0, _ipv4(bytes(numbers[:4])), numbers[4] << 8 | numbers[5], "ftp_data"
            )
    for match in _FTP_EXTENDED.finditer(message[:MAX_TEXT_BYTES]):
        low = _parse_ipv4(match[1]) if match[1] else sender.low
        high = 0 if match[1] else sender.high
        known.add_endpoint(0, high, low, int(match[2]) & 0xFFFF, "ftp_data")


def _read_session(
    known: Announcements, message: bytes, sender: Endpoint, receiver: Endpoint
) -> None:
    """Read the media of a session description (RFC 8866) and RTSP's Transport (RFC 2326)."""
    text = message[:MAX_TEXT_BYTES]
    host = _SDP_HOST.search(text)
    low = _parse_ipv4(host[1]) if host else 0
    for match in _SDP_MEDIA.finditer(text):
        port = int(match[1]) & 0xFFFF
        high, low_here = (0, low) if low else (sender.high, sender.low)
        known.add_endpoint(1, high, low_here, port, "rtp")
        known.add_endpoint(1, high, low_here, port + 1 & 0xFFFF, "rtcp")
    for match in _RTSP_PORTS.finditer(text):
        # The server's answer names both ends; the client's request only its own.
        from_server = text.startswith(b"RTSP/")
        owner = sender if from_server == (match[1] == b"server") else receiver
        known.add_endpoint(1, owner.high, owner.low, int(match[2]) & 0xFFFF, "rtp")
        if match[3]:
            known.add_endpoint(1, owner.high, owner.low, int(match[3]) & 0xFFFF, "rtcp")


def _read_portmap(
    known: Announcements, message: bytes, sender: Endpoint, receiver: Endpoint
) -> None:
    """Read GETPORT and GETADDR (RFC 1833), procedure 3; over TCP a record mark comes first."""
    words = message if int.from_bytes(message[4:8], "big") <= 1 else message[4:]
    numbers = [int.from_bytes(words[at : at + 4], "big") for at in range(0, len(words) - 3, 4)]
    if len(numbers) >= 14 and numbers[1:4] == [0, 2, 100_000] and numbers[5] == 3:
        # Credentials and verifier are skipped: flavour, then a length in bytes.
        at = 8 + (numbers[7] + 3) // 4
        at += 2 + (numbers[at + 1] + 3) // 4 if at + 1 < len(numbers) else 0
        if at + 2 < len(numbers):
            netid = words[4 * at + 12 : 4 * at + 15]
            over_tcp = numbers[at + 2] == 6 if numbers[4] == 2 else netid == b"tcp"
            known.note_call(sender, numbers[0], numbers[at], 0 if over_tcp else 1)
    elif len(numbers) >= 7 and numbers[1] == 1 and numbers[2] == 0 and numbers[5] == 0:
        program, transport = known.take_call(receiver, numbers[0])
        port = numbers[6] if len(numbers) == 7 else _universal_port(words[28 : 28 + numbers[6]])
        if program and port < 65_536:
            name = "nfs" if program == 100_003 else "sunrpc"
            known.add_endpoint(transport, sender.high, sender.low, port, name)


def _universal_port(text: bytes) -> int:
    """Return the port of an RPC universal address, h1.h2.h3.h4.p1.p2; 0 if it is none."""
    parts = text.split(b".")[-2:]
    if len(parts) != 2 or not all(part.isdigit() and len(part) <= 3 for part in parts):
        return 0
    return (int(parts[0]) & 0xFF) << 8 | int(parts[1]) & 0xFF


def _read_socket_addresses(
    known: Announcements, message: bytes, sender: Endpoint, receiver: Endpoint, name: str
) -> None:
    """Read socket addresses as they lie in memory: family, port, address.

    In a store, a value of 128 bytes that has one after 8 bytes is NCCL's unique id: the address
    is that of the bootstrap's root.
    """
    for match in _SOCKET_ADDRESS.finditer(message):
        port = int.from_bytes(match[1] or match[3], "big")
        high, low = (0, _ipv4(match[2])) if match[2] else _halves(match[4])
        at = match.start()
        unique_id = message[max(at - 16, 0) : max(at - 8, 0)] == _UNIQUE_ID_BYTES
        known.add_endpoint(0, high, low, port, "nccl_bootstrap" if unique_id else name)


def _read_store(known: Announcements, message: bytes, sender: Endpoint, receiver: Endpoint) -> None:
    _read_socket_addresses(known, message, sender, receiver, "gloo")


def _read_nccl(known: Announcements, message: bytes, sender: Endpoint, receiver: Endpoint) -> None:
    _read_socket_addresses(known, message, sender, receiver, "nccl_bootstrap")


_READERS: Final[dict[str, Callable[[Announcements, bytes, Endpoint, Endpoint], None]]] = {
    "c10d_store": _read_store,
    "dns": _read_dns,
    "ftp": _read_ftp,
    "nccl_bootstrap": _read_nccl,
    "portmap": _read_portmap,
    "rtsp": _read_session,
    "sip": _read_session,
}
