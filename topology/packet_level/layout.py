"""Rows of the packet engine's tables and the numbers that its kernels share.

Times are int64 picoseconds, sizes bytes on the wire. A row is one record, so that a kernel gets
it as one pointer. Nothing here computes.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.topology.routing.routes import Routes, RouteState

__all__ = ["PACKET_KINDS", "Network"]

NEVER: Final = 1 << 62
"""A time that does not come."""

AFTER_ALL: Final = (1 << 63) - 1
"""What the heap holds behind its last event."""

DATA: Final = 0
ACK: Final = 1
NAK: Final = 2
CNP: Final = 3
PAUSE: Final = 4
NOTICE: Final = 5
PACKET_KINDS: Final = ("data", "ack", "nak", "cnp", "pause", "notice")

IS_FIRST: Final = 1
IS_LAST: Final = 2
IS_AGAIN: Final = 4
IS_MARKED: Final = 8
"""Flags of a packet: first or last of its message, sent again, marked as congested."""

INTO_DEAD: Final = 0
IN_FLIGHT: Final = 1
CORRUPTED: Final = 2
NO_ROUTE: Final = 3
NO_BUFFER: Final = 4
CAUSES: Final = ("sent_into_dead", "in_flight", "corrupted", "no_route", "no_buffer")
"""Why the network lost a packet."""

QP_IDLE: Final = 0
QP_READY: Final = 1
QP_PACED: Final = 2
QP_FAILED: Final = 3
"""A sender has nothing to send, waits for its NIC, waits for its rate, or has given up."""

ENDPOINT: Final = 0
SWITCH: Final = 1
INNER: Final = 2
"""Device that sends and receives, a switch, or the switch inside a server."""

DONE: Final = 0
REACHED_LIMIT: Final = 1
NEEDS_ROOM: Final = 2
TOOK_ENOUGH: Final = 3
"""Why the kernel came back: no event left, time limit, an array is nearly full, enough events."""

PORT_DRIVEN: Final = 1
SAMPLED: Final = 2
"""Ways of recovery that the switches carry out themselves."""

CACHED_HOPS: Final = 8
MAX_TTL: Final = 16

PORT: Final = np.dtype(
    [
        ("head", "i4"),  # first packet on the wire or in the queue
        ("tail", "i4"),
        ("drain", "i4"),  # first packet whose last bit has not left, as far as looked at
        ("source", "i4"),
        ("free", "i8"),  # when the last packet that has a time will have left, on the port's clock
        ("lag", "i8"),  # from a packet's time on the port's clock to its arrival
        ("shift", "i8"),  # how far the port's clock is behind, by priority packets let past
        ("ps_per_byte", "f8"),
        ("queued", "i4"),  # bytes that wait or are being sent, without priority packets
        ("ingress", "i4"),  # bytes that came in over this channel and are in its target's buffer
        ("target", "i4"),
        ("switched", "u1"),  # the sending device is a switch
        ("paused", "u1"),
        ("asked", "u1"),  # the target has asked for a pause
        ("watched", "u1"),  # dead, lossy, tapped, or has been dead
        ("mark_from", "i4"),
        ("mark_all", "i4"),
        ("ready_head", "i4"),  # queue pairs of this NIC port that may send
        ("ready_tail", "i4"),
        ("down_since", "i8"),
        ("alive_since", "i8"),
        ("loss", "f8"),
        ("paused_since", "i8"),
        ("paused_total", "i8"),
        ("dead", "u1"),
        ("faulty", "u1"),  # the sending device's data plane knows that the port is down
        ("tapped", "u1"),
    ],
    align=True,
)
"""A channel: the port that sends into it and the wire behind that."""

DEVICE: Final = np.dtype(
    [
        ("buffered", "i8"),
        ("buffer", "i8"),
        ("shared", "i8"),  # buffer without headroom
        ("kind", "i8"),
        ("asking", "i8"),  # inbound channels that were asked to pause
        ("out_start", "i8"),
        ("out_end", "i8"),
        ("entries", "i8"),  # of the fault table
    ],
    align=True,
)

PACKET: Final = np.dtype(
    [
        ("next", "i4"),
        ("qp", "i4"),
        ("leaves", "i8"),  # when its last bit leaves, on the port's clock; NEVER while held
        ("psn", "i4"),  # pause: 1 stop, 0 go; notice: destination, or whether a port is up again
        ("inbound", "i4"),  # notice: source of the sampled packet
        ("size", "i4"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("hop", "u1"),
    ],
    align=True,
)
"""Half a cache line, because most of the engine's time goes into waiting for these rows."""

