"""The analyzer: batches in, a verdict for each flow out.

State and life of a flow: its first packets are put in order in a head and matched until a rule
names it, or until `MAX_PACKETS` payload packets have said nothing; then the detail is read from
the head and the head is given back. Matching is in `kernels`, the detail in `extractors`, naming
by other flows in `correlation`, fragments in `fragments`. No files are read here.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.dpi import kernels
from fabricscope.analyzers.dpi.compiler import CompiledSignatures
from fabricscope.analyzers.dpi.correlation import Announcements, Endpoint
from fabricscope.analyzers.dpi.extractors import extract_detail
from fabricscope.analyzers.dpi.extractors.lldp import parse_neighbour
from fabricscope.analyzers.dpi.extractors.rdma_cm import parse_connection_request
from fabricscope.analyzers.dpi.extractors.text import Detail, Head
from fabricscope.analyzers.dpi.fragments import FragmentTable
from fabricscope.analyzers.dpi.heads.kernels import release_heads
from fabricscope.analyzers.dpi.state import (
    COUNT_MATCHED,
    COUNT_ROWS,
    COUNT_STOLEN,
    COUNTERS,
    HEAD_BYTES,
    STAGE_DONE,
    STAGE_NEW,
    STAGE_RDMA_DONE,
    STAGE_WATCH,
    STREAM_COUNT,
    STREAM_HAVE,
    STREAM_LIST,
    STREAM_TOTAL,
    allocate_flows,
    allocate_heads,
)
from fabricscope.records import BATCH_ROWS, Packets

DEFAULT_HEADS: Final = 8_192
MAX_NEIGHBOURS: Final = 4_096
MAX_WATCHED_ROWS: Final = 4_096
CONFIDENCE_PORT: Final = 0.3
CONFIDENCE_CORRELATION: Final = 0.9
CONFIDENCE_OFF_PORT: Final = 0.95
"""Factor for a payload verdict on a port that is none of the protocol's."""


class Verdicts(NamedTuple):
    """Verdicts of some flows, one entry a flow; all lists have the same length.

    `application`: protocol name, "" where unknown; `application_source`: "handshake" (both
    directions agree), "payload" (one direction matched, or the headers say it), "correlation"
    (another flow announced it), "port" (a guess), "" where unknown; `confidence` 0 to 1; `detail`:
    what the extractors read, untrusted strings already made printable and short.
    """

    application: list[str]
    application_source: list[str]
    confidence: NDArray[np.float32]
    detail: list[Detail]


