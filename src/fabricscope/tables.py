"""The tables that analyzers fill and stores, reports and pages read: each column declared once.

Dtypes are written as strings (polars names), so that declaring costs no import.
"""

from typing import Final, NamedTuple


class Column(NamedTuple):
    """One column: its name, polars dtype, unit ('' for none) and meaning.

    fold: how rows of several intervals become one (`series.FOLDS`); empty where rows never do.
    """

    name: str
    dtype: str
    unit: str
    help: str
    fold: str = ""


def _quantiles(prefix: str, unit: str, what: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}_p50", "Float64", unit, f"median {what}"),
        Column(f"{prefix}_p99", "Float64", unit, f"99th percentile of {what}"),
        Column(f"{prefix}_max", "Float64", unit, f"largest {what}"),
        Column(f"{prefix}_count", "Int64", "", f"samples of {what}"),
    )


def _direction(prefix: str, what: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}_packets", "Int64", "packets", f"packets {what}"),
        Column(f"{prefix}_bytes", "Int64", "B", f"bytes on the wire {what}"),
        Column(f"{prefix}_payload_bytes", "Int64", "B", f"payload {what}, by the headers' lengths"),
        Column(f"{prefix}_tcp_flags", "UInt8", "", f"TCP flags seen {what}, or-ed"),
        Column(f"{prefix}_ecn_marked", "Int64", "packets", f"packets marked CE {what}"),
        Column(f"{prefix}_size_mean", "Float64", "B", f"mean packet size {what}"),
        Column(f"{prefix}_size_dev", "Float64", "B", f"standard deviation of packet size {what}"),
        Column(f"{prefix}_size_p50", "Float64", "B", f"median packet size {what}, 6.25 % sketch"),
        Column(f"{prefix}_size_p99", "Float64", "B", f"99th percentile of packet size {what}"),
        Column(f"{prefix}_gap_mean", "Float64", "us", f"mean inter-arrival time {what}"),
        Column(f"{prefix}_gap_dev", "Float64", "us", f"standard deviation of the same {what}"),
        Column(f"{prefix}_gap_p50", "Float64", "us", f"median inter-arrival time {what}"),
        Column(f"{prefix}_gap_p99", "Float64", "us", f"99th percentile of the same {what}"),
    )


FLOWS: Final = (
    Column("id", "Int64", "", "running number of the flow"),
    Column("src", "String", "", "endpoint a: sender of the first packet"),
    Column("dst", "String", "", "endpoint b"),
    Column("src_port", "UInt16", "", "port of a, 0 where there are none"),
    Column("dst_port", "UInt16", "", "port of b"),
    Column("protocol", "String", "", "transport protocol, lower case"),
    Column("kind", "String", "", "innermost protocol recognised by the decoder"),
    Column("tunnel", "String", "", "tunnels and their ids, outermost first"),
    Column("vlan", "Int32", "", "VLAN id of the first packet, null when untagged"),
    Column("dscp", "UInt8", "", "DSCP of the first packet"),
    Column("tap", "String", "", "mirror source of the first packet"),
    Column("first_frame", "Int64", "", "frame number of the first packet"),
    Column("start_ns", "Int64", "ns", "time of the first packet, since the epoch"),
    Column("end_ns", "Int64", "ns", "time of the last packet"),
    Column("end", "String", "", "open, idle, active (time-outs) or evicted"),
    *_direction("a_to_b", "from a to b"),
    *_direction("b_to_a", "from b to a"),
    Column("application", "String", "", "what the payload says it is, empty when unknown"),
    Column("application_source", "String", "", "payload, handshake, correlation or port"),
    Column("application_confidence", "Float64", "", "0 to 1"),
    Column("detail", "String", "", "what the payload says further, as JSON"),
    Column("behaviour", "String", "", "what the flow does, by sizes and times; empty when unclear"),
    Column("behaviour_confidence", "Float64", "", "0 to 1"),
    Column("behaviour_features", "String", "", "what decided, as name=value"),
)