QUEUE_PAIR: Final = np.dtype(
    [
        ("source", "i4"),
        ("destination", "i4"),
        ("flow_hash", "u8"),
        ("next_psn", "i8"),
        ("highest_psn", "i8"),
        ("oldest_psn", "i8"),  # first that is not acknowledged
        ("posted_psn", "i8"),
        ("list_end", "i4"),
        ("posting", "i4"),  # places in the list of this queue pair's transfers
        ("sending", "i4"),
        ("acknowledging", "i4"),
        ("receiving", "i4"),
        ("list_start", "i4"),
        ("expected_psn", "i8"),
        ("unacknowledged", "i4"),
        ("next_ready", "i4"),
        ("state", "u1"),
        ("has_timer", "u1"),
        ("refused", "u1"),  # the receiver has sent its NAK for the present gap
        ("throttled", "u1"),
        ("retries", "i4"),
        ("deadline", "i8"),
        ("progress", "i8"),
        ("may_send", "i8"),
        ("last_sent", "i8"),
        ("last_cnp", "i8"),
        ("rate", "f8"),  # bytes per ps
        ("target", "f8"),
        ("alpha", "f8"),
        ("alpha_time", "i8"),
        ("raise_time", "i8"),
        ("raised_by_time", "i4"),
        ("raised_by_bytes", "i4"),
        ("bytes_since", "i8"),
        ("line_rate", "f8"),
        ("lost", "i4"),
        ("timeouts", "i4"),
        ("naks", "i4"),
        ("again", "i4"),
        ("cnps", "i4"),
        ("relabels", "i4"),
    ],
    align=True,
)

TRANSFER: Final = np.dtype(
    [
        ("qp", "i4"),
        ("waits", "i4"),
        ("first_psn", "i8"),
        ("packets", "i8"),
        ("size", "i8"),
        ("delay", "i8"),
        ("ready", "i8"),
        ("started", "i8"),
        ("finished", "i8"),
        ("acknowledged", "i8"),
    ],
    align=True,
)

ACTION: Final = np.dtype(
    [
        ("next", "i4"),
        ("kind", "i4"),
        ("device", "i4"),
        ("channel", "i4"),
        ("place", "i4"),  # destination device, or destination group
        ("origin", "i4"),  # source of the sampled packet
        ("hops", "i4"),
        ("first", "i8"),  # when this chain of notices began
    ],
    align=True,
)
"""Something a switch does a moment later, and what a notice on its way says."""

FAULT: Final = np.dtype(
    [("channel", "i4"), ("destination", "i4"), ("time", "i8"), ("state", "i8")], align=True
)
"""A fault-table entry of one device for one destination."""

CLOCK: Final = np.dtype(
    [
        ("now", "i8"),
        ("heap_size", "i8"),
        ("free_packet", "i8"),
        ("free_packets", "i8"),
        ("free_action", "i8"),
        ("free_actions", "i8"),
        ("epoch", "i8"),
        ("window", "i8"),
        ("seed", "u8"),
        ("events", "i8"),
        ("sent", "i8"),
        ("delivered", "i8"),
        ("refused", "i8"),
        ("created", "i8"),
        ("consumed", "i8"),
        ("lost", "i8"),
        ("lost_data", "i8"),
        ("lost_bytes", "i8"),
        ("first_loss", "i8"),
        ("last_loss", "i8"),
        ("marked", "i8"),
        ("pauses", "i8"),
        ("unfinished", "i8"),
        ("next_change", "i8"),
        ("log_size", "i8"),
        ("log_missed", "i8"),
        ("tap_size", "i8"),
        ("tap_missed", "i8"),
        ("age_head", "i8"),
        ("age_tail", "i8"),
        ("created_entries", "i8"),
        ("aged_entries", "i8"),
        ("resource_fails", "i8"),
        ("samples", "i8"),
        ("notices", "i8"),
        ("base_check", "i8"),  # numbers of the events that are not a port's
        ("base_timeout", "i8"),
        ("base_pace", "i8"),
        ("base_change", "i8"),
        ("base_age", "i8"),
        ("base_action", "i8"),
        ("base_start", "i8"),
    ],
    align=True,
)

