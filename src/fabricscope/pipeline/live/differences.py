"""What queue pairs did since the last look: counters of the table become differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_texts
from fabricscope.analyzers.rdma.results import states_of
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.analyzers.sketch.quantiles import percentile
from fabricscope.records import PROTOCOLS
from fabricscope.schemas import schema_of

__all__ = ["Differences", "QueuePairDifferences", "concatenate"]

MAX_SAMPLED_QUEUE_PAIRS: Final = 4_096
"""Queue pairs with rows of their own in a second, those with most packets; links count all."""

_COUNTED: Final = (
    "packets",
    "payload_bytes",
    "messages",
    "retransmissions",
    "naks",
    "rnr_naks",
    "network_lost",
    "collector_lost",
    "ecn_marked",
    "cnps",
)
SECOND_NS: Final = 1_000_000_000
STALLED_EACH_NS: Final = 10 * 10**9
"""A queue pair that stalls has a row in each second for so long, although nothing moves."""

STALLED_EVERY_NS: Final = 30 * 10**9
STALLED_UNTIL_NS: Final = 600 * 10**9
"""Then one so often, until so long after its last packet."""

_SKETCHES: Final = {"ack_rtt": "ack_rtt", "message": "completion"}
"""Column prefix and the sketch of the queue-pair table behind it."""


@dataclass
class Differences:
    """What queue pairs did in an interval: rows of those that did anything, or that stall.

    slots: into the queue-pair table; ends: (rows, 4) source and destination address halves;
    counts: by the names of the table's columns; latency: p50, p99 and largest of each sketch, us,
    NaN for none; samples: how many latencies were measured; states: at the interval's end.
    """

    slots: NDArray[np.int64]
    ends: NDArray[np.uint64]
    counts: dict[str, NDArray[np.int64]]
    latency: dict[str, NDArray[np.float64]]
    samples: dict[str, NDArray[np.int64]]
    states: list[str]

    def frame(self, start_ns: int, collector: str, table: QueuePairTable) -> pl.DataFrame:
        """Return rdma_samples rows."""
        order = np.argsort(-self.counts["packets"], kind="stable")[:MAX_SAMPLED_QUEUE_PAIRS]
        slots = self.slots[order]
        qps = table.queue_pairs
        transport = [PROTOCOLS[kind] for kind in qps["transport"][slots].tolist()]
        infiniband = np.array([name == "infiniband" for name in transport], np.bool_)
        ends = self.ends[order]
        columns: dict[str, Any] = {
            "time_ns": np.full(slots.size, start_ns, np.int64),
            "collector": [collector] * slots.size,
            "src": address_texts(ends[:, 0], ends[:, 1], infiniband),
            "dst": address_texts(ends[:, 2], ends[:, 3], infiniband),
            "dest_qp": qps["dest_qp"][slots],
            "transport": transport,
            **{name: self.counts[name][order] for name in _COUNTED},
            "state": [self.states[row] for row in order.tolist()],
        }
        for name in _SKETCHES:
            for place, label in enumerate(("p50", "p99", "max")):
                columns[f"{name}_{label}"] = self.latency[name][order, place]
        schema = schema_of("rdma_samples")
        frame = pl.DataFrame({name: columns[name] for name in schema})
        return frame.cast(schema).fill_nan(None)  # type: ignore[arg-type]


def concatenate(parts: Sequence[Differences]) -> Differences:
    """Return the differences of several tables; no queue pair is in two of them."""
    return Differences(
        np.concatenate([part.slots for part in parts]),
        np.concatenate([part.ends for part in parts]),
        {name: np.concatenate([part.counts[name] for part in parts]) for name in _COUNTED},
        {name: np.concatenate([part.latency[name] for part in parts]) for name in _SKETCHES},
        {name: np.concatenate([part.samples[name] for part in parts]) for name in _SKETCHES},
        [state for part in parts for state in part.states],
    )


class QueuePairDifferences:
    """Remembers the counters of the last look, to tell what was added since."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._sketches: dict[str, NDArray[np.uint32]] = {}

    def queue_pairs_moved(self, moved: NDArray[np.int64]) -> None:
        """Follow queue pairs to their new slots, -1: forgotten. All that they did must be told."""
        kept = np.flatnonzero(moved >= 0)
        self._counts = {name: values[kept] for name, values in self._counts.items()}
        for before in self._sketches.values():
            known = kept[kept < len(before)]
            before[: known.size] = before[known]
            before[known.size :] = 0

    def take(self, table: QueuePairTable, end_ns: int) -> Differences:
        """Return what was added since the last call, until end_ns."""
        qps = table.queue_pairs
        used = len(qps)
        now = {name: qps[name].astype(np.int64) for name in _COUNTED}
        added = {name: now[name] - _padded(self._counts.get(name), now[name]) for name in now}
        states = states_of(table, end_ns)
        told = np.any([values != 0 for values in added.values()], axis=0)
        moved = np.flatnonzero(told | _told_to_stall(table, states, end_ns))
        latency: dict[str, NDArray[np.float64]] = {}
        samples: dict[str, NDArray[np.int64]] = {}
        for name, field in _SKETCHES.items():
            sketch = qps[field][moved].astype(np.int64)
            before = self._sketches.setdefault(name, np.zeros((0, sketch.shape[-1]), np.uint32))
            if len(before) < used:
                grown = np.zeros((max(used, 2 * len(before)), before.shape[1]), np.uint32)
                grown[: len(before)] = before
                self._sketches[name] = before = grown
            fresh = sketch - before[moved]
            before[moved] = sketch
            samples[name] = fresh.sum(axis=1)
            latency[name] = _quantiles_us(fresh)
        counts = {name: added[name][moved] for name in now}
        # CNPs travel against the data: those that slow a sender came from its peer.
        paired = qps["paired"][moved].astype(np.int64)
        received = np.where(paired >= 0, added["cnps"][np.maximum(paired, 0)], 0)
        counts["cnps"] = received
        self._counts = now
        ends = np.stack([qps[name][moved] for name in ("src_hi", "src_lo", "dst_hi", "dst_lo")], 1)
        slots = moved.tolist()
        return Differences(moved, ends, counts, latency, samples, [states[k] for k in slots])


def _told_to_stall(table: QueuePairTable, states: list[str], end_ns: int) -> NDArray[np.bool_]:
    """Return which queue pairs stall and have a row for it, although nothing moved."""
    stalled: NDArray[np.bool_] = np.array([state == "stalled" for state in states], np.bool_)
    if not stalled.any():
        return np.zeros(len(states), np.bool_)
    silence_ns = end_ns - table.queue_pairs["last_ns"].astype(np.int64)
    beats = silence_ns % STALLED_EVERY_NS < SECOND_NS
    stalled &= (silence_ns < STALLED_EACH_NS) | beats
    stalled &= silence_ns < STALLED_UNTIL_NS
    return stalled


def _padded(before: NDArray[np.int64] | None, like: NDArray[np.int64]) -> NDArray[np.int64]:
    result = np.zeros_like(like)
    if before is not None:
        result[: before.size] = before
    return result


def _quantiles_us(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return p50, p99 and the largest of nanosecond sketches in microseconds."""
    if not len(counts):
        return np.zeros((0, 3))
    parts = [percentile(counts, fraction) for fraction in (0.5, 0.99, 1.0)]
    return np.stack(parts, axis=1) / 1_000
