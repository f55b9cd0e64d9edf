"""RDMA Connection Manager: who opened which queue pairs to whom, and what became of it.

Packets on queue pair 1 come in, connections go out. How a message is read is in `mad`; the queue
pairs' own traffic is not seen here.
"""

from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from fabricscope.analyzers.mad import CmMessage, MadMessage, parse_mad

__all__ = [
    "CmMessage",
    "Connection",
    "ConnectionTracker",
    "Direction",
    "MadMessage",
    "parse_mad",
]

MAX_CONNECTIONS: Final = 65_536
MAX_FRAMES: Final = 32
"""Frame numbers kept of one connection."""

End = tuple[str, str, bool, int | None]
"""Its host, the other host, whether of a UD service, and the id that the host gave."""


class Direction(NamedTuple):
    """One direction of a queue pair connection, as packets show it."""

    src: str
    dst: str
    dest_qp: int


@dataclass(slots=True)
class Connection:
    """One connection attempt; times are since the epoch, 0 for what was not seen."""

    initiator: str
    responder: str
    request: CmMessage
    requested_ns: int
    transaction_id: int
    state: str = "requested"  # replied, established, rejected, disconnecting, disconnected
    reply: CmMessage | None = None
    replied_ns: int = 0
    established_ns: int = 0
    rejected_ns: int = 0
    disconnected_ns: int = 0
    reason: str = ""  # of a rejection
    retries: int = 0  # messages that came again
    frames: list[int] = field(default_factory=list)

    def directions(self) -> tuple[Direction, Direction] | None:
        """Return initiator-to-responder and its reverse, None before both queue pairs are known."""
        if self.reply is None or self.reply.qpn is None or self.request.qpn is None:
            return None
        return (
            Direction(self.initiator, self.responder, self.reply.qpn),
            Direction(self.responder, self.initiator, self.request.qpn),
        )

    def outcome(self, with_data: Container[Direction] | None = None) -> str:
        """Return what became of it.

        `with_data` holds the directions that carried data; without it nobody can tell whether a
        closed connection was used.
        """
        if self.state == "rejected":
            return "refused"
        if self.state == "requested":
            return "no answer"
        if self.state == "replied":
            return "not completed"
        if self.state == "established":
            return "established"
        both = self.directions()
        if with_data is not None and both and not any(each in with_data for each in both):
            return "closed before data"
        return "closed"