RULES: Final = np.dtype(
    [
        ("mtu", "i8"),
        ("header", "i8"),
        ("first_header", "i8"),
        ("ack_size", "i8"),
        ("cnp_size", "i8"),
        ("window", "i8"),  # packets
        ("ack_every", "i8"),
        ("timeout", "i8"),
        ("retries", "i8"),
        ("backoff", "f8"),
        ("relabel", "i8"),
        ("spray", "i8"),
        ("flowlet", "i8"),
        ("reorder", "i8"),
        ("marking", "i8"),
        ("mark_most", "f8"),
        ("lossless", "i8"),
        ("pause_alpha", "f8"),
        ("resume_offset", "i8"),
        ("drop_alpha", "f8"),
        ("pause_size", "i8"),
        ("dcqcn", "i8"),
        ("cnp_interval", "i8"),
        ("gain", "f8"),
        ("alpha_period", "i8"),
        ("raise_period", "i8"),
        ("raise_bytes", "i8"),
        ("fast_stages", "i8"),
        ("keeps_target", "i8"),
        ("additive", "f8"),
        ("hyper", "f8"),
        ("least_rate", "f8"),
        ("plane", "i8"),  # 0, PORT_DRIVEN or SAMPLED
        ("local", "i8"),
        ("remote", "i8"),
        ("detect", "i8"),
        ("install", "i8"),
        ("process", "i8"),
        ("sampler", "i8"),
        ("table_size", "i8"),
        ("ageing", "i8"),
        ("notice_size", "i8"),
    ],
    align=True,
)
"""Parameters that do not change while the engine runs."""

CHANGE: Final = np.dtype([("time", "i8"), ("kind", "i4"), ("device", "i4"), ("channel", "i4"),
    ("group", "i4"), ("value", "f8"), ("loss", "f8")], align=True)  # fmt: skip
"""What happens to the fabric at a time that is known beforehand."""

CHANGE_CHANNEL: Final = 0
CHANGE_SIGNAL: Final = 1
CHANGE_ROUTE: Final = 2
CHANGE_WINDOW: Final = 3
CHANGE_CRASH: Final = 4

LOG: Final = np.dtype([("time", "i8"), ("kind", "i4"), ("device", "i4"), ("channel", "i4"),
    ("place", "i4"), ("hops", "i4")], align=True)  # fmt: skip

LOG_KINDS: Final = ("detected", "sampled", "created", "aged", "resource_fail", "notified",
    "switched", "restored", "stopped")  # fmt: skip
LOG_DETECTED: Final = 0
LOG_SAMPLED: Final = 1
LOG_CREATED: Final = 2
LOG_AGED: Final = 3
LOG_FULL: Final = 4
LOG_NOTIFIED: Final = 5
LOG_SWITCHED: Final = 6
LOG_RESTORED: Final = 7
LOG_STOPPED: Final = 8

TAP: Final = np.dtype(
    [
        ("time", "i8"),
        ("psn", "i4"),
        ("channel", "i4"),
        ("qp", "i4"),
        ("size", "i4"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("hop", "u1"),
    ],
    align=True,
)
"""What a mirror port saw: `time` is when the last bit left."""


class Heap(NamedTuple):
    """Events in order of time: see `queues.kernels.push`."""

    time: NDArray[np.int64]
    ident: NDArray[np.int64]


class Network(NamedTuple):
    """Everything that the kernels read and write; one row each in the arrays' own numbering."""

    clock: NDArray[np.void]
    rules: NDArray[np.void]
    heap: Heap
    due: NDArray[np.int64]
    ports: NDArray[np.void]
    devices: NDArray[np.void]
    packets: NDArray[np.void]
    queue_pairs: NDArray[np.void]
    cache: NDArray[np.int64]
    seen: NDArray[np.uint8]
    transfers: NDArray[np.void]
    lists: NDArray[np.int32]
    successor_start: NDArray[np.int64]
    successors: NDArray[np.int32]
    out_channels: NDArray[np.int32]
    channel_bytes: NDArray[np.int64]
    lost: NDArray[np.int64]
    changes: NDArray[np.void]
    actions: NDArray[np.void]
    faults: NDArray[np.void]
    fault_columns: NDArray[np.int32]
    ages: NDArray[np.int64]
    takes_part: NDArray[np.uint8]
    excluded: NDArray[np.uint8]
    lonely: NDArray[np.int32]
    log: NDArray[np.void]
    taps: NDArray[np.void]
    routes: Routes
    state: RouteState
    seeds: NDArray[np.uint64]
