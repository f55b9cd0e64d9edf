"""The larger sections of the JSON document: flows, queue pairs, series and distributions."""

import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.connection_manager import Connection, Direction
from fabricscope.analyzers.pause import PauseTable
from fabricscope.analyzers.rdma import layout
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.analyzers.sketch.quantiles import bucket_edges
from fabricscope.analyzers.timeline.fold import TIMELINE_BINS, fold_to

Section = dict[str, Any]

LISTED_FLOWS: Final = 10_000
LISTED_QUEUE_PAIRS: Final = 65_536
MATRIX_HOSTS: Final = 64
_DIRECTION: Final = {
    "packets": "packets",
    "bytes": "bytes",
    "payload_bytes": "payload_bytes",
    "tcp_flags": "tcp_flags",
    "ecn_marked": "ecn_marked",
    "size_mean": "size_mean",
    "size_dev": "size_dev",
    "size_p50": "size_p50",
    "size_p99": "size_p99",
    "gap_mean": "gap_us_mean",
    "gap_dev": "gap_us_dev",
    "gap_p50": "gap_us_p50",
    "gap_p99": "gap_us_p99",
}
_QUANTILES: Final = {
    "message_bytes": "message_bytes",
    "ack_rtt": "ack_rtt_us",
    "message": "message_us",
    "nak_generation": "nak_generation_us",
    "nak_response": "nak_response_us",
    "retransmission": "retransmission_us",
}