QUEUE_PAIRS: Final = (
    Column("slot", "Int64", "", "running number of the direction"),
    Column("src", "String", "", "sender"),
    Column("dst", "String", "", "receiver"),
    Column("dest_qp", "UInt32", "", "queue pair at the receiver"),
    Column("paired_qp", "UInt32", "", "queue pair of the other direction, null while unknown"),
    Column("source_qp", "UInt32", "", "queue pair of the sender, from DETH (UD)"),
    Column("transport", "String", "", "roce_v1, roce_v2 or infiniband"),
    Column("service", "String", "", "RC, UC, UD, RD or XRC"),
    Column("tap", "String", "", "mirror source of the first packet"),
    Column("udp_port", "UInt16", "", "UDP source port of the first packet"),
    Column("first_frame", "Int64", "", "frame number of the first packet"),
    Column("last_frame", "Int64", "", "frame number of the last packet"),
    Column("start_ns", "Int64", "ns", "time of the first packet, since the epoch"),
    Column("end_ns", "Int64", "ns", "time of the last packet"),
    Column("packets", "Int64", "packets", "packets carried in this direction"),
    Column("bytes", "Int64", "B", "the same on the wire"),
    Column("payload_bytes", "Int64", "B", "RDMA payload carried, repetitions included"),
    Column("delivered_bytes", "Int64", "B", "payload of packets seen for the first time"),
    Column("messages", "Int64", "", "messages (Only, or First to Last; READ at the requester)"),
    *_quantiles("message_bytes", "B", "message size"),
    Column("acks", "Int64", "packets", "positive acknowledgements of this direction's data"),
    Column("acks_sent", "Int64", "packets", "acknowledgements carried in this direction"),
    Column("naks", "Int64", "packets", "NAKs about this direction's data, RNR apart"),
    Column("naks_sequence", "Int64", "packets", "those of them with PSN sequence error"),
    Column("rnr_naks", "Int64", "packets", "receiver-not-ready NAKs about this direction's data"),
    Column("rnr_timer", "UInt8", "", "timer code of the last RNR NAK"),
    Column("retransmissions", "Int64", "packets", "data packets seen again at this tap"),
    Column("timeouts", "Int64", "", "times that sending again began after silence, without a NAK"),
    Column("duplicates", "Int64", "packets", "copies without a cause, made by the mirror"),
    Column("sequence_gaps", "Int64", "", "times that the PSN jumped ahead"),
    Column("network_lost", "Int64", "packets", "lost in the network: asked for or sent again"),
    Column("collector_lost", "Int64", "packets", "missed by the mirror: acknowledged, never seen"),
    Column("unresolved_lost", "Int64", "packets", "missing, nothing seen that tells where"),
    Column("out_of_order", "Int64", "packets", "late without a loss"),
    Column("max_displacement", "Int64", "packets", "furthest that a packet was overtaken"),
    Column("ecn_capable", "Int64", "packets", "data packets with ECN on, CE included"),
    Column("ecn_marked", "Int64", "packets", "data packets marked CE"),
    Column("cnps", "Int64", "packets", "CNPs that tell this direction's sender to slow down"),
    *_quantiles("ack_rtt", "us", "time from AckReq to the ACK that covers it, at the tap"),
    *_quantiles("message", "us", "message completion time, first packet to covering ACK"),
    *_quantiles("nak_generation", "us", "time from the first packet after a loss to its NAK"),
    *_quantiles("nak_response", "us", "time from a NAK to the packet sent again"),
    *_quantiles("retransmission", "us", "time from the lost packet's place to its repetition"),
    Column("goodput", "Float64", "Gb/s", "delivered payload over first to last data packet"),
    Column("state", "String", "", "active, idle, stalled, failed, closed"),
)

FINDINGS: Final = (
    Column("severity", "String", "", "critical, warning, notice or info"),
    Column("kind", "String", "", "what kind of finding; stable, for filters"),
    Column("subject", "String", "", "what it is about: a queue pair, a flow, a tap, a host"),
    Column("text", "String", "", "one sentence with the numbers"),
    Column("action", "String", "", "what to do next"),
    Column("evidence", "String", "", "the numbers as JSON"),
    Column("packets", "List(Int64)", "", "frame numbers to open"),
    Column("capture", "String", "", "the file they are in"),
    Column("filter", "String", "", "Wireshark display filter"),
)

TABLES: Final = {"flows": FLOWS, "queue_pairs": QUEUE_PAIRS, "findings": FINDINGS}