class DpiAnalyzer:
    """Names the flows of a flow table by their first payload bytes."""

    def __init__(
        self, signatures: CompiledSignatures, *, flow_capacity: int, heads: int = DEFAULT_HEADS
    ) -> None:
        """Prepare for slots below `flow_capacity`; `heads` flows can be undecided at once."""
        self._signatures = signatures
        self._tables = signatures.tables
        self._state = allocate_flows(flow_capacity)
        self._pool = allocate_heads(min(heads, flow_capacity))
        self._rows = np.zeros(BATCH_ROWS, np.int64)
        self._kinds = np.zeros(BATCH_ROWS, np.uint8)
        self._finished = np.zeros(BATCH_ROWS * 2, np.int64)
        self._watched = np.zeros(BATCH_ROWS, np.int64)
        self._counters = np.zeros(COUNTERS, np.int64)
        self._details: dict[int, Detail] = {}
        self._announcements = Announcements()
        self._fragments = FragmentTable()
        self._neighbours: dict[tuple[str, str], Detail] = {}
        self._dropped_neighbours = 0
        self._dropped_watched = 0
        self._time_ns = 0

    def update(
        self,
        view: NDArray[np.uint8],
        packets: Packets,
        flow: NDArray[np.int64],
        side: NDArray[np.uint8],
    ) -> None:
        """Take in a decoded batch; row i is of slot `flow[i]` (-1: none), sent by `side[i]`."""
        rows = len(flow)
        if rows == 0:
            return
        if rows > len(self._rows):
            self._rows = np.zeros(rows, np.int64)
            self._kinds = np.zeros(rows, np.uint8)
            self._finished = np.zeros(rows * 2, np.int64)
            self._watched = np.zeros(rows, np.int64)
        selected = kernels.select_rows(packets, flow, self._state, self._rows, self._kinds)
        if selected == 0:
            return
        self._time_ns = int(packets.time_ns[rows - 1])
        count, watching = kernels.add_rows(
            view, packets, flow, side, self._rows, self._kinds, selected, self._state, self._pool,
            self._tables, self._finished, self._watched, self._counters,
        )  # fmt: skip
        self._read_special(view, packets, flow, side, selected)
        self._finish(self._finished[:count])
        self._read_watched(view, packets, flow, self._watched[:watching])

    def verdicts(self, slots: NDArray[np.int64]) -> Verdicts:
        """Return what is known of the flows now; they may go on."""
        pending = slots[self._state.head[slots] >= 0]
        self._flush_fragments()
        pending = pending[self._state.stage[pending] > STAGE_RDMA_DONE]
        pending = pending[self._state.stage[pending] != STAGE_WATCH]
        for slot in pending.tolist():
            self._extract(slot)
        names: list[str] = []
        sources: list[str] = []
        confidence = np.zeros(len(slots), np.float32)
        details: list[Detail] = []
        for index, slot in enumerate(slots.tolist()):
            name, source, value = self._verdict(slot)
            names.append(name)
            sources.append(source)
            confidence[index] = value
            details.append(self._detail(slot))
        return Verdicts(names, sources, confidence, details)

    def flow_closed(self, slots: NDArray[np.int64]) -> Verdicts:
        """Return the final verdicts of the flows in `slots` and forget them."""
        verdicts = self.verdicts(slots)
        release_heads(slots, self._state, self._pool)
        self._state.stage[slots] = STAGE_NEW
        for slot in slots.tolist():
            self._details.pop(slot, None)
        return verdicts

    def neighbours(self) -> list[Detail]:
        """Return the LLDP neighbours seen, the latest announcement of each port."""
        return list(self._neighbours.values())

    def counters(self) -> dict[str, int]:
        """Return what was looked at and what was given up for lack of room."""
        return {
            "packets_looked_at": int(self._counters[COUNT_ROWS]),
            "conditions_evaluated": int(self._counters[COUNT_MATCHED]),
            "flows_without_head": int(self._counters[COUNT_STOLEN]),
            "fragments_dropped": self._fragments.dropped,
            "announcements_dropped": self._announcements.dropped,
            "neighbours_dropped": self._dropped_neighbours,
            "announcing_packets_skipped": self._dropped_watched,
        }

    def _finish(self, slots: NDArray[np.int64]) -> None:
        """Read the detail of flows whose collection is complete and give their heads back."""
        state = self._state
        for slot in slots.tolist():
            if state.head[slot] >= 0:
                self._extract(slot)
            application = int(state.application[slot])
            if self._tables.watch[application] and state.rule[slot] >= 0:
                state.stage[slot] = STAGE_WATCH
            elif state.transport[slot] == 2:
                state.stage[slot] = STAGE_RDMA_DONE
            else:
                state.stage[slot] = STAGE_DONE
        release_heads(slots, state, self._pool)

    def _extract(self, slot: int) -> None:
        """Read the detail of one flow from its head."""
        state = self._state
        if state.rule[slot] < 0:
            return
        name = self._signatures.name(int(state.application[slot]))
        side = int(state.request_side[slot])
        head = int(state.head[slot])
        request = self._head(head, side, int(state.transport[slot]))
        reply = self._head(head, 1 - side, int(state.transport[slot]))
        detail = extract_detail(name, request, reply)
        if detail:
            self._details[slot] = detail

    def _head(self, head: int, side: int, transport: int) -> Head:
        stream = self._pool.streams[head, side]
        start = (head * 2 + side) * HEAD_BYTES
        data = self._pool.buffer[start : start + int(stream[STREAM_HAVE])].tobytes()
        if transport == 0:
            return Head((data,) if data else (), (int(stream[STREAM_TOTAL]),) if data else ())
        entries = stream[STREAM_LIST : STREAM_LIST + 3 * int(stream[STREAM_COUNT])].reshape(-1, 3)
        return Head(
            tuple(data[at : at + have] for at, have, _ in entries.tolist()),
            tuple(total for _, _, total in entries.tolist()),
        )

    def _announce(self, slot: int, sender: int, message: bytes) -> None:
        state = self._state
        name = self._signatures.name(int(state.application[slot]))
        self._announcements.read(
            name, message, self._endpoint(slot, sender), self._endpoint(slot, 1 - sender),
            self._time_ns,
        )  # fmt: skip

    def _endpoint(self, slot: int, side: int) -> Endpoint:
        high, low = self._state.address[slot, 2 * side : 2 * side + 2].tolist()
        return Endpoint(high, low, int(self._state.ports[slot, side]))

    def _read_watched(
        self,
        view: NDArray[np.uint8],
        packets: Packets,
        flow: NDArray[np.int64],
        rows: NDArray[np.int64],
    ) -> None:
        """Let the flows that announce others be read; more than the bound is counted only."""
        self._dropped_watched += max(0, len(rows) - MAX_WATCHED_ROWS)
        for row in rows[:MAX_WATCHED_ROWS].tolist():
            slot = int(flow[row])
            source = (int(packets.src_hi[row]), int(packets.src_lo[row]))
            address = self._state.address[slot].tolist()
            from_zero = source == (address[0], address[1]) and (
                int(packets.src_port[row]) == int(self._state.ports[slot, 0])
            )
            self._announce(slot, 0 if from_zero else 1, _payload(view, packets, row))

    def _read_special(
        self,
        view: NDArray[np.uint8],
        packets: Packets,
        flow: NDArray[np.int64],
        side: NDArray[np.uint8],
        selected: int,
    ) -> None:
        """Handle the selected rows that the kernels do not: fragments, CM messages, LLDP."""
        kinds = self._kinds[:selected]
        for index in np.flatnonzero(kinds != kernels.ROW_MATCH).tolist():
            row, kind = int(self._rows[index]), int(kinds[index])
            slot = int(flow[row])
            if kind == kernels.ROW_FRAGMENT:
                done = self._fragments.add(view, packets, row, slot, int(side[row]))
                if done is not None:
                    self._feed(*done)
            elif kind == kernels.ROW_CONNECT:
                self._connect(slot, int(side[row]), packets, row, _payload(view, packets, row))
            else:
                self._neighbour(slot, _payload(view, packets, row))

    def _feed(self, data: bytes, total: int, sequence: int, slot: int, side: int) -> None:
        """Take in a reassembled datagram as if it had come in one packet."""
        state = self._state
        if slot < 0 or state.stage[slot] not in (4, 5) or not data:
            return
        count = kernels.add_payload(
            np.frombuffer(data, np.uint8), 0, len(data), total, sequence, slot, side, state,
            self._pool, self._tables, self._finished, 0, self._counters,
        )  # fmt: skip
        self._finish(self._finished[:count].copy())

    def _flush_fragments(self) -> None:
        for done in self._fragments.flush():
            self._feed(*done)

    def _connect(self, slot: int, side: int, packets: Packets, row: int, payload: bytes) -> None:
        detail = parse_connection_request(payload)
        if not detail:
            return
        self._details.setdefault(slot, {}).update(detail)
        self._announcements.read_connection(
            detail, self._endpoint(slot, side), self._endpoint(slot, 1 - side), self._time_ns
        )

    def _neighbour(self, slot: int, payload: bytes) -> None:
        detail = parse_neighbour(payload)
        if not detail:
            return
        if slot >= 0:
            self._details[slot] = detail
        key = (str(detail.get("chassis", "")), str(detail.get("port", "")))
        if key in self._neighbours or len(self._neighbours) < MAX_NEIGHBOURS:
            self._neighbours[key] = detail
        else:
            self._dropped_neighbours += 1

    def _verdict(self, slot: int) -> tuple[str, str, float]:
        """Return name, source and confidence of one flow."""
        state = self._state
        if state.stage[slot] == STAGE_NEW:
            return "", "", 0.0
        application, rule = int(state.application[slot]), int(state.rule[slot])
        score = int(state.score[slot])
        transport = int(state.transport[slot])
        if rule >= 0 and score >= kernels.ACCEPTED_SCORE:
            return (
                self._signatures.name(application),
                "handshake" if state.agreed[slot] else "payload",
                round(score / 1000 * self._port_factor(slot, application, transport), 3),
            )
        first, second = self._endpoint(slot, 0), self._endpoint(slot, 1)
        announced = self._announcements.find(
            first, second, transport, tuple(int(qp) for qp in state.sequence[slot])
        )
        if announced:
            return announced, "correlation", CONFIDENCE_CORRELATION
        if application and rule < 0:
            return self._signatures.name(application), "payload", round(score / 1000, 3)
        guess = self._guess(slot, transport)
        return (guess, "port", CONFIDENCE_PORT) if guess else ("", "", 0.0)

    def _port_factor(self, slot: int, application: int, transport: int) -> float:
        if transport > 1:
            return 1.0
        protocol = self._signatures.protocols[application - 1]
        ports = protocol.tcp_ports if transport == 0 else protocol.udp_ports
        own = {int(self._state.ports[slot, 0]), int(self._state.ports[slot, 1])}
        return 1.0 if not ports or own & set(ports) else CONFIDENCE_OFF_PORT

    def _guess(self, slot: int, transport: int) -> str:
        """Guess by port where no payload speaks against it: there was none at all."""
        if transport > 1 or self._state.seen[slot] > 0:
            return ""
        for port in sorted(int(port) for port in self._state.ports[slot]):
            application = int(self._tables.port_application[transport, port])
            if application:
                return self._signatures.name(application)
        return ""

    def _detail(self, slot: int) -> Detail:
        """Return the detail of a flow, with the names that DNS answers gave its addresses."""
        detail = dict(self._details.get(slot, {}))
        for key, side in (("src_name", 0), ("dst_name", 1)):
            end = self._endpoint(slot, side)
            if name := self._announcements.name_of(end.high, end.low):
                detail[key] = name
        return detail


def _payload(view: NDArray[np.uint8], packets: Packets, row: int) -> bytes:
    """Return the captured payload of a row, at most a head's worth."""
    start = int(packets.payload_offset[row])
    end = int(packets.packet_offset[row]) + int(packets.captured_length[row])
    stop = min(end, start + int(packets.payload_length[row]), start + HEAD_BYTES)
    return view[start:stop].tobytes() if stop > start else b""
