"""Columns shared by the plan, the simulator, the taps and the frame writer, and their codes.

All tables are record arrays whose fields are 64 bits wide, so that compiled code never mixes
widths. Nothing here computes.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Table = NDArray[Any]
"""A record array made by `table`: rows of one of the dtypes below."""
Row = Any
"""One row of a table; its fields are attributes."""


def _int_dtype(names: str, **other: str) -> np.dtype[np.void]:
    fields = [(name, "i8") for name in names.split()]
    return np.dtype(fields + list(other.items()))


def table(dtype: np.dtype[np.void], rows: int) -> Table:
    """Return `rows` zeroed rows of `dtype` as a record array."""
    return np.zeros(rows, dtype).view(np.recarray)


HOST: Final = _int_dtype(
    # Rates are in bits per nanosecond (Gb/s). head and tail: flows waiting for the port.
    "busy head tail rx_free_ns paused_until_ns pause_wake",
    up_gbps="f8",
    down_gbps="f8",
)
"""A host with one port."""

FLOW: Final = _int_dtype(
    # One direction of a queue pair: packets from src to dst that carry dest_qp.
    "src dst reverse transport dest_qp udp_sport initial_psn job "
    # Sender. Packets are numbered from 0 without wrap; the PSN is that plus initial_psn.
    "queue_base posted posted_packets tx_message next_index high una window "
    "in_line next_flow ready_ns wake_pending last_cut_ns timer_ns timer_armed retries dead "
    "answers first_resent "
    # Receiver of this direction's data.
    "expected rx_message gap_open response_gap out_of_order ack_pending last_cnp_ns rnr_left error "
    # Responses (READ, atomic) that travel in this direction.
    "response_head response_tail "
    # In order on the path; a packet that was held back to be overtaken.
    "last_arrival_ns last_ack_ns held_slot held_left held_where burst_left burst_where "
    # Faults that start at a packet or message of this direction; newest truth event.
    "trigger_begin trigger_end last_event ip_id "
    # What happened in the network, whatever a tap saw of it.
    "sent resent arrived discarded lost_uplink lost_fabric lost_downlink controls_lost timeouts",
    rate_gbps="f8",
)

TASK: Final = _int_dtype(
    # A compute pause (flow < 0) or a transfer; runs when `waits` others have ended.
    "flow operation size_bytes packets immediate waits child_begin child_end delay_ns "
    "span role rank first_index queue_position start_ns end_ns"
)

ROW: Final = _int_dtype(
    "time_ns uid flow kind opcode marks ecn index psn payload_bytes aeth address dma_length "
    "immediate ip_id task tap event answers copied deadline_ns tail blob mirror_sequence"
)
"""A packet in flight or as a tap saw it."""

TRIGGER: Final = _int_dtype("flow kind at count where code fault left")
"""A fault at the `at`-th packet or message of a flow."""

CHANCE: Final = _int_dtype("kind where burst start_ns stop_ns fault hits", ratio="f8")
"""A fault that hits packets at random."""

EVENT: Final = _int_dtype(
    "kind fault flow index uid where time_ns answer_ns resent_ns resent recovery previous code"
)
"""Truth about one fault that happened."""

PAUSE: Final = _int_dtype("host time_ns until_ns")
TAP: Final = _int_dtype("place")

COUNT: Final = _int_dtype(
    # What one tap saw of one flow. Answers (ACK to CNP) stand with the flow that they answer.
    "packets data_packets payload_bytes messages acks naks rnr_naks cnps retransmissions "
    "reordered largest_displacement ecn_capable ce duplicates mirror_lost highest "
    "first_ns last_ns data_base response_base response_highest"
)

# Places on the path: where a packet is lost, marked or overtaken.
NOWHERE: Final = 0
UPLINK: Final = 1  # between the host and the ingress tap
FABRIC: Final = 2  # between ingress and egress tap
DOWNLINK: Final = 3  # behind the egress tap

# Taps.
TAP_INGRESS: Final = 0
TAP_EGRESS: Final = 1
TAP_LEAF: Final = 2

# Transports and operations.
RC: Final = 0
UC: Final = 1
UD: Final = 3
OP_SEND: Final = 0
OP_WRITE: Final = 1
OP_READ: Final = 2
OP_FETCH_ADD: Final = 3
OP_CMP_SWAP: Final = 4

# Kinds of row.
DATA: Final = 1
ACK: Final = 2
NAK: Final = 3
RNR: Final = 4
CNP: Final = 5
RESPONSE: Final = 6
BLOB: Final = 7  # a ready-made frame: CM, PFC, PAUSE
TCP: Final = 8
UDP: Final = 9

BLOB_PFC: Final = 1  # opcode of a BLOB row
BLOB_PAUSE: Final = 2

# Row marks.
FLAG_ACK_REQUEST: Final = 1
FLAG_RESENT: Final = 2
FLAG_CREDIT: Final = 4
FLAG_BECN: Final = 8

# Faults: triggers, chances and truth events share these codes.
LOSS: Final = 1
TAIL_LOSS: Final = 2
REORDER: Final = 3
RNR_FAULT: Final = 4
ACCESS_ERROR: Final = 5
STALL: Final = 6
CE_MARK: Final = 7
ACK_LOSS: Final = 8

RECOVERY_NONE: Final = 0
RECOVERY_NAK: Final = 1
RECOVERY_TIMEOUT: Final = 2
RECOVERY_RNR: Final = 3
RECOVERY_LATE: Final = 4  # a reordered packet that arrived

# Roles of tasks.
ROLE_DATA: Final = 0
ROLE_CREDIT: Final = 1
ROLE_COMPUTE: Final = 2

# Kinds of simulator event.
EVENT_TASK: Final = 0
EVENT_PORT: Final = 1
EVENT_ARRIVAL: Final = 2
EVENT_TIMER: Final = 3
EVENT_ACK: Final = 4
EVENT_WAKE: Final = 5
EVENT_RELEASE: Final = 6
EVENT_PAUSE: Final = 7
EVENT_KICK: Final = 8
EVENT_SEND: Final = 9

RESPONSE_RING: Final = 64
"""READ and atomic requests that a responder holds for one queue pair."""
HOLD_NS: Final = 200_000
"""An overtaken packet arrives at the latest after this, if too few packets follow it."""

# Cells of the `scalars` array of the simulator.
NOW: Final = 0
HEAP_USED: Final = 1
SEQUENCE: Final = 2
NEXT_UID: Final = 3
FREE_USED: Final = 4
EVENTS_USED: Final = 5
EVENTS_DROPPED: Final = 6
ROWS_USED: Final = 7
SEED: Final = 8
LATENCY_NS: Final = 9
JITTER_NS: Final = 10
MTU: Final = 11
OVERHEAD_BYTES: Final = 12
ACK_TIMEOUT_NS: Final = 13
RETRY_LIMIT: Final = 14
ACK_DELAY_NS: Final = 15
TOLERATE: Final = 16
ACK_EVERY: Final = 17
CNP_INTERVAL_NS: Final = 18
ECN_QUEUE_NS: Final = 19
RATE_RECOVERY_NS: Final = 20
POOL_EXHAUSTED: Final = 21
FAILED_TASKS: Final = 22
SCALARS: Final = 24


class Simulation(NamedTuple):
    """All state of a run; kernels take it as one argument and change it in place."""

    scalars: NDArray[np.int64]
    heap: NDArray[np.int64]  # (capacity, 4): time_ns, sequence, event kind, argument
    hosts: Table
    flows: Table
    tasks: Table
    children: NDArray[np.int64]  # tasks that wait for a task, sliced by child_begin, child_end
    queues: NDArray[np.int64]  # tasks in posting order, a slice for each flow
    responses: NDArray[np.int64]  # (flows, RESPONSE_RING, 4): first, next, end index, task
    pool: Table  # packets in flight
    free: NDArray[np.int64]  # stack of free rows of the pool
    triggers: Table
    chances: Table
    chance_flows: NDArray[np.uint8]  # (chances, flows): 1 where the chance applies
    events: Table  # row 0 is not used
    taps: Table
    tap_hosts: NDArray[np.uint8]  # (taps, hosts): 1 where the tap sees the host's port
    pauses: Table
    out: Table  # rows for the taps, not yet sorted by time
