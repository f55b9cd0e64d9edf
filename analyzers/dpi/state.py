"""What the engine keeps: per flow its stage and verdict, per unfinished flow the first bytes.

Only allocation and layout are here. Everything is allocated once, zeroed and touched late, so
that memory that no flow uses costs nothing.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

HEAD_BYTES: Final = 2_048
"""First bytes kept of each direction: room for a TLS ClientHello with a post-quantum key share."""

SCRATCH_BYTES: Final = 512
"""Of a message that is not kept in a head, this much is matched."""

MAX_PACKETS: Final = 12
"""Payload packets of a flow that are looked at before it is given up as unknown."""

MAX_DATAGRAMS: Final = 4
"""Datagrams of a direction whose boundaries are kept in a head."""

NO_HEAD: Final = -1

# Stages of a flow ------------------------------------------------------------------------
STAGE_NEW: Final = 0
STAGE_DONE: Final = 1
STAGE_RDMA: Final = 2  # the first SENDs are still looked at
STAGE_RDMA_DONE: Final = 3  # only connection management is
STAGE_COLLECT: Final = 4  # not named yet
STAGE_DETAIL: Final = 5  # named; bytes for the detail are still collected
STAGE_FINISHED: Final = 6  # waits for the detail to be read
STAGE_WATCH: Final = 7  # named; announces other flows, so all its payload is read

# Columns of `HeadPool.streams` -----------------------------------------------------------
STREAM_KNOWN: Final = 0  # the sequence number of the first byte is known
STREAM_BASE: Final = 1
STREAM_HAVE: Final = 2  # contiguous bytes from the first on; datagrams: bytes used
STREAM_TOTAL: Final = 3  # wire length of the first segment
STREAM_COUNT: Final = 4  # datagrams, or pending out-of-order intervals
STREAM_HOPELESS: Final = 5  # 1: no rule can match the stream, or the first datagram, any more
STREAM_LIST: Final = 6  # intervals (start, stop), or datagrams (start, have, total)
STREAM_COLUMNS: Final = STREAM_LIST + 3 * MAX_DATAGRAMS

# Indexes of the counters -----------------------------------------------------------------
COUNT_MATCHED: Final = 0  # conditions evaluated
COUNT_STOLEN: Final = 1  # flows given up because all heads were in use
COUNT_ROWS: Final = 2  # packets looked at
COUNTERS: Final = 4


class FlowState(NamedTuple):
    """One entry a flow-table slot."""

    stage: NDArray[np.uint8]
    seen: NDArray[np.uint8]  # payload packets looked at
    limit: NDArray[np.uint8]  # payload packets after which the flow is finished
    transport: NDArray[np.uint8]  # index into signatures.TRANSPORTS; 255: none of them
    application: NDArray[np.uint16]
    rule: NDArray[np.int32]  # that named it, or -1
    score: NDArray[np.uint16]  # thousandths
    agreed: NDArray[np.uint8]  # 1: both directions agree
    request_side: NDArray[np.uint8]  # side whose bytes matched
    opened: NDArray[np.uint8]  # bit per side: its SYN was seen
    head: NDArray[np.int32]  # index into the pool, or NO_HEAD
    ports: NDArray[np.uint16]  # [slot, side]
    sequence: NDArray[np.uint32]  # [slot, side]: first TCP sequence number; RDMA: destination QP
    address: NDArray[np.uint64]  # [slot, 4]: high and low half of side 0's, of side 1's address
    opened_ns: NDArray[np.int64]  # time of the first packet


class HeadPool(NamedTuple):
    """The first bytes of flows that are not finished."""

    buffer: NDArray[np.uint8]  # [(heads x 2 + 1) x HEAD_BYTES]; the last part is scratch
    streams: NDArray[np.int64]  # [heads, 2, STREAM_COLUMNS]
    owner: NDArray[np.int32]  # slot, or -1 while free
    free: NDArray[np.int32]  # stack of free heads
    cursor: NDArray[np.int64]  # [free heads, next head to take away, heads ever used]


def allocate_flows(capacity: int) -> FlowState:
    """Return the zeroed state of `capacity` flow slots."""
    return FlowState(
        stage=np.zeros(capacity, np.uint8),
        seen=np.zeros(capacity, np.uint8),
        limit=np.zeros(capacity, np.uint8),
        transport=np.zeros(capacity, np.uint8),
        application=np.zeros(capacity, np.uint16),
        rule=np.zeros(capacity, np.int32),
        score=np.zeros(capacity, np.uint16),
        agreed=np.zeros(capacity, np.uint8),
        request_side=np.zeros(capacity, np.uint8),
        opened=np.zeros(capacity, np.uint8),
        head=np.zeros(capacity, np.int32),
        ports=np.zeros((capacity, 2), np.uint16),
        sequence=np.zeros((capacity, 2), np.uint32),
        address=np.zeros((capacity, 4), np.uint64),
        opened_ns=np.zeros(capacity, np.int64),
    )


def allocate_heads(heads: int) -> HeadPool:
    """Return an empty pool of `heads` heads."""
    return HeadPool(
        buffer=np.zeros((heads * 2 + 1) * HEAD_BYTES, np.uint8),
        streams=np.zeros((heads, 2, STREAM_COLUMNS), np.int64),
        owner=np.full(heads, -1, np.int32),
        free=np.arange(heads - 1, -1, -1, dtype=np.int32),
        cursor=np.array([heads, 0, 0], np.int64),
    )