class ConnectionTracker:
    """Follows connection messages of all hosts; the oldest attempt makes room when full."""

    def __init__(self, max_connections: int = MAX_CONNECTIONS) -> None:
        """Keep at most `max_connections`."""
        self.evicted = 0
        self.unmatched = 0  # messages of connections whose request was not seen
        self.other_mads = 0
        self._max_connections = max_connections
        self._connections: OrderedDict[int, Connection] = OrderedDict()
        self._by_end: dict[End, int] = {}
        self._next = 0

    def observe(
        self, time_ns: int, frame: int, src: str, dst: str, payload: bytes
    ) -> MadMessage | None:
        """Take the payload after the DETH of a packet to queue pair 1; return what it says.

        `src` and `dst` are addresses (or LIDs) as text, `frame` the packet's number.
        """
        message = parse_mad(payload)
        if message is None or message.cm is None:
            self.other_mads += message is not None
            return message
        cm = message.cm
        if cm.local_comm_id is None:
            self.unmatched += 1
            return message
        if cm.kind in ("REQ", "SIDR_REQ"):
            connection = self._request(time_ns, src, dst, message.transaction_id, cm)
        else:
            found = self._find(src, dst, cm)
            if found is None:
                self.unmatched += 1
                return message
            connection = found
            self._advance(connection, time_ns, src, cm)
        if len(connection.frames) < MAX_FRAMES:
            connection.frames.append(frame)
        return message

    def connections(self) -> list[Connection]:
        """Return the connections in order of their first request."""
        return list(self._connections.values())

    def pairs(self) -> dict[Direction, Direction]:
        """Return the reverse of each direction; of a reused queue pair number, the latest."""
        reverse: dict[Direction, Direction] = {}
        for connection in self._connections.values():
            both = connection.directions()
            if both and connection.state != "rejected":
                reverse[both[0]] = both[1]
                reverse[both[1]] = both[0]
        return reverse

    def _request(
        self, time_ns: int, src: str, dst: str, transaction_id: int, cm: CmMessage
    ) -> Connection:
        """Open an attempt, or recognise the repetition of one."""
        end = (src, dst, cm.kind == "SIDR_REQ", cm.local_comm_id)
        known = self._connections.get(self._by_end.get(end, -1))
        if known is not None and known.transaction_id == transaction_id and known.request == cm:
            known.retries += 1
            return known
        if len(self._connections) >= self._max_connections:
            _, oldest = self._connections.popitem(last=False)
            self._forget(oldest)
            self.evicted += 1
        connection = Connection(src, dst, cm, time_ns, transaction_id)
        self._connections[self._next] = connection
        self._by_end[end] = self._next
        self._next += 1
        return connection

    def _forget(self, connection: Connection) -> None:
        """Drop the index entries of an evicted connection, unless a successor took them."""
        for end in _ends(connection):
            if self._by_end.get(end, -1) not in self._connections:
                self._by_end.pop(end, None)

    def _find(self, src: str, dst: str, cm: CmMessage) -> Connection | None:
        """Return the connection that a message other than a request belongs to."""
        if cm.kind == "SIDR_REP":
            ends = [(dst, src, True, cm.local_comm_id)]
        else:
            ends = [(dst, src, False, cm.remote_comm_id), (src, dst, False, cm.local_comm_id)]
        for end in ends:
            connection = self._connections.get(self._by_end.get(end, -1))
            if connection is not None and end[3] is not None:
                return connection
        return None

    def _advance(self, connection: Connection, time_ns: int, src: str, cm: CmMessage) -> None:
        """Move the connection's state on; a message that comes again only counts as a retry."""
        opening = connection.state in ("requested", "replied")
        if cm.kind in ("REP", "SIDR_REP"):
            self._reply(connection, time_ns, cm)
        elif cm.kind == "RTU" and opening:
            connection.state, connection.established_ns = "established", time_ns
        elif cm.kind == "REJ" and (opening or connection.state == "established"):
            connection.state, connection.rejected_ns = "rejected", time_ns
            by = "initiator" if src == connection.initiator else "responder"
            connection.reason = f"{cm.reason or 'reason not captured'}, by the {by}"
        elif cm.kind == "DREQ" and (opening or connection.state == "established"):
            connection.state, connection.disconnected_ns = "disconnecting", time_ns
        elif cm.kind == "DREP" and connection.state == "disconnecting":
            connection.state = "disconnected"
        elif cm.kind in ("RTU", "REJ"):
            connection.retries += 1

    def _reply(self, connection: Connection, time_ns: int, cm: CmMessage) -> None:
        """Take the responder's answer; that of a UD service is final."""
        if connection.state != "requested":
            connection.retries += 1
            return
        connection.reply, connection.replied_ns = cm, time_ns
        connection.state = "replied"
        if cm.kind == "REP":
            number = self._by_end[_ends(connection)[0]]
            self._by_end[_ends(connection)[1]] = number
        elif cm.reason_code in (0, None):
            connection.state, connection.established_ns = "established", time_ns
        else:
            connection.state, connection.rejected_ns = "rejected", time_ns
            connection.reason = f"{cm.reason}, by the responder"


def _ends(connection: Connection) -> list[End]:
    """Return the index entries of the initiator, and of the responder once it replied."""
    ends = [
        (
            connection.initiator,
            connection.responder,
            connection.request.kind == "SIDR_REQ",
            connection.request.local_comm_id,
        )
    ]
    reply = connection.reply
    if reply is not None and reply.kind == "REP":
        ends.append((connection.responder, connection.initiator, False, reply.local_comm_id))
    return ends
