"""Slow twin of the queue-pair table, by the metrics' definitions: sets and lists, no bounds.

It says of each packet whether it is new, a repetition or late, and keeps every sample. Why a
packet came twice it does not say: that is held to the generator's truth.
"""

from collections import Counter
from typing import Any, Final

from fabricscope.records import (
    FLAG_DUPLICATE,
    FLAG_MALFORMED,
    PROTOCOLS,
    RDMA_ACK_REQUEST,
    RDMA_HAS_AETH,
    Packets,
)
from reference.flows import rows_of, tunnels

RDMA: Final = tuple(PROTOCOLS.index(name) for name in ("roce_v1", "roce_v2", "infiniband"))
FIRST: Final = (0, 6)
LAST: Final = (2, 3, 8, 9, 22)
REQUESTS: Final = tuple(n for n in range(24) if n not in (13, 14, 15, 16, 17, 18, 21))
RESPONSES: Final = (13, 14, 15, 16)

Row = dict[str, int]


def signed(distance: int) -> int:
    """Return a distance of PSNs within half a turn, either way."""
    return (distance + 0x800000) % 0x1000000 - 0x800000


class Sequence:
    """PSNs of one direction without wrap."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.next: int | None = None
        self.gaps = 0

    def take(self, psn: int, span: int = 1) -> str:
        """Return new, gap, late or repeat."""
        place = psn if self.next is None else self.next + signed(psn - self.next)
        if place in self.seen:
            return "repeat"
        self.seen.add(place)
        if self.next is not None and place < self.next:
            return "late"
        what = "gap" if self.next is not None and place > self.next else "new"
        self.next = place + span
        return what


class Direction:
    """One direction: what was carried, and what became of it."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.operations: Counter[int] = Counter()
        self.requests = Sequence()
        self.responses = Sequence()
        self.response_open = False
        self.waiting: list[tuple[int, int, int | None]] = []
        self.open: tuple[int, int] | None = None
        self.announced = 0
        self.rtt_ns: list[int] = []
        self.completion_ns: list[int] = []
        self.message_bytes: list[int] = []


class SlowQueuePairs:
    """The queue-pair table by its definitions; `pairs` names each direction's other one."""

    def __init__(self, pairs: dict[Any, Any] | None = None) -> None:
        self.directions: dict[Any, Direction] = {}
        self.pairs = pairs or {}

    def update(self, packets: Packets) -> None:
        """Take a batch."""
        for row in rows_of(packets):
            if row["protocol"] in RDMA and not row["flags"] & (FLAG_DUPLICATE | FLAG_MALFORMED):
                self._take(row)

    def _take(self, row: Row) -> None:
        service, operation = row["opcode"] >> 5, row["opcode"] & 31
        key = (
            (row["src_hi"], row["src_lo"], row["dst_hi"], row["dst_lo"]),
            row["dest_qp"],
            row["source_qp"] if service == 3 else 0,
            tunnels(row),
        )
        direction = self.directions.setdefault(key, Direction())
        direction.count["packets"] += 1
        direction.count["bytes"] += row["wire_length"]
        if row["opcode"] == 0x81:
            direction.count["cnps"] += 1
            return
        direction.operations[operation] += 1
        if operation in (17, 18):
            if row["rdma_flags"] & RDMA_HAS_AETH:
                direction.count["acks_sent"] += 1
                if row["aeth"] >> 29 == 0 and key in self.pairs:
                    self._acknowledge(self.directions[self.pairs[key]], row)
            return
        direction.count["ecn_capable"] += row["ecn"] != 0
        direction.count["ecn_marked"] += row["ecn"] == 3
        direction.count["payload_bytes"] += row["payload_length"]
        if operation in RESPONSES:
            self._respond(direction, row)
        elif operation in REQUESTS:
            self._request(direction, row, service)

    def _respond(self, direction: Direction, row: Row) -> None:
        operation = row["opcode"] & 31
        what = direction.responses.take(row["psn"])
        if what == "repeat":
            direction.count["repeats"] += 1
            return
        if what == "gap" and (operation in (14, 15) or direction.response_open):
            direction.count["sequence_gaps"] += 1
        if what in ("gap", "new"):
            direction.response_open = operation in (13, 14)
        direction.count["delivered_bytes"] += row["payload_length"]

    def _request(self, direction: Direction, row: Row, service: int) -> None:
        if service == 3 and row["dest_qp"] <= 1:
            what = "new"
        else:
            what = direction.requests.take(row["psn"])
        if what == "repeat":
            direction.count["repeats"] += 1
            return
        if what == "gap" and service != 3:
            direction.count["sequence_gaps"] += 1
        direction.count["delivered_bytes"] += row["payload_length"]
        if what != "late":
            self._message(direction, row, service)

    def _message(self, direction: Direction, row: Row, service: int) -> None:
        """Follow messages of traffic in order."""
        operation, now = row["opcode"] & 31, row["time_ns"]
        began: int | None = None
        if operation in FIRST:
            direction.open = now, row["payload_length"]
            direction.announced = row["dma_length"] if operation == 6 else 0
        elif operation in (1, 7):
            if direction.open:
                direction.open = direction.open[0], direction.open[1] + row["payload_length"]
        else:
            began, size = now, row["payload_length"]
            if operation in LAST:
                began, size = direction.open or (0, 0)
                size = direction.announced or size + row["payload_length"]
                direction.announced = 0
            elif operation == 12:
                size = row["dma_length"]
            direction.open = None
            direction.count["messages"] += 1
            direction.message_bytes.append(size)
        asks = row["rdma_flags"] & RDMA_ACK_REQUEST or operation in (19, 20)
        if service in (0, 5) and (asks or began is not None):
            sent_ns = now if asks and operation != 12 else -1
            direction.waiting.append((row["psn"], sent_ns, began))

    def _acknowledge(self, direction: Direction, row: Row) -> None:
        direction.count["acks"] += 1
        while direction.waiting and signed(row["psn"] - direction.waiting[0][0]) >= 0:
            _, sent_ns, began = direction.waiting.pop(0)
            if sent_ns >= 0:
                direction.rtt_ns.append(row["time_ns"] - sent_ns)
            if began is not None:
                direction.completion_ns.append(row["time_ns"] - began)
