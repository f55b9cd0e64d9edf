"""The tables of a report, each column declared once: title, help, cell and what it is worth.

The HTML report shows every column; the terminal drops those of the highest `rank` until the rest
fits, and never shows those without a rank.
"""

from collections.abc import Callable, Mapping
from typing import Final

from fabricscope.dashboard.columns import (
    Cell,
    Column,
    Row,
    endpoint_of,
    field,
    gbps,
    number,
    percentile_us,
    text,
    words,
    yes_no,
)
from fabricscope.dashboard.evidence import describe_evidence
from fabricscope.dashboard.features import features
from fabricscope.dashboard.quantities import (
    UNKNOWN,
    format_bit_rate,
    format_bytes,
    format_count,
    format_duration,
    format_ratio,
    format_share,
)
from fabricscope.dashboard.summary import describe_tunnel
from fabricscope.dashboard.training import count_ranks, name_operation, read_suspect, statistic


def _queue_pair(key: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        number = row.get(key)
        return Cell(UNKNOWN, -1.0) if number is None else Cell(f"0x{number:06x}", float(number))

    return cell


def _marked(row: Row) -> Cell:
    capable = row["ecn_capable"]
    share = row["ecn_marked"] / capable if capable else -1.0
    return Cell(format_ratio(row["ecn_marked"], capable), share)


def _operations(row: Row) -> Cell:
    """Return messages by kind: of a queue pair as a mapping, of iWARP as a list of records."""
    operations = row.get("operations") or {}
    if not isinstance(operations, Mapping):
        operations = {entry["operation"]: entry["messages"] for entry in operations}
    shown = ", ".join(f"{name} {count:,}" for name, count in operations.items()) or UNKNOWN
    return Cell(shown, float(sum(operations.values())))


def _detail(row: Row) -> Cell:
    shown = describe_evidence(row.get("detail")) or UNKNOWN
    return Cell(shown, shown)


def _operation(row: Row) -> Cell:
    shown = name_operation(row)
    return Cell(shown, shown)


def _milliseconds(key: str) -> Callable[[Row], Cell]:
    """Return a cell with a duration that is given in milliseconds."""

    def value(row: Row) -> float | None:
        duration_ms = statistic(row.get(key))
        return None if duration_ms is None else duration_ms / 1e3

    return number(value, format_duration)


def _duration_ms(name: str) -> Callable[[Row], Cell]:
    """Return a cell with a statistic of `duration_ms`."""

    def value(row: Row) -> float | None:
        duration_ms = statistic(row.get("duration_ms"), name)
        return None if duration_ms is None else duration_ms / 1e3

    return number(value, format_duration)


def _straggler(row: Row) -> Cell:
    given = row.get("straggler")
    if not given:
        return Cell(UNKNOWN, "")
    suspect = read_suspect(given)
    shown = f"{suspect.ip} {suspect.label}"
    return Cell(shown, shown)


def _straggler_evidence(row: Row) -> Cell:
    shown = describe_evidence((row.get("straggler") or {}).get("evidence")) or UNKNOWN
    return Cell(shown, shown)


def _partial(row: Row) -> Cell:
    shown = "yes" if row.get("partial_view") else UNKNOWN
    return Cell(shown, shown)


def _alternatives(row: Row) -> Cell:
    given = row.get("alternatives") or []
    shown = ", ".join(str(one).replace("_", " ") for one in given) or UNKNOWN
    return Cell(shown, shown)


def _tags(row: Row) -> Cell:
    shown = ", ".join(str(tag) for tag in row.get("tags") or []) or UNKNOWN
    return Cell(shown, shown)


def _values(row: Row) -> Cell:
    shown = describe_evidence(row.get("values")) or UNKNOWN
    return Cell(shown, shown)


def _service(row: Row) -> Cell:
    port, identity = row.get("service_port"), row.get("service_id")
    if port:
        return Cell(f"port {port}", f"port {port}")
    shown = UNKNOWN if identity is None else f"0x{int(identity):x}"
    return Cell(shown, shown)


def _between_s(row: Row, start: str, end: str) -> float | None:
    if not row.get(start) or not row.get(end):
        return None
    return (int(row[end]) - int(row[start])) / 1e9


def _setup_s(row: Row) -> float | None:
    return _between_s(row, "requested_ns", "established_ns")


def _lifetime_s(row: Row) -> float | None:
    return _between_s(row, "established_ns", "disconnected_ns")


def _ack_timeout_s(row: Row) -> float | None:
    """Return the time of the code in the connection request; code 0 means no timeout."""
    code = row.get("ack_timeout_code")
    return 4.096e-6 * float(1 << int(code)) if code else None


def _frames(row: Row) -> Cell:
    frames = row.get("frames") or []
    return Cell(", ".join(str(frame) for frame in frames) or UNKNOWN, "")


def _priorities(row: Row) -> Cell:
    shown = ", ".join(str(one) for one in row.get("pfc_priorities") or []) or UNKNOWN
    return Cell(shown, shown)


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


QUEUE_PAIRS: Final = (
    Column("From", "Address of the sender", text("src"), False, rank=0),
    Column("To", "Address of the receiver", text("dst"), False, rank=0),
    Column("QP", "Destination queue pair: names one direction", _queue_pair("dest_qp"), False,
           rank=0),
    Column("State", "What the queue pair was doing when the capture ended", text("state"), False,
           rank=1),
    Column("Type", "Transport service of InfiniBand", text("service"), False, rank=9),
    Column("Payload", "Payload bytes, retransmissions included", field("payload_bytes",
           format_bytes), unsure=True, rank=2),
    Column("Goodput", "Delivered payload per second", gbps("goodput_gbps"), unsure=True, rank=6),
    Column("Messages", "First to last packet, or single packets", field("messages"), unsure=True,
           rank=7),
    Column("Msg p50", "Message completion time: first packet to the ACK that covers the last",
           percentile_us("message_us", "p50"), unsure=True, rank=8),
    Column("Msg p99", "The same, 99th percentile", percentile_us("message_us", "p99"), unsure=True,
           rank=3),
    Column("RTT p99", "The same, 99th percentile", percentile_us("ack_rtt_us", "p99"), unsure=True,
           rank=5),
    Column("Retx", "Data packets seen again at the same tap", field("retransmissions"),
           unsure=True, rank=1),
    Column("Timeouts", "Retransmissions without a NAK, after the ACK timeout", field("timeouts"),
           unsure=True),
    Column("Lost", "Sequence gaps that a NAK or a retransmission confirms",
           field("network_lost"), unsure=True, rank=3),
    Column("NAK", "Negative acknowledgements received", field("naks"), rank=2),
    Column("RNR", "Receiver not ready", field("rnr_naks"), rank=9),
    Column("CE", "Share of the ECN-capable packets that carry a congestion mark", _marked,
           rank=4),
    Column("CNP", "Congestion notification packets for this queue pair", field("cnps"), rank=6),
    Column("Unseen", "Packets that were acknowledged but never captured",
           field("collector_lost")),
    Column("RTT p50", "Packet that asks for an ACK to that ACK, as seen at the tap",
           percentile_us("ack_rtt_us", "p50"), unsure=True),
    Column("NAK to resend", "NAK to retransmitted packet, median",
           percentile_us("nak_response_us", "p50")),
    Column("Packets", "Packets towards this queue pair", field("packets"), unsure=True),
    Column("Operations", "Messages of each kind", _operations, False),
    Column("Tags", "Given by rules", _tags, False, rank=8),
    Column("Pair", "Queue pair of the other direction, once known", _queue_pair("paired_qp"),
           False),
    Column("Frame", "First frame in its file", field("first_frame")),
)  # fmt: skip

FLOWS: Final = (
    Column("A", "Endpoint that spoke first", endpoint_of("src"), False, rank=0),
    Column("B", "The other endpoint", endpoint_of("dst"), False, rank=0),
    Column("Proto", "Transport protocol", text("protocol"), False, rank=3),
    Column("Application", "What the payload says it is", text("application"), False, rank=1),
    Column("Behaviour", "What sizes and times alone say it does", words("behaviour"), False,
           rank=2),
    Column("Packets", "Both directions", field("packets"), unsure=True, rank=5),
    Column("Bytes", "On the wire, both directions", field("bytes", format_bytes), unsure=True,
           rank=1),
    Column("Rate", "Bytes on the wire over the flow's duration", number(_flow_rate,
           format_bit_rate), unsure=True, rank=4),
    Column("A to B", "Bytes from A", number(lambda row: row["a_to_b"]["bytes"], format_bytes),
           unsure=True),
    Column("B to A", "Bytes from B", number(lambda row: row["b_to_a"]["bytes"], format_bytes),
           unsure=True),
    Column("Start", "Since the first packet", field("start_s", format_duration)),
    Column("Duration", "First to last packet", field("duration_s", format_duration), rank=6),
    Column("Detail", "Service or name behind the application", _detail, False),
    Column("Tunnel", "Encapsulations with their ids, outermost first", _tunnel, False),
    Column("VLAN", "Innermost VLAN id", text("vlan")),
    Column("Source", "Evidence for the application: payload, handshake, correlation or port",
           text("application_source"), False),
    Column("App sure", "Confidence in the application", field("application_confidence",
           format_share)),
    Column("Beh sure", "Confidence in the behaviour", field("confidence", format_share)),
    Column("Tags", "Given by rules", _tags, False, rank=5),
    Column("Because", "Features that decided the behaviour", features, False),
    Column("Frame", "First frame in its file", field("first_frame")),
)  # fmt: skip

APPLICATIONS: Final = (
    Column("Application", "What the payload says it is (DPI)", text("application"), False,
           rank=0),
    Column("Behaviour", "What sizes and times alone say it does (DFI)", words("behaviour"),
           False, rank=0),
    Column("Bytes", "On the wire", field("bytes", format_bytes), unsure=True, rank=0),
    Column("Share", "Of the bytes of all listed flows", field("share", format_share), rank=1),
    Column("Flows", "Connections, both directions as one", field("flows"), rank=2),
    Column("Packets", "Both directions", field("packets"), unsure=True, rank=5),
    Column("Source", "Evidence for the application: payload, handshake, correlation or port",
           text("sources"), False, rank=3),
    Column("App sure", "Confidence in the application, mean weighted by bytes",
           field("application_confidence", format_share), rank=4),
    Column("Beh sure", "Confidence in the behaviour, mean weighted by bytes",
           field("confidence", format_share), rank=4),
    Column("Contradicted", "Findings that say that the two do not go together",
           field("contradicted"), rank=6),
)  # fmt: skip

COLLECTIVES: Final = (
    Column("Operation", "What the ranks did together", _operation, False, rank=0),
    Column("Algorithm", "How the bytes went", words("algorithm"), False, rank=1),
    Column("Ranks", "Hosts that took part", number(count_ranks, format_count),
           rank=4),
    Column("S", "Message size as nccl-tests count it", field("message_bytes", format_bytes),
           unsure=True, rank=0),
    Column("Iterations", "Times it was seen", field("iterations"), unsure=True, rank=0),
    Column("Time p50", "First to last packet of an iteration, median", _duration_ms("p50"),
           unsure=True, rank=1),
    Column("p99", "The same, 99th percentile", _duration_ms("p99"), unsure=True, rank=5),
    Column("Max", "The slowest iteration", _duration_ms("max"), unsure=True, rank=2),
    Column("algbw", "Algorithm bandwidth: S / time", gbps("algbw_gbps"), unsure=True, rank=3),
    Column("busbw", "Bus bandwidth: algbw x factor of the operation", gbps("busbw_gbps"),
           unsure=True, rank=1),
    Column("Straggler", "Who makes the others wait", _straggler, False, rank=6),
    Column("Evidence", "What makes it the straggler", _straggler_evidence, False),
    Column("Sure", "Confidence in operation and algorithm", field("confidence", format_share),
           rank=7),
    Column("Partial", "Some of its ranks or links were not captured", _partial, False),
    Column("Or", "What else the bytes would fit", _alternatives, False),
)  # fmt: skip

CHECKPOINTS: Final = (
    Column("Rank", "Who wrote", text("rank"), False, rank=0),
    Column("Storage", "Where to", text("storage"), False, rank=0),
    Column("Start", "Since the first packet", field("start_s", format_duration), rank=1),
    Column("Bytes", "Payload", field("bytes", format_bytes), unsure=True, rank=0),
    Column("Duration", "First to last packet", _milliseconds("duration_ms"), rank=1),
    Column("Cost", "By how much the pause between two steps was longer than usual",
           _milliseconds("cost_ms"), rank=0),
)  # fmt: skip

CONNECTIONS: Final = (
    Column("Initiator", "Who asked for the connection", text("initiator"), False, rank=0),
    Column("Responder", "Who was asked", text("responder"), False, rank=0),
    Column("Outcome", "What became of it", text("outcome"), False, rank=0),
    Column("Reason", "Why it was refused", text("reason"), False, rank=2),
    Column("Service", "Port of the IP service, else the service id", _service, False, rank=3),
    Column("Type", "Transport service of InfiniBand", text("transport"), False, rank=5),
    Column("QP A", "Queue pair of the initiator", _queue_pair("initiator_qp"), False, rank=4),
    Column("QP B", "Queue pair of the responder", _queue_pair("responder_qp"), False, rank=4),
    Column("Set-up", "Request to ready-to-use", number(_setup_s, format_duration), rank=1),
    Column("Lifetime", "Ready-to-use to the request to disconnect", number(_lifetime_s,
           format_duration), rank=6),
    Column("MTU", "Path MTU asked for", field("path_mtu_bytes", format_bytes), rank=7),
    Column("ACK timeout", "4.096 µs x 2^code; the standard allows up to four times that",
           number(_ack_timeout_s, format_duration), rank=7),
    Column("Retry limit", "Timeouts before the queue pair gives up", field("retry_count"),
           rank=8),
    Column("Repeated", "Messages that came again", field("retries"), rank=6),
    Column("Frames", "Of the connection's messages, in its file", _frames, False),
)  # fmt: skip

NEIGHBOURS: Final = (
    Column("System", "Name that the neighbour gives itself", text("system_name"), False, rank=1),
    Column("Chassis", "Identity of the device", text("chassis"), False, rank=0),
    Column("Port", "Identity of the port that sent the frame", text("port"), False, rank=0),
    Column("Port description", "In the neighbour's words", text("port_description"), False,
           rank=3),
    Column("Management", "Address to reach it", text("management_address"), False, rank=2),
    Column("VLAN", "Of untagged frames on that port", text("port_vlan"), rank=4),
    Column("PFC", "Priorities on which the port does priority flow control", _priorities, False,
           rank=2),
    Column("Lives", "Time after which the entry is void", field("ttl_s", format_duration),
           rank=5),
    Column("System description", "Model and software, in its words", text("system_description"),
           False, rank=6),
)  # fmt: skip

IWARP: Final = (
    Column("From", "Sender of this direction", endpoint_of("src"), False, rank=0),
    Column("To", "Receiver of this direction", endpoint_of("dst"), False, rank=0),
    Column("State", "Of the connection", text("state"), False, rank=0),
    Column("Reason", "Why it was refused, reset or terminated", text("reason"), False, rank=3),
    Column("Messages", "RDMAP messages", field("messages"), unsure=True, rank=1),
    Column("Payload", "Payload bytes", field("payload_bytes", format_bytes), unsure=True,
           rank=1),
    Column("FPDUs", "Framed protocol data units", field("fpdus"), unsure=True, rank=2),
    Column("Markers", "MPA markers in use", yes_no("markers"), False, rank=5),
    Column("CRC", "MPA checksums in use", yes_no("crc"), False, rank=5),
    Column("CRC errors", "Checksums that do not match", field("crc_errors"), rank=1),
    Column("Msg p50", "First to last segment of a whole message", percentile_us("message_us",
           "p50"), unsure=True, rank=5),
    Column("Read p50", "Read request to the end of its response", percentile_us("read_us", "p50"),
           unsure=True, rank=5),
    Column("Operations", "Messages of each kind", _operations, False, rank=6),
)  # fmt: skip

ALERTS: Final = (
    Column("Rule", "Name of the rule that matched", text("rule"), False, rank=0),
    Column("Severity", "As the rule says", text("severity"), False, rank=0),
    Column("Subject", "Flow, queue pair or finding that it matched", text("subject"), False,
           rank=0),
    Column("Meaning", "In the rule's words", text("description"), False, rank=2),
    Column("Values", "What the rule looked at", _values, False, rank=3),
    Column("Tags", "Given by the rule", _tags, False, rank=4),
)  # fmt: skip

PAUSE: Final = (
    Column("Tap", "Where the frames were seen", text("tap"), False, rank=0),
    Column("Sender", "MAC address that asks for the pause", text("source_mac"), False, rank=0),
    Column("Priority", "PFC priority; classic PAUSE stops all", _priority, rank=0),
    Column("Frames", "PFC or PAUSE frames", field("frames"), unsure=True, rank=1),
    Column("XOFF", "Frames that stop", field("xoff"), unsure=True, rank=2),
    Column("XON", "Frames that release", field("xon"), unsure=True, rank=2),
    Column("Paused", "Sum of the pause quanta that had effect", field("pause_s",
           format_duration), unsure=True, rank=0),
    Column("Share", "Of the capture's duration", field("pause_share", format_share),
           unsure=True, rank=0),
    Column("At rate", "Link rate assumed for the length of a quantum", gbps(
           "assumed_rate_gbps"), rank=3),
)  # fmt: skip

TAPS: Final = (
    Column("Tap", "File and interface", text("name"), False, rank=0),
    Column("Packets", "As read, duplicates included", field("packets"), unsure=True, rank=0),
    Column("Clock offset", "Against the first tap, already corrected", _offset, rank=0),
    Column("Lost", "Packets that other evidence says this tap missed", field("lost_packets"),
           rank=0),
)  # fmt: skip
