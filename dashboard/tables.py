"""The tables of a report, each column declared once: title, help, cell and what it is worth.

The HTML report shows every column; the terminal drops those of the highest `rank` until the rest
fits, and never shows those without a rank. Cells are text, not HTML: whoever shows them escapes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from fabricscope.dashboard.quantities import (
    UNKNOWN,
    format_bit_rate,
    format_bytes,
    format_count,
    format_duration,
    format_microseconds,
    format_ratio,
    format_share,
)
from fabricscope.dashboard.summary import describe_tunnel, endpoint

Row = Mapping[str, Any]


class Cell(NamedTuple):
    """What is shown, and by what it is sorted."""

    text: str
    sort: float | str


class Column(NamedTuple):
    """One column: `unsure` where packets that the capture lost distort it."""

    title: str
    help: str
    cell: Callable[[Row], Cell]
    numeric: bool = True
    unsure: bool = False
    rank: int | None = None


def _text(key: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value = row.get(key)
        shown = UNKNOWN if value is None or value == "" else str(value)
        return Cell(shown, shown)

    return cell


def _number(
    value: Callable[[Row], float | None], form: Callable[[float | None], str]
) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        number = value(row)
        if number is None or math.isnan(number):
            return Cell(UNKNOWN, -1.0)
        return Cell(form(number), float(number))

    return cell


def _field(key: str, form: Callable[[float | None], str] = format_count) -> Callable[[Row], Cell]:
    return _number(lambda row: row.get(key), form)


def _percentile(key: str, name: str) -> Callable[[Row], Cell]:
    return _number(lambda row: (row.get(key) or {}).get(name), format_microseconds)


def _gbps(key: str) -> Callable[[Row], Cell]:
    def value(row: Row) -> float | None:
        rate_gbps = row.get(key)
        return None if rate_gbps is None else float(rate_gbps) * 1e9

    return _number(value, format_bit_rate)


def _queue_pair(key: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        number = row.get(key)
        return Cell(UNKNOWN, -1.0) if number is None else Cell(f"0x{number:06x}", float(number))

    return cell


def _marked(row: Row) -> Cell:
    capable = row["ecn_capable"]
    share = row["ecn_marked"] / capable if capable else -1.0
    return Cell(format_ratio(row["ecn_marked"], capable), share)


def _endpoint(side: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        shown = endpoint(row[side], row[f"{side}_port"])
        return Cell(shown, shown)

    return cell


def _operations(row: Row) -> Cell:
    """Return messages by kind: of a queue pair as a mapping, of iWARP as a list of records."""
    operations = row.get("operations") or {}
    if not isinstance(operations, Mapping):
        operations = {entry["operation"]: entry["messages"] for entry in operations}
    shown = ", ".join(f"{name} {count:,}" for name, count in operations.items()) or UNKNOWN
    return Cell(shown, float(sum(operations.values())))


def _application(row: Row) -> Cell:
    shown = row.get("application") or UNKNOWN
    return Cell(str(shown), str(shown))


def _flow_rate(row: Row) -> float | None:
    return row["bytes"] * 8 / row["duration_s"] if row["duration_s"] else None


def _tunnel(row: Row) -> Cell:
    shown = describe_tunnel(row["tunnel"]) or UNKNOWN
    return Cell(shown, shown)


def _priority(row: Row) -> Cell:
    priority = row["priority"]
    return Cell("all (classic)", -1.0) if priority is None else Cell(str(priority), priority)


def _offset(row: Row) -> Cell:
    offset_us, error_us = row["clock_offset_us"], row["offset_error_us"]
    if offset_us is None:
        return Cell(UNKNOWN, 0.0)
    error = "" if error_us is None else f" ± {error_us:,.2f}"
    return Cell(f"{offset_us:+,.2f}{error} µs", float(offset_us))


def _yes_no(key: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        value = row.get(key)
        return Cell(UNKNOWN, -1.0) if value is None else Cell("yes" if value else "no", value)

    return cell


QUEUE_PAIRS: Final = (
    Column("From", "Address of the sender", _text("src"), False, rank=0),
    Column("To", "Address of the receiver", _text("dst"), False, rank=0),
    Column("QP", "Destination queue pair: names one direction", _queue_pair("dest_qp"), False,
           rank=0),
    Column("State", "What the queue pair was doing when the capture ended", _text("state"), False,
           rank=1),
    Column("Type", "Transport service of InfiniBand", _text("service"), False, rank=9),
    Column("Payload", "Payload bytes, retransmissions included", _field("payload_bytes",
           format_bytes), unsure=True, rank=2),
    Column("Goodput", "Delivered payload per second", _gbps("goodput_gbps"), unsure=True, rank=6),
    Column("Messages", "First to last packet, or single packets", _field("messages"), unsure=True,
           rank=7),
    Column("Msg p50", "Message completion time: first packet to the ACK that covers the last",
           _percentile("message_us", "p50"), unsure=True, rank=8),
    Column("Msg p99", "The same, 99th percentile", _percentile("message_us", "p99"), unsure=True,
           rank=3),
    Column("RTT p99", "The same, 99th percentile", _percentile("ack_rtt_us", "p99"), unsure=True,
           rank=5),
    Column("Retx", "Data packets seen again at the same tap", _field("retransmissions"),
           unsure=True, rank=1),
    Column("Timeouts", "Retransmissions without a NAK, after the ACK timeout", _field("timeouts"),
           unsure=True),
    Column("Lost", "Sequence gaps that a NAK or a retransmission confirms",
           _field("network_lost"), unsure=True, rank=3),
    Column("NAK", "Negative acknowledgements received", _field("naks"), rank=2),
    Column("RNR", "Receiver not ready", _field("rnr_naks"), rank=9),
    Column("CE", "Share of the ECN-capable packets that carry a congestion mark", _marked,
           rank=4),
    Column("CNP", "Congestion notification packets for this queue pair", _field("cnps"), rank=6),
    Column("Unseen", "Packets that were acknowledged but never captured",
           _field("collector_lost")),
    Column("RTT p50", "Packet that asks for an ACK to that ACK, as seen at the tap",
           _percentile("ack_rtt_us", "p50"), unsure=True),
    Column("NAK to resend", "NAK to retransmitted packet, median",
           _percentile("nak_response_us", "p50")),
    Column("Packets", "Packets towards this queue pair", _field("packets"), unsure=True),
    Column("Operations", "Messages of each kind", _operations, False),
    Column("Pair", "Queue pair of the other direction, once known", _queue_pair("paired_qp"),
           False),
    Column("Frame", "First frame in its file", _field("first_frame")),
)  # fmt: skip

FLOWS: Final = (
    Column("A", "Endpoint that spoke first", _endpoint("src"), False, rank=0),
    Column("B", "The other endpoint", _endpoint("dst"), False, rank=0),
    Column("Proto", "Transport protocol", _text("protocol"), False, rank=3),
    Column("Application", "What the payload or the behaviour says it is", _application, False,
           rank=1),
    Column("Detail", "Service or name behind the application", _text("detail"), False),
    Column("Behaviour", "Class by packet sizes and gaps alone", _text("behaviour"), False,
           rank=7),
    Column("Packets", "Both directions", _field("packets"), unsure=True, rank=5),
    Column("Bytes", "On the wire, both directions", _field("bytes", format_bytes), unsure=True,
           rank=1),
    Column("Rate", "Bytes on the wire over the flow's duration", _number(_flow_rate,
           format_bit_rate), unsure=True, rank=4),
    Column("A to B", "Bytes from A", _number(lambda row: row["a_to_b"]["bytes"], format_bytes),
           unsure=True),
    Column("B to A", "Bytes from B", _number(lambda row: row["b_to_a"]["bytes"], format_bytes),
           unsure=True),
    Column("Start", "Since the first packet", _field("start_s", format_duration)),
    Column("Duration", "First to last packet", _field("duration_s", format_duration), rank=6),
    Column("Tunnel", "Encapsulations with their ids, outermost first", _tunnel, False),
    Column("VLAN", "Innermost VLAN id", _text("vlan")),
    Column("Sure", "Confidence in the application", _field("confidence", format_share)),
    Column("Frame", "First frame in its file", _field("first_frame")),
)  # fmt: skip

IWARP: Final = (
    Column("From", "Sender of this direction", _endpoint("src"), False, rank=0),
    Column("To", "Receiver of this direction", _endpoint("dst"), False, rank=0),
    Column("State", "Of the connection", _text("state"), False, rank=0),
    Column("Reason", "Why it was refused, reset or terminated", _text("reason"), False, rank=3),
    Column("Messages", "RDMAP messages", _field("messages"), unsure=True, rank=1),
    Column("Payload", "Payload bytes", _field("payload_bytes", format_bytes), unsure=True,
           rank=1),
    Column("FPDUs", "Framed protocol data units", _field("fpdus"), unsure=True, rank=2),
    Column("Markers", "MPA markers in use", _yes_no("markers"), False, rank=5),
    Column("CRC", "MPA checksums in use", _yes_no("crc"), False, rank=5),
    Column("CRC errors", "Checksums that do not match", _field("crc_errors"), rank=1),
    Column("Msg p50", "First to last segment of a whole message", _percentile("message_us",
           "p50"), unsure=True, rank=5),
    Column("Read p50", "Read request to the end of its response", _percentile("read_us", "p50"),
           unsure=True, rank=5),
    Column("Operations", "Messages of each kind", _operations, False, rank=6),
)  # fmt: skip

PAUSE: Final = (
    Column("Tap", "Where the frames were seen", _text("tap"), False, rank=0),
    Column("Sender", "MAC address that asks for the pause", _text("source_mac"), False, rank=0),
    Column("Priority", "PFC priority; classic PAUSE stops all", _priority, rank=0),
    Column("Frames", "PFC or PAUSE frames", _field("frames"), unsure=True, rank=1),
    Column("XOFF", "Frames that stop", _field("xoff"), unsure=True, rank=2),
    Column("XON", "Frames that release", _field("xon"), unsure=True, rank=2),
    Column("Paused", "Sum of the pause quanta that had effect", _field("pause_s",
           format_duration), unsure=True, rank=0),
    Column("Share", "Of the capture's duration", _field("pause_share", format_share),
           unsure=True, rank=0),
    Column("At rate", "Link rate assumed for the length of a quantum", _gbps(
           "assumed_rate_gbps"), rank=3),
)  # fmt: skip

TAPS: Final = (
    Column("Tap", "File and interface", _text("name"), False, rank=0),
    Column("Packets", "As read, duplicates included", _field("packets"), unsure=True, rank=0),
    Column("Clock offset", "Against the first tap, already corrected", _offset, rank=0),
    Column("Lost", "Packets that other evidence says this tap missed", _field("lost_packets"),
           rank=0),
)  # fmt: skip


class Table(NamedTuple):
    """A table ready to show: rows of cells, and how many rows there are in all."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[list[Cell]]
    total: int


def build_table(
    name: str,
    title: str,
    columns: tuple[Column, ...],
    rows: Sequence[Row],
    limit: int,
    total: int | None = None,
) -> Table:
    """Return the first `limit` rows as cells; `total` where `rows` itself was already cut.

    Columns in which no row has a value are left out, but for those of rank 0.
    """
    shown = rows[:limit]
    cells = [(column, [column.cell(row) for row in shown]) for column in columns]
    filled = [
        (column, values)
        for column, values in cells
        if column.rank == 0 or any(value.text != UNKNOWN for value in values)
    ]
    kept = tuple(column for column, _ in filled)
    by_row = [list(row) for row in zip(*(values for _, values in filled), strict=True)]
    return Table(name, title, kept, by_row, len(rows) if total is None else total)
