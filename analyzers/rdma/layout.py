"""Memory layout of the queue-pair table and the constants that its kernels and Python share."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SERVICES: Final = ("RC", "UC", "RD", "UD", "4", "XRC", "6", "7")
"""Transport services by the three high bits of the opcode."""

OPERATIONS: Final = (
    "send_first",
    "send_middle",
    "send_last",
    "send_last_immediate",
    "send_only",
    "send_only_immediate",
    "write_first",
    "write_middle",
    "write_last",
    "write_last_immediate",
    "write_only",
    "write_only_immediate",
    "read_request",
    "read_response_first",
    "read_response_middle",
    "read_response_last",
    "read_response_only",
    "acknowledge",
    "atomic_acknowledge",
    "compare_swap",
    "fetch_add",
    "reserved",
    "send_last_invalidate",
    "send_only_invalidate",
    "cnp",
    "other",
)
"""Operations by the five low bits of the opcode; CNP (0x81) and unknown ones at the end."""

NAK_NAMES: Final = (
    "sequence_error",
    "invalid_request",
    "remote_access_error",
    "remote_operational_error",
    "other",
)

WINDOW_WORDS: Final = 64
WINDOW_PSNS: Final = 64 * WINDOW_WORDS
TIMES: Final = 64
IDENTITIES: Final = 256
MISSED: Final = 4
HOLES: Final = 8
SKETCH_BUCKETS: Final = 288

QP_DTYPE: Final = np.dtype(
    [
        ("src_hi", "u8"),
        ("src_lo", "u8"),
        ("dst_hi", "u8"),
        ("dst_lo", "u8"),
        ("tunnel_key", "u8"),
        ("dest_qp", "u4"),
        ("source_qp", "u4"),  # UD only: there it is part of the key
        ("paired", "i4"),  # slot of the other direction, -1 while unknown
        ("pair_next", "i4"),  # next slot between the same hosts in this direction
        ("first_ns", "i8"),
        ("last_ns", "i8"),
        ("packets", "i8"),
        ("bytes", "i8"),
        ("payload_bytes", "i8"),
        ("delivered_bytes", "i8"),  # payload of packets seen for the first time
        ("last_data_ns", "i8"),
        ("last_new_ns", "i8"),
        ("first_data_ns", "i8"),
        ("ecn_capable", "i8"),
        ("ecn_marked", "i8"),
        ("messages", "i8"),
        ("open_start_ns", "i8"),
        ("open_bytes", "i8"),  # that the RETH of a WRITE announces; 0 for a SEND or a RETH cut off
        ("open_operation", "u1"),  # of the message under way; NO_MESSAGE for none
        ("open_psn", "u4"),  # of its First
        ("orphan_psn", "u4"),  # the newest Last whose First was not seen
        ("orphaned", "u1"),
        ("missed_at", "u1"),
        ("missed", "u4", (MISSED,)),  # 1 + PSN of Lasts not seen whose messages are counted
        ("service", "u1"),
        ("transport", "u1"),
        ("recovery", "u1"),  # CAUSE_* while packets are sent again
        ("nak_pending", "u1"),  # CAUSE_NAK or CAUSE_RNR until the sender answers
        ("rnr_timer", "u1"),
        ("acked_any", "u1"),
        ("data_any", "u1"),
        ("tail_lost", "u1"),  # 1: a time-out found the message open; what ends it was lost
        ("recovery_end", "u4"),  # PSN at which the resent part ends
        ("recovery_at", "u4"),  # PSN sent again last
        ("implied", "u1"),  # 1: a READ was asked for again; 2: its responses come a second time
        ("response_open", "u1"),  # 1: the newest READ response has not come to its end
        ("late_psn", "u4"),  # PSN that last arrived late without a known reason
        ("late_next", "u4"),  # PSN that was expected then
        ("late_run", "u4"),  # packets in a row that arrived so
        ("copy_psn", "u4"),  # PSN that last was taken for a copy
        ("copy_next", "u4"),  # PSN that was expected then
        ("copy_known", "u1"),
        ("nak_psn", "u4"),
        ("nak_ns", "i8"),
        ("last_acked", "u4"),
        ("mtu", "u4"),  # payload of a First or Middle packet, 0 while unknown
        ("head", "i4"),  # queue of PSNs that an ACK is due for
        ("tail", "i4"),
        ("queued", "i4"),
        ("timeouts", "u4"),
        ("acks", "i8"),  # received for this direction's data
        ("acks_sent", "i8"),  # carried in this direction, matched or not
        ("acks_unmatched", "i8"),
        ("naks", "i8"),
        ("rnr_naks", "i8"),
        ("cnps", "i8"),  # carried in this direction: they slow the other one
        ("retransmissions", "i8"),
        ("duplicates", "i8"),
        ("gaps", "i8"),
        ("network_lost", "i8"),
        ("collector_lost", "i8"),
        ("unresolved_lost", "i8"),  # missing, and nothing seen that tells where
        ("out_of_order", "i8"),
        ("max_displacement", "i8"),
        ("restarts", "i8"),
        ("ack_rtt_max_ns", "i8"),
        ("ack_rtt_min_ns", "i8"),  # 0 while unknown
        ("message_max_ns", "i8"),
        ("message_bytes_max", "i8"),
        ("first_frame", "i8"),
        ("last_frame", "i8"),
        ("flow", "i8"),
        ("udp_port", "u2"),
        ("tap", "u2"),
        ("operations", "i8", (len(OPERATIONS),)),  # packets carried, by operation
        ("nak_codes", "i8", (len(NAK_NAMES),)),
        ("ack_rtt", "u4", (SKETCH_BUCKETS,)),  # sketches: ns, ns, bytes
        ("completion", "u4", (SKETCH_BUCKETS,)),
        ("sizes", "u4", (SKETCH_BUCKETS,)),
    ],
    align=True,
)
"""One direction. Kernels pass records, which are one pointer, rather than arrays."""

TRACKER_DTYPE: Final = np.dtype(
    [
        ("next", "u4"),  # PSN expected next
        ("read_length", "i8"),  # of the last READ request whose span is not known; -1: cut off
        ("started", "u1"),
        ("holes", "u1"),
        ("window", "u8", (WINDOW_WORDS,)),  # one bit a PSN: seen
        ("times", "i8", (TIMES,)),  # when a PSN was seen last
        ("identities", "u2", (IDENTITIES,)),  # IP identification that a PSN came with last
        ("hole_start", "u4", (HOLES,)),
        ("hole_length", "u4", (HOLES,)),
        ("hole_missing", "u4", (HOLES,)),
        ("hole_network", "u1", (HOLES,)),  # 1: known to be lost in the network, and counted
        ("hole_ns", "i8", (HOLES,)),
        ("hole_frame", "i8", (HOLES,)),
    ],
    align=True,
)
"""PSN sequence of one direction: row 2 * slot for requests, + 1 for READ responses."""

QUEUE_DTYPE: Final = np.dtype(
    [
        ("time_ns", "i8"),  # of the packet that asks for the ACK
        ("start_ns", "i8"),  # of its message
        ("psn", "u4"),
        ("next", "i4"),
        ("last", "u1"),  # 1: the ACK completes a message
        ("asks", "u1"),  # 1: AckReq was set
        ("resent", "u1"),  # 1: no round-trip sample may be taken (Karn's rule)
    ],
    align=True,
)

EVENT_DTYPE: Final = np.dtype(
    [
        ("time_ns", "i8"),
        ("frame", "i8"),
        ("cause_frame", "i8"),  # frame that the event answers, 0 if none
        ("first_ns", "i8"),  # latency 1 (see EVENT_*), -1 unknown
        ("second_ns", "i8"),  # latency 2, -1 unknown
        ("qp", "i4"),
        ("psn", "u4"),
        ("count", "u4"),
        ("tap", "u2"),
        ("kind", "u1"),
        ("code", "u1"),
    ],
    align=True,
)

MESSAGE_DTYPE: Final = np.dtype(
    [
        ("start_ns", "i8"),
        ("end_ns", "i8"),  # last packet at the tap
        ("bytes", "i8"),
        ("qp", "i4"),
        ("immediate", "u4"),
        ("operation", "u1"),  # of the last packet
    ],
    align=True,
)
"""Messages completed in a batch: what the recognition of collectives reads."""

SEEN_DTYPE: Final = np.dtype(
    [
        ("time_ns", "i8"),
        ("frame", "i8"),
        ("identity", "i8"),  # low 16 bits of IP identification or flow label
        ("series", "i8"),  # row of the timeline
        ("slot", "i8"),
        ("psn", "i8"),
        ("payload", "i8"),
        ("dma_length", "i8"),  # READ_CUT for a READ request captured without it
        ("aeth", "u4"),
        ("immediate", "u4"),
        ("tap", "u2"),
        ("operation", "i8"),
        ("bits", "u1"),  # RDMA_* bits; "flags" is a name of NumPy's own
        ("ecn", "u1"),
    ],
    align=True,
)
"""The packet under the loop: one record, so that a call passes one pointer."""

EVENT_NAK: Final = 0  # first_ns: NAK generation latency; code: index of NAK_NAMES
EVENT_RECOVERY: Final = 1  # code: CAUSE_*; first_ns: NAK response; second_ns: retransmission
EVENT_COLLECTOR_LOSS: Final = 2  # frame: first packet after the hole; count: packets
EVENT_NETWORK_LOSS: Final = 3  # frame: the packet that shows it; count: packets known lost
EVENT_RNR: Final = 4  # code: timer
EVENT_OUT_OF_ORDER: Final = 5  # count: displacement in packets
EVENT_DUPLICATE: Final = 6
EVENT_ECN: Final = 7  # first CE mark of a queue pair
EVENT_CNP: Final = 8  # first CNP of a queue pair
EVENT_RESTART: Final = 9
EVENT_TRANSPORT_ERROR: Final = 10  # NAK other than a sequence error; code: index of NAK_NAMES
EVENT_KINDS: Final = 11
EVENTS_PER_KIND: Final = 4_096

CAUSE_NAK: Final = 1
CAUSE_RNR: Final = 2
CAUSE_TIMEOUT: Final = 3
CAUSE_UNSEEN: Final = 4  # sent again, but the reason was not captured
CAUSE_IMPLIED: Final = 5  # READ or atomic requested again: the answer did not come
CAUSES: Final = ("", "nak", "rnr", "timeout", "unseen", "implied_nak")

NO_MESSAGE: Final = 255
READ_CUT: Final = -1
"""Length of a READ whose RETH lies behind the captured bytes."""

RESTART_AHEAD: Final = 1 << 18
RESTART_BEHIND: Final = 1 << 16
"""PSN jumps past these are a queue pair made anew: no more packets are lost, or under way."""
TIMEOUT_NS: Final = 1_000_000
"""Silence after which a repetition without a NAK is put down to the ACK time-out. Hardware waits
4.096 us x 2^n, of which values below 1 ms are not in use; a repetition inside a millisecond
without any NAK is a copy made by the mirror."""

SERIES: Final = (
    "rdma_packets",
    "rdma_payload_bytes",
    "retransmissions",
    "ecn_marked",
    "cnps",
    "naks",
    "lost",
)

COUNTERS: Final = ("unassigned", "queue_dropped", "ambiguous_acks", "malformed")


class RdmaState(NamedTuple):
    """Everything the RDMA kernels read and write; owned by `QueuePairTable`."""

    index: NDArray[np.int32]  # type: ignore[assignment]  # slot + 1 by hash of the key, 0 when empty
    pairs: NDArray[np.int32]  # slot + 1: newest queue pair between two hosts, by hash
    hints: NDArray[np.int32]  # slot + 1 by 2 * flow + side: the queue pair seen there last
    seen: NDArray[np.void]  # SEEN_DTYPE, one
    qps: NDArray[np.void]  # QP_DTYPE
    trackers: NDArray[np.void]  # TRACKER_DTYPE (2 * slots)
    queue: NDArray[np.void]  # QUEUE_DTYPE, shared by all
    queue_free: NDArray[np.int32]
    events: NDArray[np.void]  # EVENT_DTYPE (EVENT_KINDS, EVENTS_PER_KIND)
    event_counts: NDArray[np.int64]
    messages: NDArray[np.void]  # MESSAGE_DTYPE of this batch
    cursor: NDArray[np.int64]  # slots used, free queue entries, messages of this batch
    counters: NDArray[np.int64]
    timeline: NDArray[np.int64]  # (bins, len(SERIES))
    timeline_scale: NDArray[np.int64]


QUEUE_LIMIT: Final = 1_024  # entries of one queue pair: more means that its ACKs are not seen
QUEUE_SCAN: Final = 64  # entries of one queue that an unmatched ACK is compared with
PAIR_PATIENCE: Final = 64  # unmatched ACKs after which only one in so many is tried (power of 2)
PAIR_DISTANCE: Final = 1 << 16  # PSNs that an ACK may be away from the next of its direction
PAIR_SCAN: Final = 256  # queue pairs between two hosts that an unmatched ACK is tried on

IN_ORDER: Final = 0
GAP: Final = 1
LATE: Final = 2
REPEAT: Final = 3
RESTART: Final = 4
"""What a PSN is to its tracker: LATE was missing so far, REPEAT was seen before."""

UNKNOWN: Final = 0
COPY: Final = 1
RESENT: Final = 2
"""What a repeated PSN is by its IP identification."""

CURSOR_SLOTS: Final = 0
CURSOR_QUEUE_FREE: Final = 1
CURSOR_MESSAGES: Final = 2
