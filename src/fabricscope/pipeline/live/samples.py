"""From counters to rows: what each tap, link, queue pair and application did in an interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_texts
from fabricscope.analyzers.links.baselines import Baselines
from fabricscope.analyzers.links.counting import MAX_LINKS, LinkCounts
from fabricscope.analyzers.links.health import score_links
from fabricscope.analyzers.rdma.results import states_of
from fabricscope.analyzers.rdma.table import QueuePairTable
from fabricscope.analyzers.sketch.quantiles import percentile
from fabricscope.records import PROTOCOLS
from fabricscope.store import schema_of

if TYPE_CHECKING:
    from fabricscope.pipeline.live.monitor import MonitorOptions, TapCounts

__all__ = ["LinkJudge", "QueuePairDifferences", "application_samples", "tap_samples"]

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
_SKETCHES: Final = {"ack_rtt": "ack_rtt", "message": "completion"}
"""Column prefix and the sketch of the queue-pair table behind it."""
_DIRECTIONS: Final = ("up", "down")


def tap_samples(
    start_ns: int,
    collector: str,
    taps: Mapping[int, "TapCounts"],
    names: list[str],
    ring: Mapping[int, tuple[int, int]],
    sampling: int,
    level: int,
) -> pl.DataFrame:
    """Return a row for each tap; ring: packets dropped and freezes by tap."""
    numbers = sorted({*taps, *ring})
    counts = [taps.get(tap) for tap in numbers]
    lost = [ring.get(tap, (0, 0)) for tap in numbers]

    def column(name: str) -> list[int]:
        return [getattr(count, name) if count else 0 for count in counts]

    return pl.DataFrame(
        {
            "time_ns": [start_ns] * len(numbers),
            "collector": [collector] * len(numbers),
            "tap": [names[tap] if tap < len(names) else f"tap {tap}" for tap in numbers],
            "packets": column("packets"),
            "bytes": column("bytes"),
            "dropped": [dropped for dropped, _ in lost],
            "skipped": column("skipped"),
            "duplicates": column("duplicates"),
            "truncated": column("truncated"),
            "malformed": column("malformed"),
            "freezes": [freezes for _, freezes in lost],
            "sampling": [sampling] * len(numbers),
            "level": [level] * len(numbers),
        },
        schema=schema_of("tap_samples"),
    )


def application_samples(
    start_ns: int, collector: str, flows: pl.DataFrame, grown: Mapping[str, Any]
) -> pl.DataFrame:
    """Return rows by source host, application and behaviour.

    flows: `records.TABLES["flows"]` rows; grown: `bytes` and `packets` since the last look.
    """
    return (
        flows.select("src", "application", "behaviour")
        .with_columns(
            bytes=pl.Series(grown["bytes"], dtype=pl.Int64),
            packets=pl.Series(grown["packets"], dtype=pl.Int64),
        )
        .group_by("src", "application", "behaviour")
        .agg(pl.col("packets").sum(), pl.col("bytes").sum(), pl.len().cast(pl.Int64).alias("flows"))
        .with_columns(time_ns=pl.lit(start_ns, pl.Int64), collector=pl.lit(collector, pl.String))
        .select(list(schema_of("application_samples")))
    )


@dataclass
class Differences:
    """What queue pairs did in an interval: rows of those that did anything.

    slots: into the queue-pair table; ends: (rows, 4) source and destination address halves;
    counts: by the names of the table's columns; latency: p50, p99 and largest of each sketch, us,
    NaN for none; samples: how many latencies were measured.
    """

    slots: NDArray[np.int64]
    ends: NDArray[np.uint64]
    counts: dict[str, NDArray[np.int64]]
    latency: dict[str, NDArray[np.float64]]
    samples: dict[str, NDArray[np.int64]]

    def frame(
        self, start_ns: int, collector: str, table: QueuePairTable, end_ns: int
    ) -> pl.DataFrame:
        """Return rdma_samples rows."""
        order = np.argsort(-self.counts["packets"], kind="stable")[:MAX_SAMPLED_QUEUE_PAIRS]
        slots = self.slots[order]
        qps = table.queue_pairs
        transport = [PROTOCOLS[kind] for kind in qps["transport"][slots].tolist()]
        infiniband = np.array([name == "infiniband" for name in transport], np.bool_)
        ends = self.ends[order]
        states = states_of(table, end_ns)
        columns: dict[str, Any] = {
            "time_ns": np.full(slots.size, start_ns, np.int64),
            "collector": [collector] * slots.size,
            "src": address_texts(ends[:, 0], ends[:, 1], infiniband),
            "dst": address_texts(ends[:, 2], ends[:, 3], infiniband),
            "dest_qp": qps["dest_qp"][slots],
            "transport": transport,
            **{name: self.counts[name][order] for name in _COUNTED},
            "state": [states[slot] for slot in slots.tolist()],
        }
        for name in _SKETCHES:
            for place, label in enumerate(("p50", "p99", "max")):
                columns[f"{name}_{label}"] = self.latency[name][order, place]
        schema = schema_of("rdma_samples")
        frame = pl.DataFrame({name: columns[name] for name in schema})
        return frame.cast(schema).fill_nan(None)  # type: ignore[arg-type]


class QueuePairDifferences:
    """Remembers the counters of the last look, to tell what was added since."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._sketches: dict[str, NDArray[np.uint32]] = {}

    def take(self, table: QueuePairTable) -> Differences:
        """Return what was added since the last call."""
        qps = table.queue_pairs
        used = len(qps)
        now = {name: qps[name].astype(np.int64) for name in _COUNTED}
        added = {name: now[name] - _padded(self._counts.get(name), now[name]) for name in now}
        moved = np.flatnonzero(np.any([values != 0 for values in added.values()], axis=0))
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
        return Differences(moved, ends, counts, latency, samples)


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


