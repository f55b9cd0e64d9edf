"""The tables that a running collector adds to: one row a subject and second, or one an event.

They are part of `tables.TABLES`. `fold` of a column says how rows of a second become one of ten
seconds, a minute or an hour; a table without folds holds events, which are kept as they are.
"""

from typing import Final

from fabricscope.tables import Column

__all__ = ["FOLDS", "SERIES", "is_folded", "key_columns"]

FOLDS: Final = ("key", "sum", "max", "min", "mean", "last")

_TIME = Column("time_ns", "Int64", "ns", "start of the interval, since the epoch", "key")
_WHEN = Column("time_ns", "Int64", "ns", "when it happened, since the epoch")
_COLLECTOR = Column("collector", "String", "", "name of the collector that saw it", "key")
_BY = Column("collector", "String", "", "name of the collector that saw it")


def _sum(name: str, what: str, unit: str = "packets") -> Column:
    return Column(name, "Int64", unit, what, "sum")


def _latency(prefix: str, what: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}_p50", "Float64", "us", f"median {what}; folded by its mean", "mean"),
        Column(f"{prefix}_p99", "Float64", "us", f"99th percentile of {what}", "max"),
        Column(f"{prefix}_max", "Float64", "us", f"largest {what}", "max"),
    )


TAP_SAMPLES: Final = (
    _TIME,
    _COLLECTOR,
    Column("tap", "String", "", "mirror source", "key"),
    _sum("packets", "packets analyzed"),
    _sum("bytes", "the same on the wire", "B"),
    _sum("dropped", "packets that the kernel dropped for want of ring space"),
    _sum("skipped", "packets that sampling left out under overload"),
    _sum("duplicates", "packets that another tap had seen before; counted at this one only"),
    _sum("truncated", "packets cut by the snap length"),
    _sum("malformed", "packets whose headers disagree"),
    _sum("freezes", "times that the ring stood still", ""),
    _sum("missed", "packets that the interface dropped before the ring"),
    Column("sampling", "Int32", "", "1 in so many packets was analyzed", "max"),
    Column("level", "Int32", "", "0 everything on, up to 3 under overload", "max"),
)

LINK_SAMPLES: Final = (
    _TIME,
    _COLLECTOR,
    Column("link", "String", "", "link of the topology, or the tap's or port's own name", "key"),
    Column("direction", "String", "", "up, down or both, seen from the lower tier", "key"),
    Column("source", "String", "", "mirror, sflow, sflow_sampled, counters or gnmi", "key"),
    Column("rate_gbps", "Float64", "Gb/s", "rate of the link, null while unknown", "last"),
    Column("utilization", "Float64", "", "share of the rate that was used, 0 to 1", "mean"),
    Column("burst", "Float64", "", "the same in the busiest 10 ms", "max"),
    _sum("packets", "packets carried"),
    _sum("bytes", "bytes carried on the wire", "B"),
    _sum("errors", "damaged packets: CRC, symbol, FEC"),
    _sum("discards", "packets that the switch or host discarded"),
    _sum("flaps", "times that the link went down", ""),
    _sum("ecn_capable", "packets with ECN on"),
    _sum("ecn_marked", "packets marked CE"),
    _sum("pause_ns", "time that PFC or PAUSE held the link", "ns"),
    _sum("lost", "RDMA packets lost in the network"),
    _sum("naks", "NAKs about data on this link"),
    _sum("cnps", "CNPs that told senders on this link to slow down"),
    *_latency("ack_rtt", "ACK round trip beyond the tap"),
    Column("rx_power_dbm", "Float64", "dBm", "least optical power that a lane receives", "min"),
    Column("score", "Float64", "", "health, 0 to 100", "min"),
    Column("reasons", "String", "", "what the score lost points for", "last"),
)

RDMA_SAMPLES: Final = (
    _TIME,
    _COLLECTOR,
    Column("src", "String", "", "sender", "key"),
    Column("dst", "String", "", "receiver", "key"),
    Column("dest_qp", "UInt32", "", "queue pair at the receiver", "key"),
    Column("transport", "String", "", "roce_v1, roce_v2 or infiniband", "key"),
    _sum("packets", "packets carried"),
    _sum("payload_bytes", "RDMA payload carried", "B"),
    _sum("messages", "messages ended", ""),
    _sum("retransmissions", "data packets seen again"),
    _sum("naks", "NAKs about this direction's data"),
    _sum("rnr_naks", "receiver-not-ready NAKs"),
    _sum("network_lost", "packets lost in the network"),
    _sum("collector_lost", "packets that the mirror missed"),
    _sum("ecn_marked", "data packets marked CE"),
    _sum("cnps", "CNPs for this sender"),
    *_latency("ack_rtt", "ACK round trip at the tap"),
    *_latency("message", "message completion time"),
    Column("state", "String", "", "active, idle, stalled, failed, closed", "last"),
)

