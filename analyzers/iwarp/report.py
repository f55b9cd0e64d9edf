"""From the state of an ended connection to two records, and from records to a table."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_text
from fabricscope.analyzers.iwarp import layout as at
from fabricscope.analyzers.iwarp.layout import IwarpState

if TYPE_CHECKING:
    import polars

Record = dict[str, Any]

OPERATIONS: Final = (
    "write",
    "read_request",
    "read_response",
    "send",
    "send_invalidate",
    "send_solicited",
    "send_solicited_invalidate",
    "terminate",
    "immediate",
    "immediate_solicited",
    "atomic_request",
    "atomic_response",
    "reserved_12",
    "reserved_13",
    "reserved_14",
    "reserved_15",
    "empty_fpdu",
)
"""RDMAP opcodes (RFC 5040, RFC 7306); `empty_fpdu` has no ULPDU at all (RFC 6581)."""

COLUMNS: Final = (
    ("src", "String", "address of the sender of this direction"),
    ("dst", "String", "address of its receiver"),
    ("src_port", "UInt16", "TCP port of the sender"),
    ("dst_port", "UInt16", "TCP port of the receiver"),
    ("initiator", "Boolean", "true if the sender asked for the connection (MPA request)"),
    (
        "state",
        "String",
        "of the connection: no reply, refused, connected, closed, reset, terminated",
    ),
    ("reason", "String", "why it was refused, reset or terminated; empty otherwise"),
    ("opened_ns", "Int64", "time of the connection's first iWARP packet, since the epoch"),
    ("first_ns", "Int64", "first packet with payload of this direction, 0 if none"),
    ("last_ns", "Int64", "last packet with payload of this direction, 0 if none"),
    ("packets", "Int64", "TCP packets with payload, start frames and repetitions included"),
    ("asks_markers", "Boolean", "M bit this side sent; null if unseen"),
    ("asks_crc", "Boolean", "C bit this side sent; null if unseen"),
    ("markers", "Boolean", "markers in this direction, as the other side asked; null if unknown"),
    ("crc", "Boolean", "whether CRCs are in use: either side asked; null if a frame is unseen"),
    ("revision", "UInt8", "MPA revision this side sent; null if unseen"),
    ("enhanced", "Boolean", "RFC 6581 connection setup; null if unseen"),
    ("ird", "UInt16", "inbound read queue depth offered (RFC 6581); null if not"),
    ("ord", "UInt16", "outbound read queue depth offered (RFC 6581); null if not"),
    ("private_bytes", "UInt16", "private data of the start frame; null if unseen"),
    ("fpdus", "Int64", "FPDUs that ended"),
    ("unseen_fpdus", "Int64", "FPDUs whose header the snap length hid; at least so many"),
    ("messages", "Int64", "messages seen from their first FPDU to their last"),
    ("partial_messages", "Int64", "messages of which a part was lost or hidden"),
    ("payload_bytes", "Int64", "DDP payload of writes, read responses, sends and immediates"),
    ("operations", "List", "name, messages that ended, payload bytes, largest whole message"),
    ("crc_good", "Int64", "FPDUs whose CRC32c was verified"),
    ("crc_errors", "Int64", "FPDUs whose CRC32c is wrong"),
    ("crc_unverifiable", "Int64", "FPDUs not wholly captured, or use of CRCs unknown"),
    ("marker_errors", "Int64", "markers that do not point at their FPDU"),
    ("retransmitted_segments", "Int64", "TCP segments that repeat seen bytes, wholly or partly"),
    ("out_of_order_segments", "Int64", "TCP segments that waited for an earlier one"),
    ("lost_bytes", "Int64", "TCP payload that never appeared"),
    ("resyncs", "Int64", "times FPDU framing was found again after a gap or nonsense"),
    ("read_us", "Struct", "read request to end of its response: p50, p99, max, count"),
    ("message_us", "Struct", "first to last FPDU of a whole message: p50, p99, max, count"),
    ("unanswered_reads", "Int64", "read requests skipped by later responses or never answered"),
    ("unmatched_responses", "Int64", "read responses whose request was not seen"),
    ("start_frame", "Int64", "frame number of the start frame, 0 if unseen"),
    ("refusal_frame", "Int64", "frame number of the refusing reply or reset, 0 if none"),
    ("reset_frame", "Int64", "frame number of the TCP reset, 0 if none"),
    ("terminate_frame", "Int64", "frame number of this side's Terminate, 0 if none"),
    ("crc_error_frames", "List", "first eight frame numbers with a wrong CRC"),
    ("resync_frames", "List", "first eight frame numbers where framing was found again"),
)
"""Columns of the result: name, polars type, meaning. Times of `*_us` come from buckets of 1/16
octave, so quantiles are within 3.2 % (exact maximum)."""

RDMAP_REASONS: Final = {
    0x00: "invalid STag",
    0x01: "base or bounds violation",
    0x02: "access rights violation",
    0x03: "STag not associated with the stream",
    0x04: "tagged offset wrap",
    0x05: "invalid RDMAP version",
    0x06: "unexpected opcode",
    0x07: "catastrophic error of the stream",
    0x08: "catastrophic error of the device",
    0x09: "STag cannot be invalidated",
    0xFF: "unspecified error",
}
TAGGED_REASONS: Final = {
    0x00: "invalid STag",
    0x01: "base or bounds violation",
    0x02: "STag not associated with the stream",
    0x03: "tagged offset wrap",
    0x04: "invalid DDP version",
}
UNTAGGED_REASONS: Final = {
    0x01: "invalid queue number",
    0x02: "no buffer available for the message number",
    0x03: "message number out of range",
    0x04: "invalid message offset",
    0x05: "message too long for the buffer",
    0x06: "invalid DDP version",
}
MPA_REASONS: Final = {
    0x01: "TCP connection lost",
    0x02: "MPA CRC error",
    0x03: "marker and length disagree",
    0x04: "invalid MPA start frame",
    0x05: "local catastrophic error",
    0x06: "insufficient inbound read resources",
    0x07: "no matching ready-to-receive option",
}


def terminate_reason(control: int) -> str:
    """Name layer and error of a Terminate control word (RFC 5040 4.8, 5041, 5044 8, 6581 10)."""
    layer, kind, code = control >> 28, (control >> 24) & 15, (control >> 16) & 255
    if layer == 0:
        return f"RDMAP: {RDMAP_REASONS.get(code, f'error type {kind}, code {code:#04x}')}"
    if layer == 1:
        names = {1: TAGGED_REASONS, 2: UNTAGGED_REASONS}.get(kind, {})
        if kind == 0:
            return "DDP: local catastrophic error"
        return f"DDP: {names.get(code, f'error type {kind}, code {code:#04x}')}"
    if layer == 2:
        return f"MPA: {MPA_REASONS.get(code, f'error type {kind}, code {code:#04x}')}"
    return f"layer {layer}: error type {kind}, code {code:#04x}"


def bucket_middle_ns(bucket: int) -> float:
    """Return the middle of a time bucket, the inverse of `fpdu.kernels.bucket_of`."""
    if bucket < 32:
        return float(bucket)
    octave = bucket // 16 - 1
    return float(((bucket % 16 + 16) << octave) + ((1 << octave) - 1) / 2)


def quantiles_us(histogram: NDArray[np.int32], longest_ns: int) -> dict[str, float | int | None]:
    """Return p50, p99, max (microseconds, null if none) and count of a time histogram."""
    total = int(histogram.sum(dtype=np.int64))
    if total == 0:
        return {"p50": None, "p99": None, "max": None, "count": 0}
    passed = np.cumsum(histogram, dtype=np.int64)
    p50, p99 = (
        min(bucket_middle_ns(int(np.searchsorted(passed, share * total))), longest_ns) / 1000
        for share in (0.5, 0.99)
    )
    return {"p50": p50, "p99": p99, "max": longest_ns / 1000, "count": total}


def connection_outcome(state: IwarpState, entry: int) -> tuple[str, str, int]:
    """Return state, reason and refusal frame of a connection."""
    both = state.streams[2 * entry : 2 * entry + 2]
    connection = state.connections[entry]
    replies = both[both[:, at.START_KIND] == 2]
    refusing = replies[(replies[:, at.START_FLAGS] > 0) & (replies[:, at.START_FLAGS] & 0x20 != 0)]
    if len(refusing):
        return "refused", "reply with the reject bit", int(refusing[0, at.START_FRAME])
    if not len(replies) and not both[:, at.FPDUS].any():
        if connection[at.RESET_FRAME]:
            return "refused", "reset after the request", int(connection[at.RESET_FRAME])
        reason = "closed without a reply" if both[:, at.FIN].any() else ""
        return "no reply", reason, 0
    ended = both[both[:, at.TERMINATE_FRAME] > 0]
    if len(ended):
        control = int(ended[0, at.TERMINATE])
        reason = terminate_reason(control) if control >= 0 else "reason not captured"
        return "terminated", reason, 0
    if connection[at.RESET_FRAME]:
        return "reset", "TCP reset", 0
    return ("closed" if connection[at.FINISHED] else "connected"), "", 0


def connection_records(state: IwarpState, entry: int) -> list[Record]:
    """Return the records of both directions, side 0 first."""
    both = state.streams[2 * entry : 2 * entry + 2]
    outcome = connection_outcome(state, entry)
    seen = both[both[:, at.PACKETS] > 0]
    opened_ns = int(seen[:, at.FIRST_TIME].min())
    kinds = both[:, at.START_KIND]
    initiator = 0 if kinds[0] == 1 or kinds[1] == 2 else 1
    flags = both[:, at.START_FLAGS]
    crc: bool | None = None
    if any(flag >= 0 and flag & 0x40 for flag in flags):
        crc = True
    elif (flags >= 0).all():
        crc = False
    shared = {
        "state": outcome[0],
        "reason": outcome[1],
        "opened_ns": opened_ns,
        "crc": crc,
        "refusal_frame": outcome[2],
        "reset_frame": int(state.connections[entry, at.RESET_FRAME]),
    }
    return [
        {"initiator": side == initiator, **shared, **direction_record(state, entry, side)}
        for side in (0, 1)
    ]


def direction_record(state: IwarpState, entry: int, side: int) -> Record:
    """Return what concerns one direction alone."""
    s = 2 * entry + side
    fields = [int(value) for value in state.streams[s]]
    ends = [int(value) for value in state.addresses[entry]]
    mine, other = ends[3 * side : 3 * side + 3], ends[3 - 3 * side : 6 - 3 * side]
    flags = fields[at.START_FLAGS]
    seen = flags >= 0
    peer_flags = int(state.streams[s ^ 1, at.START_FLAGS])
    markers: bool | None = None
    if peer_flags >= 0:
        markers = bool(peer_flags & 0x80)
    elif fields[at.MARKERS] >= 0:
        markers = fields[at.MARKERS] == 1
    crc_frames, resync_frames = state.notable[s]
    return {
        "src": address_text(mine[0], mine[1]),
        "dst": address_text(other[0], other[1]),
        "src_port": mine[2],
        "dst_port": other[2],
        "first_ns": fields[at.FIRST_TIME],
        "last_ns": fields[at.LAST_TIME],
        "packets": fields[at.PACKETS],
        "asks_markers": bool(flags & 0x80) if seen else None,
        "asks_crc": bool(flags & 0x40) if seen else None,
        "markers": markers,
        "revision": fields[at.REVISION] if seen else None,
        "enhanced": fields[at.REVISION] >= 2 and bool(flags & 0x10) if seen else None,
        "ird": fields[at.IRD] if fields[at.IRD] >= 0 else None,
        "ord": fields[at.ORD] if fields[at.ORD] >= 0 else None,
        "private_bytes": fields[at.PRIVATE_BYTES] if seen else None,
        "fpdus": fields[at.FPDUS],
        "unseen_fpdus": fields[at.UNSEEN_FPDUS],
        "messages": fields[at.MESSAGES],
        "partial_messages": fields[at.PARTIAL_MESSAGES] + fields[at.MESSAGE_OPEN],
        "payload_bytes": fields[at.PAYLOAD_BYTES],
        "operations": [
            {
                "operation": name,
                "messages": int(state.operations[s, code]),
                "payload_bytes": int(state.operation_bytes[s, code]),
                "largest_bytes": int(state.largest_bytes[s, code]),
            }
            for code, name in enumerate(OPERATIONS)
            if state.operations[s, code] or state.operation_bytes[s, code]
        ],
        "crc_good": fields[at.CRC_GOOD],
        "crc_errors": fields[at.CRC_BAD],
        "crc_unverifiable": fields[at.CRC_UNVERIFIED],
        "marker_errors": fields[at.MARKER_ERRORS],
        "retransmitted_segments": fields[at.RETRANSMITTED],
        "out_of_order_segments": fields[at.OUT_OF_ORDER],
        "lost_bytes": fields[at.LOST_BYTES],
        "resyncs": fields[at.RESYNCS],
        "read_us": quantiles_us(state.read_times[s], int(state.longest_ns[s, 0])),
        "message_us": quantiles_us(state.message_times[s], int(state.longest_ns[s, 1])),
        "unanswered_reads": fields[at.UNANSWERED_READS] + fields[at.READ_COUNT],
        "unmatched_responses": fields[at.UNMATCHED_RESPONSES],
        "start_frame": fields[at.START_FRAME],
        "terminate_frame": fields[at.TERMINATE_FRAME],
        "crc_error_frames": [int(frame) for frame in crc_frames if frame],
        "resync_frames": [int(frame) for frame in resync_frames if frame],
    }


def records_frame(records: list[Record]) -> "polars.DataFrame":
    """Return the records as a table with the columns of `COLUMNS`, also when there are none."""
    import polars

    quantiles = polars.Struct(
        {
            "p50": polars.Float64,
            "p99": polars.Float64,
            "max": polars.Float64,
            "count": polars.Int64,
        }
    )
    operation = polars.Struct(
        {
            "operation": polars.String,
            "messages": polars.Int64,
            "payload_bytes": polars.Int64,
            "largest_bytes": polars.Int64,
        }
    )
    nested: dict[str, Any] = {
        "operations": polars.List(operation),
        "crc_error_frames": polars.List(polars.Int64),
        "resync_frames": polars.List(polars.Int64),
        "read_us": quantiles,
        "message_us": quantiles,
    }
    schema = {name: nested.get(name) or getattr(polars, kind) for name, kind, _ in COLUMNS}
    return polars.DataFrame(records, schema=schema, orient="row")