class LinkJudge:
    """Makes link samples, with a score against what is usual for each link."""

    def __init__(self, options: "MonitorOptions") -> None:
        """Prepare baselines of the links' latency."""
        self._options = options
        self._names: list[str] = []
        self._rates: NDArray[np.float64] = np.zeros(0)
        self._latency = Baselines(2 * MAX_LINKS, least_spread=1.0, relative_spread=0.05)

    def samples(
        self,
        start_ns: int,
        end_ns: int,
        counted: LinkCounts,
        differences: Differences,
        sampling: int,
    ) -> pl.DataFrame:
        """Return two rows for each link that carried anything in the interval."""
        self._learn(counted.hosts)
        links = len(counted.hosts)
        rdma = self._rdma(counted, differences)
        active = np.flatnonzero(counted.counts["packets"].ravel() > 0)
        if active.size == 0:
            return pl.DataFrame()
        counts = counted.counts.ravel()[active]
        rate = np.repeat(self._rates[:links], 2)[active]
        length_ns = max(end_ns - start_ns, 1)
        utilization = counts["bytes"] * sampling * 8 / (rate * length_ns)
        burst = counted.burst_bytes.ravel()[active] * sampling * 8 / (rate * length_ns / 100)
        latency = rdma["ack_rtt"][active]
        judged = self._latency.judge(active, latency[:, 0])
        seen = np.maximum(counts["rdma_packets"], 1)
        metrics = {
            "utilization": utilization,
            "ecn_ratio": counts["ecn_marked"] / np.maximum(counts["ecn_capable"], 1),
            "loss_ratio": rdma["network_lost"][active] / seen,
            "latency_deviation": judged.deviation,
            "latency_drift": (judged.drift > 0).astype(np.float64),
        }
        score, reasons = score_links(metrics)
        texts = [""] * active.size
        for reason in reasons:
            texts[reason.row] += ("; " if texts[reason.row] else "") + reason.text
        columns: dict[str, Any] = {
            "time_ns": np.full(active.size, start_ns, np.int64),
            "collector": [self._options.collector] * active.size,
            "link": [self._names[k // 2] for k in active.tolist()],
            "direction": [_DIRECTIONS[k % 2] for k in active.tolist()],
            "source": ["mirror"] * active.size,
            "rate_gbps": rate,
            "utilization": utilization,
            "burst": burst,
            "packets": counts["packets"] * sampling,
            "bytes": counts["bytes"] * sampling,
            "errors": np.zeros(active.size, np.int64),
            "discards": np.zeros(active.size, np.int64),
            "flaps": np.zeros(active.size, np.int64),
            "ecn_capable": counts["ecn_capable"] * sampling,
            "ecn_marked": counts["ecn_marked"] * sampling,
            "pause_ns": np.zeros(active.size, np.int64),
            "lost": rdma["network_lost"][active],
            "naks": rdma["naks"][active],
            "cnps": counts["cnps"] * sampling,
            "rx_power_dbm": np.full(active.size, np.nan),
            "score": score,
            "reasons": texts,
        }
        for place, label in enumerate(("p50", "p99", "max")):
            columns[f"ack_rtt_{label}"] = latency[:, place]
        schema = schema_of("link_samples")
        frame = pl.DataFrame({name: columns[name] for name in schema})
        return frame.cast(schema).fill_nan(None)  # type: ignore[arg-type]

    def _learn(self, hosts: NDArray[np.uint64]) -> None:
        """Name the links of hosts seen for the first time."""
        known = len(self._names)
        if len(hosts) == known:
            return
        fresh = hosts[known:]
        texts = address_texts(
            fresh[:, 0], fresh[:, 1], (fresh[:, 0] == 0) & (fresh[:, 1] < 1 << 16)
        )
        options = self._options
        names = [options.link_names.get(text, text) for text in texts]
        rates = [options.link_rates.get(name, options.link_rate_gbps) for name in names]
        self._names += names
        self._rates = np.concatenate([self._rates, rates])

    def _rdma(self, counted: LinkCounts, differences: Differences) -> dict[str, NDArray[Any]]:
        """Return loss, NAKs and latency of each link's direction, (2 * links,) or (.., 3).

        A loss happened somewhere between sender and receiver: it counts for the one's way up and
        the other's way down, and shows where it is by what all their peers say.
        """
        links = len(counted.hosts)
        places = {host: k for k, host in enumerate(map(tuple, counted.hosts.tolist()))}
        ends = differences.ends.tolist()
        up = np.array([places.get((a, b), -1) for a, b, _, _ in ends], np.int64)
        down = np.array([places.get((c, d), -1) for _, _, c, d in ends], np.int64)
        result: dict[str, NDArray[Any]] = {}
        for name in ("network_lost", "naks"):
            total = np.zeros(2 * links, np.int64)
            values = differences.counts[name]
            np.add.at(total, 2 * up[up >= 0], values[up >= 0])
            np.add.at(total, 2 * down[down >= 0] + 1, values[down >= 0])
            result[name] = total
        latency = np.full((2 * links, 3), np.nan)
        weight = differences.samples["ack_rtt"].astype(np.float64)
        waits = differences.latency["ack_rtt"]
        use = (weight > 0) & (up >= 0)
        rows = 2 * up[use]
        mass = np.bincount(rows, weight[use], 2 * links)
        middle = np.bincount(rows, weight[use] * waits[use, 0], 2 * links)
        known = mass > 0
        latency[known, 0] = middle[known] / mass[known]
        for place in (1, 2):
            worst = np.full(2 * links, -np.inf)
            np.maximum.at(worst, rows, waits[use, place])
            latency[known, place] = worst[known]
        result["ack_rtt"] = latency
        return result