def rounded(value: Any) -> Any:
    """Return a float with six significant digits, None if it is none; else `value` itself."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def tunnels(text: str) -> list[Section]:
    """Return `erspan:10 vxlan:5000` as a list of `{kind, id}`."""
    pairs = (part.split(":") for part in text.split())
    return [{"kind": kind, "id": int(number)} for kind, number in pairs]


def flows_section(flows: pl.DataFrame, start_ns: int) -> list[Section]:
    """Return the flows with the most bytes first, at most `LISTED_FLOWS`.

    flows: `records.TABLES["flows"]`, with application and behaviour columns where there are any.
    """
    size = pl.col("a_to_b_bytes") + pl.col("b_to_a_bytes")
    listed = flows.sort(size, "id", descending=[True, False]).head(LISTED_FLOWS)
    section = []
    for row in listed.iter_rows(named=True):
        entry: Section = {
            name: row[name]
            for name in ("src", "dst", "src_port", "dst_port", "protocol", "kind", "vlan", "dscp")
        }
        entry["tunnel"] = tunnels(row["tunnel"])
        entry["tap"] = row["tap"]
        entry["packets"] = row["a_to_b_packets"] + row["b_to_a_packets"]
        entry["bytes"] = row["a_to_b_bytes"] + row["b_to_a_bytes"]
        entry["start_s"] = (row["start_ns"] - start_ns) / 1e9
        entry["duration_s"] = (row["end_ns"] - row["start_ns"]) / 1e9
        entry["end"] = row["end"]
        entry["first_frame"] = row["first_frame"]
        for prefix in ("a_to_b", "b_to_a"):
            entry[prefix] = {
                name: rounded(row[f"{prefix}_{column}"]) for column, name in _DIRECTION.items()
            }
        entry["application"] = row["application"] or "unknown"
        entry["application_source"] = row["application_source"] or None
        entry["application_confidence"] = rounded(row["application_confidence"])
        entry["behaviour"] = row["behaviour"] or None
        entry["behaviour_features"] = row["behaviour_features"]
        entry["confidence"] = rounded(row["behaviour_confidence"])
        entry["detail"] = json.loads(row["detail"]) if row["detail"] else None
        if "tags" in row:
            entry["tags"] = row["tags"]
        section.append(entry)
    return section


def queue_pairs_section(frame: pl.DataFrame, table: QueuePairTable, start_ns: int) -> list[Section]:
    """Return the queue pairs, those with trouble first, then by bytes."""
    trouble = sum(
        (pl.col(name) for name in ("naks", "rnr_naks", "retransmissions", "timeouts")),
        start=pl.col("network_lost"),
    )
    order = frame.sort(
        (pl.col("state").is_in(["failed", "stalled"])),
        trouble > 0,
        pl.col("bytes"),
        pl.col("slot"),
        descending=[True, True, True, False],
    ).head(LISTED_QUEUE_PAIRS)
    plain = [
        name
        for name in frame.columns
        if not any(name.startswith(f"{prefix}_") for prefix in _QUANTILES)
        and name not in ("slot", "start_ns", "end_ns", "goodput", "retransmissions", "messages")
    ]
    qps = table.queue_pairs
    section = []
    for row in order.iter_rows(named=True):
        slot = row["slot"]
        entry: Section = {name: row[name] for name in plain}
        entry["messages"] = row["messages"]
        entry["retransmissions"] = row["retransmissions"]
        entry["operations"] = _named(qps["operations"][slot], layout.OPERATIONS)
        entry["naks_by_code"] = _named(qps["nak_codes"][slot], layout.NAK_NAMES)
        for prefix, name in _QUANTILES.items():
            entry[name] = {
                part: rounded(row[f"{prefix}_{part}"]) for part in ("p50", "p99", "max", "count")
            }
        entry["goodput_gbps"] = rounded(row["goodput"])
        entry["start_s"] = (row["start_ns"] - start_ns) / 1e9
        entry["duration_s"] = (row["end_ns"] - row["start_ns"]) / 1e9
        section.append(entry)
    return section


def _named(counts: NDArray[np.int64], names: tuple[str, ...]) -> dict[str, int]:
    return {name: count for name, count in zip(names, counts.tolist(), strict=True) if count}


def connections_section(
    connections: Sequence[Connection], with_data: set[Direction]
) -> list[Section]:
    """Return the RDMA CM connections, with what their messages negotiated."""
    section = []
    for connection in connections:
        request, reply = connection.request, connection.reply
        section.append(
            {
                "initiator": connection.initiator,
                "responder": connection.responder,
                "outcome": connection.outcome(with_data),
                "reason": connection.reason,
                "transport": request.transport,
                "service_id": request.service_id,
                "service_port": request.dst_port,
                "initiator_qp": request.qpn,
                "responder_qp": reply.qpn if reply else None,
                "path_mtu_bytes": request.path_mtu_bytes,
                "ack_timeout_code": request.local_ack_timeout,
                "retry_count": request.retry_count,
                "requested_ns": connection.requested_ns,
                "established_ns": connection.established_ns or None,
                "disconnected_ns": connection.disconnected_ns or None,
                "retries": connection.retries,
                "frames": list(connection.frames),
            }
        )
    return section


def timeline_section(
    flow_timeline: NDArray[np.int64],
    flow_scale: NDArray[np.int64],
    table: QueuePairTable,
    pauses: PauseTable,
) -> Section:
    """Return all series over common bins, cut after the last one that holds anything."""
    start_ns, shift = (int(value) for value in flow_scale)
    rdma_start, rdma_shift = (int(value) for value in table.state.timeline_scale)
    pause_start, pause_shift = (int(value) for value in pauses.timeline_scale)
    common = max(shift, rdma_shift, pause_shift)
    if start_ns < 0:
        return {"start_ns": 0, "bin_ns": 1 << common, "packets": [], "wire_bytes": []}
    while (max(rdma_start, pause_start) - start_ns) >> common >= TIMELINE_BINS:
        common += 1
    traffic = fold_to(flow_timeline, shift, common, 0)
    rdma = np.zeros((TIMELINE_BINS, len(layout.SERIES)), np.int64)
    if rdma_start >= 0:
        rdma = fold_to(table.state.timeline, rdma_shift, common, max(rdma_start - start_ns, 0))
    used = int(np.flatnonzero(traffic[:, 0])[-1]) + 1
    section: Section = {
        "start_ns": start_ns,
        "bin_ns": 1 << common,
        "packets": traffic[:used, 0].tolist(),
        "wire_bytes": traffic[:used, 1].tolist(),
    }
    for column, name in enumerate(layout.SERIES):
        section[name] = rdma[:used, column].tolist()
    paused = np.zeros((TIMELINE_BINS, 1), np.int64)
    if pause_start >= 0:
        paused = fold_to(pauses.timeline, pause_shift, common, max(pause_start - start_ns, 0))
    section["pause_frames"] = paused[:used, 0].tolist()
    return section


def _histogram(counts: NDArray[np.int64], divisor: float) -> Section:
    """Return `{edges, counts}` without the empty buckets at both ends."""
    used = np.flatnonzero(counts)
    if used.size == 0:
        return {"edges": [], "counts": []}
    first, last = int(used[0]), int(used[-1])
    edges = bucket_edges(counts.size)[first : last + 2] / divisor
    return {"edges": edges.tolist(), "counts": counts[first : last + 1].tolist()}


def distributions_section(packet_sizes: NDArray[np.int64], table: QueuePairTable) -> Section:
    """Return the distributions of packet size, message completion time and ACK RTT."""
    qps = table.queue_pairs

    def total(name: str) -> NDArray[np.int64]:
        return np.asarray(qps[name].sum(axis=0, dtype=np.int64))

    return {
        "packet_size_bytes": _histogram(packet_sizes, 1),
        "ack_rtt_us": _histogram(total("ack_rtt"), 1e3),
        "message_us": _histogram(total("completion"), 1e3),
        "message_bytes": _histogram(total("sizes"), 1),
    }


def matrix_section(flows: pl.DataFrame) -> Section:
    """Return bytes from host to host; past `MATRIX_HOSTS` hosts the rest is `other`."""
    there = flows.select("src", "dst", pl.col("a_to_b_bytes").alias("bytes"))
    back = flows.select(
        pl.col("dst").alias("src"),
        pl.col("src").alias("dst"),
        pl.col("b_to_a_bytes").alias("bytes"),
    )
    pairs = pl.concat([there, back]).filter(pl.col("bytes") > 0)
    pairs = pairs.group_by("src", "dst").agg(pl.col("bytes").sum())
    totals = pl.concat(
        [
            pairs.select(pl.col("src").alias("host"), "bytes"),
            pairs.select(pl.col("dst").alias("host"), "bytes"),
        ]
    )
    hosts = (
        totals.group_by("host")
        .agg(pl.col("bytes").sum())
        .sort("bytes", "host", descending=[True, False])
    )
    kept = sorted(hosts["host"].head(MATRIX_HOSTS).to_list(), key=_host_order)
    place = {host: number for number, host in enumerate(kept)}
    names = kept + (["other"] if len(hosts) > MATRIX_HOSTS else [])
    matrix = np.zeros((len(names), len(names)), np.int64)
    for src, dst, size in pairs.iter_rows():
        matrix[place.get(src, len(kept)), place.get(dst, len(kept))] += size
    return {"hosts": names, "bytes": matrix.tolist()}


def _host_order(host: str) -> tuple[object, ...]:
    """Sort IPv4 addresses by number, anything else by text after them."""
    parts = host.split(".")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        return (0, *(int(part) for part in parts))
    return (1, host)
