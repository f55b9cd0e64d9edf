"""The queue-pair table as a data frame with the columns of `records.TABLES["queue_pairs"]`."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_texts
from fabricscope.analyzers.rdma import layout
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.analyzers.sketch.quantiles import percentile
from fabricscope.records import PROTOCOLS

STALL_NS: Final = 1_000_000_000
"""Silence until the end of the capture after which an unanswered transfer counts as stalled."""
STALL_MIN_NS: Final = 200_000
STALL_TIMES: Final = 20
"""A message that breaks off in the middle is stalled sooner: after so many times what the slowest
message or answer of the connection took before, but not sooner than `STALL_MIN_NS`."""

_INFINIBAND: Final = PROTOCOLS.index("infiniband")
_RELIABLE: Final = (0, 5)


def _quantiles(
    prefix: str, sketch: NDArray[np.uint32], largest: NDArray[np.int64], divisor: float
) -> dict[str, object]:
    """Return p50, p99, max and count columns of sketches (n, buckets), divided by `divisor`."""
    count = sketch.sum(axis=1, dtype=np.int64)
    highest = np.where(count > 0, largest / divisor, np.nan)
    columns: dict[str, object] = {}
    for name, fraction in (("p50", 0.5), ("p99", 0.99)):
        value = np.minimum(percentile(sketch, fraction) / divisor, highest)
        columns[f"{prefix}_{name}"] = pl.Series(value).fill_nan(None)
    columns[f"{prefix}_max"] = pl.Series(highest).fill_nan(None)
    columns[f"{prefix}_count"] = count
    return columns


def _event_quantiles(
    prefix: str, slots: int, events: NDArray[np.void], field: str
) -> dict[str, object]:
    """Return the same columns from the latencies kept with events (ns, -1 unknown)."""
    known = events[events[field] >= 0]
    values: dict[int, NDArray[np.float64]] = {}
    for slot in np.unique(known["qp"]).tolist():
        values[slot] = known[field][known["qp"] == slot] / 1e3
    columns: dict[str, object] = {}
    for name, fraction in (("p50", 50), ("p99", 99), ("max", 100)):
        column: list[float | None] = [None] * slots
        for slot, samples in values.items():
            column[slot] = float(np.percentile(samples, fraction))
        columns[f"{prefix}_{name}"] = pl.Series(column, dtype=pl.Float64)
    counts = np.zeros(slots, np.int64)
    for slot, samples in values.items():
        counts[slot] = len(samples)
    columns[f"{prefix}_count"] = counts
    return columns


def states_of(table: QueuePairTable, end_ns: int) -> list[str]:
    """Return each direction's state at `end_ns`, the end of the capture.

    failed: a NAK that ends the connection; stalled: a message broken off, or data unanswered, and
    silence ever since; idle: silent for `STALL_NS`, nothing owed; else active. Where the mirror
    is known to have missed packets, a missing answer proves nothing unless there were time-outs.
    """
    qps = table.queue_pairs
    fatal = qps["nak_codes"][:, 1:].sum(axis=1) > 0
    paired = qps["paired"].astype(np.int64)
    other = np.where(paired >= 0, paired, np.arange(len(qps)))
    silence_ns = end_ns - np.maximum(qps["last_ns"], qps["last_ns"][other])
    pace_ns = np.maximum(qps["message_max_ns"], qps["ack_rtt_max_ns"])
    pace_ns = np.maximum(pace_ns, pace_ns[other])
    patience_ns = np.where(pace_ns > 0, STALL_TIMES * pace_ns, STALL_NS)
    broken_off = qps["open_operation"] != layout.NO_MESSAGE
    broken_off &= silence_ns >= np.clip(patience_ns, STALL_MIN_NS, STALL_NS)
    complete = qps["collector_lost"].sum() == 0
    answered = (qps["acked_any"] == 1) | (paired >= 0)
    unanswered = (qps["queued"] > 0) & answered & (complete | (qps["timeouts"] > 0))
    silent = silence_ns >= STALL_NS
    stalled = np.isin(qps["service"], _RELIABLE) & (broken_off | (unanswered & silent))
    states = np.where(stalled, "stalled", np.where(silent, "idle", "active"))
    return [str(state) for state in np.where(fatal, "failed", states)]


def queue_pairs_frame(table: QueuePairTable, taps: list[str], end_ns: int) -> pl.DataFrame:
    """Return a row for each direction; `taps` names the tap numbers.

    CNPs and NAKs stand with the direction whose data they are about, not with the one that
    carries them; a CNP whose connection is not paired stands where it was seen.
    """
    qps = table.queue_pairs
    slots = table.slots
    infiniband = qps["transport"] == _INFINIBAND
    paired = qps["paired"].astype(np.int64)
    other = np.maximum(paired, 0)
    paired_qp = [
        number if slot >= 0 else None
        for number, slot in zip(qps["dest_qp"][other].tolist(), paired.tolist(), strict=True)
    ]
    cnps = np.where(paired >= 0, qps["cnps"][other], qps["cnps"])
    source_qp = [number or None for number in qps["source_qp"].tolist()]
    data_ns = qps["last_new_ns"] - qps["first_data_ns"]
    goodput = np.where(data_ns > 0, qps["delivered_bytes"] * 8 / np.maximum(data_ns, 1), np.nan)
    columns: dict[str, object] = {
        "slot": np.arange(slots),
        "src": address_texts(qps["src_hi"], qps["src_lo"], infiniband),
        "dst": address_texts(qps["dst_hi"], qps["dst_lo"], infiniband),
        "dest_qp": qps["dest_qp"],
        "paired_qp": pl.Series(paired_qp, dtype=pl.UInt32),
        "source_qp": pl.Series(source_qp, dtype=pl.UInt32),
        "transport": [PROTOCOLS[p] for p in qps["transport"].tolist()],
        "service": [layout.SERVICES[s] if s < 8 else "" for s in qps["service"].tolist()],
        "tap": [taps[tap] for tap in qps["tap"].tolist()],
        "udp_port": qps["udp_port"],
        "first_frame": qps["first_frame"],
        "last_frame": qps["last_frame"],
        "start_ns": qps["first_ns"],
        "end_ns": qps["last_ns"],
        **{
            name: qps[name]
            for name in ("packets", "bytes", "payload_bytes", "delivered_bytes", "messages")
        },
    }
    columns |= _event_columns(table)
    columns |= {
        "sequence_gaps": qps["gaps"],
        "naks_sequence": qps["nak_codes"][:, 0],
        "cnps": cnps,
        "goodput": pl.Series(goodput).fill_nan(None),
        "state": pl.Series(states_of(table, end_ns), dtype=pl.String),
        **_quantiles("ack_rtt", qps["ack_rtt"], qps["ack_rtt_max_ns"], 1e3),
        **_quantiles("message", qps["completion"], qps["message_max_ns"], 1e3),
        **_quantiles("message_bytes", qps["sizes"], qps["message_bytes_max"], 1),
    }
    for name in _COUNTED:
        columns[name] = qps[name]
    frame = pl.DataFrame(columns)
    return frame.with_columns(pl.col("timeouts").cast(pl.Int64))


_COUNTED: Final = (
    "acks",
    "acks_sent",
    "naks",
    "rnr_naks",
    "rnr_timer",
    "retransmissions",
    "timeouts",
    "duplicates",
    "network_lost",
    "collector_lost",
    "unresolved_lost",
    "out_of_order",
    "max_displacement",
    "ecn_capable",
    "ecn_marked",
)


def _event_columns(table: QueuePairTable) -> dict[str, object]:
    naks = table.events(layout.EVENT_NAK)
    recoveries = table.events(layout.EVENT_RECOVERY)
    slots = table.slots
    return {
        **_event_quantiles("nak_generation", slots, naks, "first_ns"),
        **_event_quantiles("nak_response", slots, recoveries, "first_ns"),
        **_event_quantiles("retransmission", slots, recoveries, "second_ns"),
    }
