"""The iWARP analyzer: keeps the kernels' state, opens and ends connections, gives the result."""

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.iwarp import layout as at
from fabricscope.analyzers.iwarp.kernels import TCP, UNKNOWN, find_rows, take_rows
from fabricscope.analyzers.iwarp.report import Record, connection_records, records_frame
from fabricscope.analyzers.iwarp.stream.kernels import pass_segments
from fabricscope.records import Packets

if TYPE_CHECKING:
    import polars

MAX_RECORDS: Final = 65_536
"""Directions that are reported; what ends later is only counted."""


class IwarpResult(NamedTuple):
    """What iWARP was seen.

    `packets` counts TCP packets with payload on a connection that showed an MPA start frame, from
    that frame on: start frames, FPDUs, and repeated segments; bare acknowledgements do not count.
    """

    packets: int
    connections: "polars.DataFrame"  # one row a direction: `report.COLUMNS`
    untracked_start_frames: int  # seen while the connection table was full
    unreported_directions: int  # beyond MAX_RECORDS


class IwarpAnalyzer:
    """Follows TCP connections that begin with MPA start frames; all others cost one look a packet.

    `logged_fpdus` is how many FPDUs to keep one by one for `fpdus()`, none by default.
    """

    def __init__(self, logged_fpdus: int = 0) -> None:
        """Allocate the state; its pages are touched as connections appear."""
        self._state = at.allocate_state(logged_fpdus)
        self._entry_of_flow: NDArray[np.int32] = np.full(0, UNKNOWN, np.int32)
        self._records: list[Record] = []
        self._unreported = 0
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)

    def update(
        self,
        view: NDArray[np.uint8],
        packets: Packets,
        flow: NDArray[np.int64],
        side: NDArray[np.uint8],
    ) -> None:
        """Take a decoded batch in time order.

        `flow` is (n,) the flow slot of each row or -1, `side` (n,) which endpoint sent it: 0 for
        the flow's first.
        """
        if not len(flow) or not bool(np.any(packets.protocol == TCP)):
            return
        needed = int(flow.max()) + 1
        if needed > len(self._entry_of_flow):
            grown = np.full(max(needed, 2 * len(self._entry_of_flow)), UNKNOWN, np.int32)
            grown[: len(self._entry_of_flow)] = self._entry_of_flow
            self._entry_of_flow = grown
        view = view.view()
        view.flags.writeable = False  # one type of view, so that kernels compile once
        if len(self._rows) < len(flow):
            self._rows = np.zeros(len(flow), np.int64)
        count = find_rows(
            packets.protocol,
            packets.packet_offset,
            packets.captured_length,
            packets.payload_offset,
            view,
            flow,
            self._entry_of_flow,
            self._rows,
        )
        if not count:
            return
        if self._state.totals[at.TOTAL_FREE] == 0:
            self._end_finished()
        take_rows(self._state, packets, view, flow, side, self._entry_of_flow, self._rows[:count])
        if self._state.totals[at.TOTAL_ENDED]:
            self._report_ended()

    def flow_closed(self, slots: NDArray[np.int64]) -> None:
        """End the connections of flow slots that were evicted and may be reused."""
        known = slots[(slots >= 0) & (slots < len(self._entry_of_flow))]
        entries = self._entry_of_flow[known]
        for entry in np.unique(entries[entries >= 0]):
            self._end(int(entry))
        if len(entries):
            self._report_ended()

    def finish(self) -> IwarpResult:
        """End all connections and return what was seen, in order of first packet."""
        for entry in np.flatnonzero(self._state.connections[:, at.IN_USE] == 1):
            self._end(int(entry))
        self._report_ended()
        self._records.sort(key=lambda record: (record["opened_ns"], record["initiator"] is False))
        return IwarpResult(
            packets=int(self._state.totals[at.TOTAL_PACKETS]),
            connections=records_frame(self._records),
            untracked_start_frames=int(self._state.totals[at.TOTAL_REFUSED_ENTRY]),
            unreported_directions=self._unreported,
        )

    def fpdus(self) -> "polars.DataFrame":
        """Return the kept FPDUs in order, with the columns of `layout.LOG_FIELDS`.

        Null stands for what does not apply or was not captured; `crc` is 1 good, 0 bad.
        """
        import polars

        rows = self._state.log[: self._state.totals[at.TOTAL_LOGGED]]
        offsets = rows[:, at.LOG_FIELDS.index("tagged_offset")].view(np.uint64)
        frame = polars.DataFrame(rows, schema=list(at.LOG_FIELDS), orient="row")
        return frame.with_columns(
            polars.when(polars.col("stag") >= 0)
            .then(polars.Series("tagged_offset", offsets))
            .alias("tagged_offset"),
            *(
                polars.when(polars.col(name) >= 0).then(polars.col(name)).alias(name)
                for name in at.LOG_FIELDS
                if name != "tagged_offset"
            ),
        )

    def _end_finished(self) -> None:
        """Make room: end the connections that both sides closed or one side reset."""
        connections = self._state.connections
        done = (connections[:, at.IN_USE] == 1) & (connections[:, at.FINISHED] == 1)
        for entry in np.flatnonzero(done):
            self._end(int(entry))
        self._report_ended()

    def _end(self, entry: int) -> None:
        """Mark a connection as ended; its flow may open another."""
        connection = self._state.connections[entry]
        self._entry_of_flow[connection[at.FLOW]] = UNKNOWN
        connection[at.IN_USE] = 2

    def _report_ended(self) -> None:
        """Turn ended entries into records and free them."""
        state = self._state
        for entry in np.flatnonzero(state.connections[:, at.IN_USE] == 2):
            for stream in (2 * int(entry), 2 * int(entry) + 1):
                pass_segments(state, stream, state.held_view, 0, 0, 0, 0, 0, 0, True)
            records = connection_records(state, int(entry))
            room = MAX_RECORDS - len(self._records)
            self._records.extend(records[:room])
            self._unreported += max(len(records) - room, 0)
            state.connections[entry, at.IN_USE] = 0
            state.free[state.totals[at.TOTAL_FREE]] = entry
            state.totals[at.TOTAL_FREE] += 1
        state.totals[at.TOTAL_ENDED] = 0
