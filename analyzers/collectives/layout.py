"""Memory layout of transfers: what the collectives kernel writes and the recognition reads."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

CHANNEL_DTYPE: Final = np.dtype(
    [
        ("src_hi", "u8"),
        ("src_lo", "u8"),
        ("dst_hi", "u8"),
        ("dst_lo", "u8"),
        ("start_ns", "i8"),  # of the transfer under way
        ("end_ns", "i8"),
        ("bytes", "i8"),
        ("expected", "i8"),  # bytes that its First announced, -1 unknown
        ("next", "i8"),  # TCP sequence number or PSN expected next, -1 before the first
        ("last_bytes", "i8"),  # of the transfer before
        ("lost", "i8"),  # bytes (TCP) or packets (RDMA) that the capture misses
        ("resent", "i8"),  # packets seen again
        ("packets", "i8"),
        ("ack_start_ns", "i8"),  # of the train of acknowledgements that this direction carries
        ("ack_end_ns", "i8"),  # 0: none yet
        ("ack_psn", "i8"),
        ("seen", "i8"),  # packets of the transfer under way
        ("full", "u4"),  # largest payload seen: segment size or path MTU
        ("place", "i4"),  # row of the transfer written last, -1 for none
        ("qp", "i4"),  # slot in the queue-pair table, -1 for TCP
        ("src_port", "u2"),
        ("dst_port", "u2"),
        ("open", "u1"),
        ("was_full", "u1"),  # 1: the packet before was of full size, so a small one is its tail
    ],
    align=True,
)
"""One direction of a connection: a TCP flow's side or a queue pair."""

TRANSFER_DTYPE: Final = np.dtype(
    [
        ("start_ns", "i8"),
        ("end_ns", "i8"),  # of its last packet, repeated ones included
        ("passed_ns", "i8"),  # when its last packet passed for the first time
        ("bytes", "i8"),  # payload, what the mirror missed included
        ("channel", "i4"),
        ("packets", "u4"),  # captured
        ("psn", "u4"),  # RDMA: its last packet's; of an ACK train the last one acknowledged
        ("before", "i4"),  # RDMA: row of the channel's transfer before, -1 unknown
        ("kind", "u1"),  # KIND_*
    ],
    align=True,
)

KIND_DATA: Final = 0
KIND_IMMEDIATE: Final = 1  # an RDMA message with immediate: data by the sender's own word
KIND_CONTROL: Final = 2  # credits, notifications, frames without a body
KIND_ACK: Final = 3  # a train of RDMA acknowledgements, for data the other way

ACK_PAUSE_NS: Final = 20_000
"""Acknowledgements closer than this are one train: only where a train ends matters."""

SMALL_TCP_BYTES: Final = 256
"""A segment of at most this size that does not end a train of full ones is control."""

CREDIT_BYTES: Final = 64
"""NCCL's credit is an RDMA WRITE of 64 bytes without immediate (see rdma.md)."""

TCP_PAUSE_NS: Final = 2_000_000
"""Silence after which a TCP transfer is over though no short segment ended it."""

HOLE_LIMIT_BYTES: Final = 1 << 24
"""A jump of the TCP sequence number beyond this is no loss but another connection."""

HOLE_LIMIT_PACKETS: Final = 1 << 16

MAX_REPEATED: Final = 64
"""Transfers back of a channel among which a repeated packet finds its own."""

MAX_CHANNELS: Final = 131_072
MAX_TRANSFERS: Final = 1 << 20

COUNTERS: Final = (
    "channels_dropped",
    "transfers_dropped",
    "compactions",
    "lost_packets",
    "lost_bytes",
    "tcp_bytes",
)

CURSOR_CHANNELS: Final = 0
CURSOR_TRANSFERS: Final = 1


class TransferState(NamedTuple):
    """Everything the kernel reads and writes; owned by `CollectiveAnalyzer`."""

    flow_channels: NDArray[np.int32]  # channel + 1 by 2 * flow + side
    qp_channels: NDArray[np.int32]  # channel + 1 by queue-pair slot
    channels: NDArray[np.void]  # CHANNEL_DTYPE
    transfers: NDArray[np.void]  # TRANSFER_DTYPE
    cursor: NDArray[np.int64]
    counters: NDArray[np.int64]
