"""The analyzer: batches in, a verdict for each flow out.

State and life of a flow: its first packets are put in order in a head and matched until a rule
names it, or until `MAX_PACKETS` payload packets have said nothing; then the detail is read from
the head and the head is given back. Matching is in `kernels`, the detail in `extractors`, naming
by other flows in `correlation`, fragments in `fragments`. No files are read here.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.dpi import kernels
from fabricscope.analyzers.dpi.correlation import Announcements, Endpoint
from fabricscope.analyzers.dpi.extractors import EXTRACTORS, extract_detail
from fabricscope.analyzers.dpi.extractors.lldp import parse_neighbour
from fabricscope.analyzers.dpi.extractors.rdma_cm import parse_connection_request
from fabricscope.analyzers.dpi.extractors.text import NO_BYTES, Detail, Head
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
from fabricscope.analyzers.dpi.tables import CompiledSignatures
from fabricscope.analyzers.dpi.verdicts import FLOWS_AT_ONCE, Judge, Verdicts
from fabricscope.records import BATCH_ROWS, Packets

DEFAULT_HEADS: Final = 8_192
MAX_NEIGHBOURS: Final = 4_096
MAX_WATCHED_ROWS: Final = 4_096


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
        self._buffer = self._pool.buffer.data
        self._extractors = [False, *(name in EXTRACTORS for name in signatures.names)]
        self._announcements = Announcements()
        self._judge = Judge(signatures, self._announcements)
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
        self._read_watched(view, packets, flow, side, self._watched[:watching])

    def verdicts(self, slots: NDArray[np.int64]) -> Verdicts:
        """Return what is known of the flows now; they may go on."""
        self._flush_fragments()
        pending = slots[self._state.head[slots] >= 0]
        stages = self._state.stage[pending]
        self._extract(pending[(stages > STAGE_RDMA_DONE) & (stages != STAGE_WATCH)])
        return self._judge.judge(slots, self._state, self._details)

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
        if len(slots) == 0:
            return
        state = self._state
        self._extract(slots[state.head[slots] >= 0])
        watched = (self._tables.watch[state.application[slots]] != 0) & (state.rule[slots] >= 0)
        done = np.where(state.transport[slots] == 2, STAGE_RDMA_DONE, STAGE_DONE)
        state.stage[slots] = np.where(watched, STAGE_WATCH, done)
        release_heads(slots, state, self._pool)

    def _extract(self, slots: NDArray[np.int64]) -> None:
        """Read the details of flows from their heads."""
        slots = slots[self._state.rule[slots] >= 0]
        for start in range(0, len(slots), FLOWS_AT_ONCE):
            self._extract_some(slots[start : start + FLOWS_AT_ONCE])

    def _extract_some(self, slots: NDArray[np.int64]) -> None:
        state = self._state
        heads = state.head[slots]
        for slot, application, side, transport, head, streams in zip(
            slots.tolist(),
            state.application[slots].tolist(),
            state.request_side[slots].tolist(),
            state.transport[slots].tolist(),
            heads.tolist(),
            self._pool.streams[heads].tolist(),
            strict=True,
        ):
            if not self._extractors[application]:
                continue
            request = self._head(head, side, transport, streams[side])
            reply = self._head(head, 1 - side, transport, streams[1 - side])
            detail = extract_detail(self._signatures.name(application), request, reply)
            if detail:
                self._details[slot] = detail

    def _head(self, head: int, side: int, transport: int, stream: list[int]) -> Head:
        """Return the bytes of one direction; `stream` is its row of `HeadPool.streams`."""
        have = stream[STREAM_HAVE]
        if not have:
            return NO_BYTES
        start = (head * 2 + side) * HEAD_BYTES
        if transport == 0:
            return Head((bytes(self._buffer[start : start + have]),), (stream[STREAM_TOTAL],))
        entries = range(STREAM_LIST, STREAM_LIST + 3 * stream[STREAM_COUNT], 3)
        return Head(
            tuple(
                bytes(self._buffer[start + stream[at] : start + stream[at] + stream[at + 1]])
                for at in entries
            ),
            tuple(stream[at + 2] for at in entries),
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
        side: NDArray[np.uint8],
        rows: NDArray[np.int64],
    ) -> None:
        """Let the flows that announce others be read; more than the bound is counted only."""
        self._dropped_watched += max(0, len(rows) - MAX_WATCHED_ROWS)
        for row in rows[:MAX_WATCHED_ROWS].tolist():
            self._announce(int(flow[row]), int(side[row]), _payload(view, packets, row))

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


def _payload(view: NDArray[np.uint8], packets: Packets, row: int) -> bytes:
    """Return the captured payload of a row, at most a head's worth."""
    start = int(packets.payload_offset[row])
    end = int(packets.packet_offset[row]) + int(packets.captured_length[row])
    stop = min(end, start + int(packets.payload_length[row]), start + HEAD_BYTES)
    return view[start:stop].tobytes() if stop > start else b""
