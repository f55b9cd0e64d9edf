"""Where each value of a connection and of a direction stands in the state arrays, and their bounds.

The kernels see these as constants. The arrays are allocated here; what they mean to a reader of
the results is in `report`.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.iwarp.crc32c.kernels import make_tables

OUTER: Final[dict[str, Any]] = {"cache": True, "nogil": True, "_nrt": False}
"""Compiler options of kernels that Python calls; they allocate nothing."""
INNER: Final = OUTER | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Those of kernels that only kernels call: no wrapper halves the compile time."""
INLINED: Final = INNER | {"forceinline": True}
"""The same where one place calls: passing a state of twenty arrays costs more than the work."""

MAX_CONNECTIONS: Final = 1024
HEADER_BYTES: Final = 48  # length, untagged DDP header and the longest RDMAP header
MAX_READS: Final = 128  # read requests awaiting their response, a direction
MAX_HELD: Final = 256  # segments that wait for an earlier one, all connections together
MAX_HELD_PER_STREAM: Final = 64
HELD_BYTES: Final = 9216  # of a waiting segment; the rest counts as not captured
MAX_NOTABLE: Final = 8  # frame numbers kept of each kind, a direction
BUCKETS: Final = 640  # of a time histogram: sixteen an octave, up to 2^43 ns
OPCODES: Final = 17  # the sixteen of RDMAP, and the empty FPDU
EMPTY: Final = 16

# Phases of a direction
WAITING: Final = 0  # no start frame yet
STARTING: Final = 1  # inside the start frame
FULL: Final = 2  # at a known place of the FPDU stream
LOST: Final = 3  # place unknown after a gap or nonsense
CUT: Final = 4  # place unknown because the snap length hid an ULPDU length

# Columns of `streams`, one row a direction: 2 * connection + side of the sender
PHASE: Final = 0
NEXT_SEQUENCE: Final = 1
START_REMAINING: Final = 2
START_SEQUENCE: Final = 3
POSITION: Final = 4  # bytes of the TCP stream since full operation began, markers included
MARKERS: Final = 5  # -1 unknown yet, 0, 1
FPDU_SEEN: Final = 6  # bytes of the current FPDU passed, without markers
FPDU_SIZE: Final = 7  # 0 until its length field was read
FPDU_POSITION: Final = 8
FPDU_TIME: Final = 9
HEADER_SEEN: Final = 10
REGISTER: Final = 11
INTACT: Final = 12
RECEIVED_CRC: Final = 13
MESSAGE_OPEN: Final = 14
MESSAGE_OPCODE: Final = 15
MESSAGE_BYTES: Final = 16
MESSAGE_TIME: Final = 17
MESSAGE_INTACT: Final = 18
MESSAGE_STAG: Final = 19
MESSAGE_OFFSET: Final = 20
AFTER_GAP: Final = 21  # the next message may lack its beginning
READ_HEAD: Final = 22
READ_COUNT: Final = 23
HELD: Final = 24
FIN: Final = 25
PACKETS: Final = 26
FPDUS: Final = 27
UNSEEN_FPDUS: Final = 28
MESSAGES: Final = 29
PARTIAL_MESSAGES: Final = 30
PAYLOAD_BYTES: Final = 31
CRC_GOOD: Final = 32
CRC_BAD: Final = 33
CRC_UNVERIFIED: Final = 34
RESYNCS: Final = 35
LOST_BYTES: Final = 36
RETRANSMITTED: Final = 37
OUT_OF_ORDER: Final = 38
MARKER_ERRORS: Final = 39
UNANSWERED_READS: Final = 40
UNMATCHED_RESPONSES: Final = 41
FIRST_TIME: Final = 42
LAST_TIME: Final = 43
TERMINATE: Final = 44  # control word, -1 for none
TERMINATE_FRAME: Final = 45
START_KIND: Final = 46  # 0 none, 1 request, 2 reply
START_FLAGS: Final = 47  # M C R S bits as sent, -1 unknown
REVISION: Final = 48
PRIVATE_BYTES: Final = 49
IRD: Final = 50
ORD: Final = 51
START_FRAME: Final = 52
CRC_FRAMES: Final = 53
RESYNC_FRAMES: Final = 54
STREAM_FIELDS: Final = 55

# Columns of `connections`
IN_USE: Final = 0  # 0 free, 1 in use, 2 ended and to be reported
FLOW: Final = 1
RESET_FRAME: Final = 2
FINISHED: Final = 3
CONNECTION_FIELDS: Final = 4