APPLICATION_SAMPLES: Final = (
    _TIME,
    _COLLECTOR,
    Column("src", "String", "", "host that sent", "key"),
    Column("application", "String", "", "what the payload says it is, empty when unknown", "key"),
    Column("behaviour", "String", "", "what the flows do, empty when unclear", "key"),
    _sum("packets", "packets carried"),
    _sum("bytes", "bytes on the wire", "B"),
    _sum("flows", "flows under way", ""),
)

ITERATIONS: Final = (
    Column("time_ns", "Int64", "ns", "start of the iteration, since the epoch"),
    _BY,
    Column("job", "String", "", "ranks of the job, as first and number"),
    Column("operation", "String", "", "allreduce, allgather, ..."),
    Column("algorithm", "String", "", "ring, tree, halving_doubling, direct or unknown"),
    Column("ranks", "List(String)", "", "addresses, in ring order for a ring"),
    Column("end_ns", "Int64", "ns", "end of the iteration"),
    Column("message_bytes", "Int64", "B", "S as nccl-tests counts it"),
    Column("algbw_gbps", "Float64", "Gb/s", "S over the iteration's time"),
    Column("busbw_gbps", "Float64", "Gb/s", "algbw times the operation's bus factor"),
    Column("straggler", "String", "", "JSON of who held it back, empty for nobody"),
)

JOB_SAMPLES: Final = (
    Column("time_ns", "Int64", "ns", "when the job was looked at, since the epoch"),
    _BY,
    Column("job", "String", "", "ranks of the job, as first and number"),
    Column("ranks", "List(String)", "", "addresses of its ranks"),
    Column("transport", "String", "", "rdma or tcp"),
    Column("window_s", "Float64", "s", "what the row tells is of so long before its time"),
    Column("steps", "Int64", "", "steps seen in the window"),
    Column("step_ms_p50", "Float64", "ms", "median time from step to step"),
    Column("step_ms_p99", "Float64", "ms", "99th percentile of the same"),
    Column("step_bytes", "Int64", "B", "what a step exchanges, S of its operations added"),
    Column("communication_share", "Float64", "", "share of the step time with traffic"),
    Column("parallelism", "List(String)", "", "data, pipeline, expert"),
    Column("checkpoints", "Int64", "", "checkpoints written in the window"),
    Column("checkpoint_bytes", "Int64", "B", "what they wrote"),
    Column("checkpoint_cost_ms", "Float64", "ms", "time that the job waited for them"),
    Column("dataset_reads", "Int64", "", "reads of the data set in the window"),
    Column("dataset_bytes", "Int64", "B", "what they read"),
    Column("dataset_ms_max", "Float64", "ms", "the slowest of them, null for none"),
    Column("diagnosis", "String", "", "JSON of who held the job back, empty for nobody"),
)

ALERTS: Final = (
    _WHEN,
    _BY,
    Column("rule", "String", "", "name of the rule; of a silence a pattern"),
    Column("subject", "String", "", "what it is about; of a silence a pattern"),
    Column("severity", "String", "", "critical, warning, notice or info"),
    Column("state", "String", "", "firing, resolved, acknowledged or silenced"),
    Column("text", "String", "", "one sentence with the numbers"),
    Column("action", "String", "", "what to do next"),
    Column("value", "Float64", "", "the value that decided, null for none"),
    Column("table", "String", "", "table whose rows the rule looks at"),
    Column("since_ns", "Int64", "ns", "when the alert began to fire, since the epoch"),
    Column("until_ns", "Int64", "ns", "end of a silence, since the epoch, null for none"),
    Column("by", "String", "", "who acknowledged or silenced, empty for the collector itself"),
)

SERIES: Final = {
    "tap_samples": TAP_SAMPLES,
    "link_samples": LINK_SAMPLES,
    "rdma_samples": RDMA_SAMPLES,
    "application_samples": APPLICATION_SAMPLES,
    "iterations": ITERATIONS,
    "job_samples": JOB_SAMPLES,
    "alerts": ALERTS,
}


def is_folded(table: str) -> bool:
    """Return whether rows of `table` are samples that fold into longer intervals."""
    return any(column.fold for column in SERIES.get(table, ()))


def key_columns(table: str) -> list[str]:
    """Return the columns besides the time that tell a subject of `table` apart."""
    return [c.name for c in SERIES[table] if c.fold == "key" and c.name != "time_ns"]