# Columns of `held`
HELD_STREAM: Final = 0
HELD_SEQUENCE: Final = 1
HELD_CAPTURED: Final = 2
HELD_LENGTH: Final = 3
HELD_TIME: Final = 4
HELD_FRAME: Final = 5

# Cells of `totals`
TOTAL_PACKETS: Final = 0
TOTAL_REFUSED_ENTRY: Final = 1  # start frames that found the table full
TOTAL_ENDED: Final = 2
TOTAL_FREE: Final = 3  # entries of the free list
TOTAL_LOGGED: Final = 4
TOTAL_FIELDS: Final = 5

LOG_FIELDS: Final = (
    "frame",
    "stream",
    "ulpdu_bytes",
    "tagged",
    "last",
    "opcode",
    "queue",
    "msn",
    "message_offset",
    "stag",
    "tagged_offset",
    "crc",
)


class IwarpState(NamedTuple):
    """All state of the analyzer as arrays; kernels write them, nobody else keeps a copy."""

    connections: NDArray[np.int64]  # (connections, CONNECTION_FIELDS)
    addresses: NDArray[np.uint64]  # (connections, 6): hi, lo, port of side 0, then of side 1
    streams: NDArray[np.int64]  # (2 * connections, STREAM_FIELDS)
    header: NDArray[np.uint8]  # (2 * connections, HEADER_BYTES)
    operations: NDArray[np.int64]  # (2 * connections, OPCODES): messages that ended
    operation_bytes: NDArray[np.int64]  # (2 * connections, OPCODES)
    largest_bytes: NDArray[np.int64]  # (2 * connections, OPCODES): the largest message
    reads: NDArray[np.int64]  # (2 * connections, MAX_READS, 4): time, STag, offset, size
    read_times: NDArray[np.int32]  # (2 * connections, BUCKETS)
    message_times: NDArray[np.int32]  # (2 * connections, BUCKETS)
    longest_ns: NDArray[np.int64]  # (2 * connections, 2): read, message
    notable: NDArray[np.int64]  # (2 * connections, 2, MAX_NOTABLE): CRC errors, resyncs
    held: NDArray[np.int64]  # (MAX_HELD, 6)
    held_bytes: NDArray[np.uint8]  # (MAX_HELD * HELD_BYTES,)
    held_view: NDArray[np.uint8]  # the same memory, read-only like the caller's view
    free: NDArray[np.int64]  # (connections,) stack of free entries
    totals: NDArray[np.int64]  # (TOTAL_FIELDS,)
    log: NDArray[np.int64]  # (rows, LOG_FIELDS)
    tables: NDArray[np.int64]  # CRC32c


def allocate_state(log_rows: int = 0) -> IwarpState:
    """Return empty state; pages are only touched as connections appear."""
    streams = 2 * MAX_CONNECTIONS
    free = np.arange(MAX_CONNECTIONS - 1, -1, -1, dtype=np.int64)
    totals = np.zeros(TOTAL_FIELDS, np.int64)
    totals[TOTAL_FREE] = MAX_CONNECTIONS
    held = np.zeros((MAX_HELD, 6), np.int64)
    held[:, HELD_STREAM] = -1
    held_bytes = np.zeros(MAX_HELD * HELD_BYTES, np.uint8)
    held_view = held_bytes.view()
    held_view.flags.writeable = False  # one type of view, so that kernels compile once
    return IwarpState(
        connections=np.zeros((MAX_CONNECTIONS, CONNECTION_FIELDS), np.int64),
        addresses=np.zeros((MAX_CONNECTIONS, 6), np.uint64),
        streams=np.zeros((streams, STREAM_FIELDS), np.int64),
        header=np.zeros((streams, HEADER_BYTES), np.uint8),
        operations=np.zeros((streams, OPCODES), np.int64),
        operation_bytes=np.zeros((streams, OPCODES), np.int64),
        largest_bytes=np.zeros((streams, OPCODES), np.int64),
        reads=np.zeros((streams, MAX_READS, 4), np.int64),
        read_times=np.zeros((streams, BUCKETS), np.int32),
        message_times=np.zeros((streams, BUCKETS), np.int32),
        longest_ns=np.zeros((streams, 2), np.int64),
        notable=np.zeros((streams, 2, MAX_NOTABLE), np.int64),
        held=held,
        held_bytes=held_bytes,
        held_view=held_view,
        free=free,
        totals=totals,
        log=np.zeros((log_rows, len(LOG_FIELDS)), np.int64),
        tables=make_tables(),
    )
