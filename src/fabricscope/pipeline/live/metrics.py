"""What a running collector tells monitoring systems: metrics with few labels, added up for good.

Declared once, in `METRICS`; `prometheus` and `opentelemetry` read the same values. Label sets are
bounded: where there are more, those that came first stay, and the rest is counted.
"""

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.pipeline.live.alerts import AlertWatch
from fabricscope.pipeline.live.session import Second
from fabricscope.recorder import Recorder

__all__ = [
    "FAMILIES",
    "METRICS",
    "Family",
    "Metric",
    "MetricValues",
    "Sample",
    "own_samples",
    "prometheus_name",
]

IDLE_NS: Final = 600 * 10**9
"""Label sets of which nothing was heard for so long make room."""

STALE_NS: Final = 60 * 10**9
"""A gauge of which nothing was heard for so long is not told: its last value says nothing."""

_SUFFIXES: Final = {
    "By": "_bytes",
    "s": "_seconds",
    "1": "_ratio",
    "By/s": "_bytes_per_second",
    "dBm": "_dbm",
}


class Metric(NamedTuple):
    """One metric. counter: else a gauge; value: of rows of its family's table, in `unit`.

    extra: a label and its value that only this metric has, several of one name one each.
    """

    name: str
    counter: bool
    unit: str
    help: str
    value: pl.Expr
    extra: tuple[str, ...] = ()


class Family(NamedTuple):
    """Metrics of the rows of one table. labels: label and column; most: label sets."""

    table: str
    labels: dict[str, str]
    most: int
    metrics: tuple[Metric, ...]


class Sample(NamedTuple):
    """One value. labels: in the order of `names`."""

    names: tuple[str, ...]
    labels: tuple[str, ...]
    value: float


def prometheus_name(metric: Metric) -> str:
    """Return the name by Prometheus's conventions: the unit at the end, counters with _total."""
    name = metric.name.replace(".", "_")
    suffix = _SUFFIXES.get(metric.unit, "")
    name += "" if name.endswith(suffix) else suffix
    return f"{name}_total" if metric.counter else name


def _count(name: str, help: str, column: str, unit: str = "", scale: float = 1.0) -> Metric:
    return Metric(name, True, unit, help, pl.col(column).sum() * scale)


def _gauge(name: str, help: str, value: pl.Expr, unit: str = "") -> Metric:
    return Metric(name, False, unit, help, value)


def _waits(name: str, help: str, prefix: str) -> tuple[Metric, ...]:
    """Return gauges of a latency in seconds; of the worst queue pair."""
    return tuple(
        Metric(name, False, "s", help, pl.col(f"{prefix}_{part}").max() * 1e-6, ("statistic", part))
        for part in ("p50", "p99", "max")
    )


LINKS: Final = Family(
    "link_samples",
    {"link": "link", "direction": "direction", "source": "source"},
    32_768,
    (
        _count("fabricscope.link.data", "Bytes on the wire", "bytes", "By"),
        _count("fabricscope.link.packets", "Packets carried", "packets"),
        _count("fabricscope.link.errors", "Damaged packets: CRC, symbol, FEC", "errors"),
        _count("fabricscope.link.discards", "Packets that the switch or host discarded",
               "discards"),
        _count("fabricscope.link.downed", "Times that the link went down", "flaps"),
        _count("fabricscope.link.ecn_capable_packets", "Packets with ECN on", "ecn_capable"),
        _count("fabricscope.link.ecn_marked_packets", "Packets marked CE", "ecn_marked"),
        _count("fabricscope.link.pause", "Time that PFC or PAUSE held the link", "pause_ns", "s",
               1e-9),
        _count("fabricscope.link.rdma_lost_packets", "RDMA packets lost in the network", "lost"),
        _gauge("fabricscope.link.speed", "Rate of the link",
               pl.col("rate_gbps").last() * 1.25e8, "By/s"),
        _gauge("fabricscope.link.utilization", "Share of the rate that was used, 0 to 1",
               pl.col("utilization").mean(), "1"),
        _gauge("fabricscope.link.burst_utilization", "The same in the busiest 10 ms",
               pl.col("burst").max(), "1"),
        _gauge("fabricscope.link.health_score", "Health, 0 to 100", pl.col("score").min()),
        _gauge("fabricscope.link.rx_power", "Least optical power that a lane receives",
               pl.col("rx_power_dbm").min(), "dBm"),
    ),
)  # fmt: skip
RDMA: Final = Family(
    "rdma_samples",
    {"src": "src", "dst": "dst"},
    16_384,
    (
        _count("rdma.payload", "RDMA payload carried", "payload_bytes", "By"),
        _count("rdma.packets", "RDMA packets carried", "packets"),
        _count("rdma.messages", "Messages ended", "messages"),
        _count("rdma.retransmitted_packets", "Data packets seen again", "retransmissions"),
        _count("rdma.lost_packets", "Packets lost in the network", "network_lost"),
        _count("rdma.packet_seq_err", "NAKs about this direction's data", "naks"),
        _count("rdma.rnr_nak", "Receiver-not-ready NAKs", "rnr_naks"),
        _count("rdma.ecn_marked_roce_packets", "Data packets marked CE", "ecn_marked"),
        _count("rdma.cnp_packets", "CNPs for this sender", "cnps"),
        *_waits("rdma.ack_rtt", "ACK round trip at the tap, of the slowest queue pair",
                "ack_rtt"),
        *_waits("rdma.message_completion", "Message completion time, of the slowest queue pair",
                "message"),
        _gauge("rdma.stalled_queue_pairs", "Queue pairs that owe data and do not move",
               pl.col("state").is_in(["stalled", "failed"]).sum()),
    ),
)  # fmt: skip
TAPS: Final = Family(
    "tap_samples",
    {"tap": "tap"},
    256,
    (
        _count("fabricscope.tap.data", "Bytes on the wire", "bytes", "By"),
        _count("fabricscope.tap.packets", "Packets analyzed", "packets"),
        _count("fabricscope.tap.dropped_packets", "Packets dropped for want of ring space",
               "dropped"),
        _count("fabricscope.tap.skipped_packets", "Packets left out under overload", "skipped"),
        _count("fabricscope.tap.duplicate_packets", "Packets that another tap had seen before",
               "duplicates"),
        _count("fabricscope.tap.truncated_packets", "Packets cut by the snap length", "truncated"),
        _count("fabricscope.tap.malformed_packets", "Packets whose headers disagree", "malformed"),
        _gauge("fabricscope.tap.sampling", "1 in so many packets was analyzed",
               pl.col("sampling").max()),
        _gauge("fabricscope.tap.overload_level", "0 everything on, up to 3 under overload",
               pl.col("level").max()),
    ),
)  # fmt: skip
APPLICATIONS: Final = Family(
    "application_samples",
    {"application": "application", "behaviour": "behaviour"},
    512,
    (
        _count("fabricscope.application.data", "Bytes on the wire", "bytes", "By"),
        _count("fabricscope.application.packets", "Packets carried", "packets"),
    ),
)
JOBS: Final = Family(
    "iterations",
    {"job": "job", "operation": "operation", "algorithm": "algorithm"},
    256,
    (
        Metric("fabricscope.job.iterations", True, "", "Iterations that ended", pl.len()),
        _gauge("fabricscope.job.iteration", "Time that the last iteration took",
               (pl.col("end_ns") - pl.col("time_ns")).last() * 1e-9, "s"),
        _gauge("fabricscope.job.message", "Message size as nccl-tests counts it",
               pl.col("message_bytes").last(), "By"),
        _gauge("fabricscope.job.algorithm_bandwidth", "Message size over the iteration's time",
               pl.col("algbw_gbps").last() * 1.25e8, "By/s"),
        _gauge("fabricscope.job.bus_bandwidth",
               "The same times the operation's bus factor, as nccl-tests has it",
               pl.col("busbw_gbps").last() * 1.25e8, "By/s"),
        _gauge("fabricscope.job.held_back", "1 while somebody holds the job back",
               (pl.col("straggler") != "").last()),
    ),
)  # fmt: skip


def _own(name: str, help: str, *, counter: bool = False) -> Metric:
    """Return a metric whose values do not come from samples."""
    return Metric(name, counter, "", help, pl.lit(None))


FIRING: Final = _own("fabricscope.alerts.firing", "Alerts that fire, by rule")
NOTIFICATIONS: Final = _own(
    "fabricscope.notifications", "Changes of alerts, by destination and outcome", counter=True
)
STORED: Final = _own("fabricscope.store.rows", "Rows for the store, by outcome", counter=True)
LEFT_OUT: Final = _own(
    "fabricscope.left_out", "What found no room in a table of the analysis, by kind", counter=True
)
OWN: Final = (FIRING, NOTIFICATIONS, STORED, LEFT_OUT)

FAMILIES: Final = (LINKS, RDMA, TAPS, APPLICATIONS, JOBS)
METRICS: Final = {
    metric.name: metric
    for metric in (*(metric for family in FAMILIES for metric in family.metrics), *OWN)
}
"""Every metric by name."""


@dataclass
class _Values:
    """Values of one family: a row a label set, a column a metric."""

    family: Family
    rows: dict[tuple[str, ...], int] = field(default_factory=dict)
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    heard_ns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    left_out: int = 0

    def __post_init__(self) -> None:
        width = len(self.family.metrics)
        self.values = np.full((self.family.most, width), np.nan)
        self.heard_ns = np.zeros(self.family.most, np.int64)
        self._counters = np.array([metric.counter for metric in self.family.metrics])
        self._free = list(range(self.family.most))[::-1]

    def add(self, frame: pl.DataFrame, now_ns: int) -> None:
        columns = list(self.family.labels.values())
        expressions = [
            metric.value.cast(pl.Float64).alias(str(place))
            for place, metric in enumerate(self.family.metrics)
        ]
        folded = frame.group_by(columns, maintain_order=True).agg(expressions)
        keys = list(folded.select(pl.col(columns).fill_null("")).iter_rows())
        fresh = folded.drop(columns).to_numpy()
        places = self._places_of(keys, now_ns)
        known = places >= 0
        self.left_out += int(np.count_nonzero(~known))
        places, fresh = places[known], fresh[known]
        self.heard_ns[places] = now_ns
        # Of sFlow's lost datagrams some come late, which takes them back: no counter may fall.
        counted = np.maximum(np.nan_to_num(fresh[:, self._counters]), 0)
        self.values[np.ix_(places, self._counters)] += counted
        self.values[np.ix_(places, ~self._counters)] = fresh[:, ~self._counters]

    def told(self, places: list[int], now_ns: int) -> NDArray[np.float64]:
        """Return rows of values, NaN for gauges that are too old."""
        table = self.values[places]
        old = now_ns - self.heard_ns[places] > STALE_NS
        table[np.ix_(old, ~self._counters)] = np.nan
        return table

    def _places_of(self, keys: list[tuple[str, ...]], now_ns: int) -> NDArray[np.int64]:
        """Return the row of each label set, made if it is new; -1 where there is no room."""
        places = np.array([self.rows.get(key, -1) for key in keys], np.int64)
        self.heard_ns[places[places >= 0]] = now_ns
        fresh = np.flatnonzero(places < 0).tolist()
        if len(fresh) > len(self._free):
            self._forget(now_ns)
        for row in fresh[: len(self._free)]:
            places[row] = self.rows[keys[row]] = self._free.pop()
            self.values[places[row]] = np.where(self._counters, 0.0, np.nan)
        return places

    def _forget(self, now_ns: int) -> None:
        """Make room once for all that come together: it takes a look at every row."""
        idle = now_ns - self.heard_ns > IDLE_NS
        idle[self._free] = False
        if idle.any():
            gone = [(key, place) for key, place in self.rows.items() if idle[place]]
            for key, place in gone:
                del self.rows[key]
                self._free.append(place)


class MetricValues:
    """Listens to seconds and adds them up; read from other threads."""

    def __init__(self, collector: str) -> None:
        """Begin with nothing; `collector` is told as a label of its own metric."""
        self.collector = collector
        self.others: list[Callable[[], Iterator[tuple[Metric, Sample]]]] = []
        """What else has values, such as alerts."""
        self._lock = threading.Lock()
        self._now_ns = 0
        self._no_room: dict[str, int] = {}
        self._values = [_Values(family) for family in FAMILIES]
        self._reading = threading.Lock()
        self._read_s = -math.inf
        self._snapshot: dict[str, tuple[Metric, list[Sample]]] = {}

    def listen(self, second: Second) -> None:
        """Add a second."""
        with self._lock:
            self._now_ns = second.end_ns
            self._no_room = dict(second.judge.left_out) if second.judge else {}
            for values in self._values:
                frame = second.tables.get(values.family.table)
                if frame is not None and not frame.is_empty():
                    values.add(frame, second.end_ns)

    def samples(self, metric: Metric) -> list[Sample]:
        """Return the values of one metric; those of one moment are the same within a second."""
        with self._reading:
            if time.monotonic() - self._read_s > 1.0:
                self._snapshot, self._read_s = self.read(), time.monotonic()
            return self._snapshot.get(metric.name, (metric, []))[1]

    def left_out(self) -> dict[str, int]:
        """Return how many rows found no room, by table."""
        with self._lock:
            return {values.family.table: values.left_out for values in self._values}

    def read(self) -> dict[str, tuple[Metric, list[Sample]]]:
        """Return every metric with its values, by name in the order of declaration."""
        found: dict[str, tuple[Metric, list[Sample]]] = {}
        # Seconds need not wait until thousands of values are written out: they are copied first.
        with self._lock:
            no_room = self._no_room
            copies = [
                (
                    values.family,
                    list(values.rows),
                    values.told([*values.rows.values()], self._now_ns),
                )
                for values in self._values
            ]
        for family, keys, table in copies:
            names = tuple(family.labels)
            for column, metric in enumerate(family.metrics):
                _, samples = found.setdefault(metric.name, (metric, []))
                more_names, more = metric.extra[:1], metric.extra[1:]
                samples += [
                    Sample((*names, *more_names), (*key, *more), value)
                    for key, value in zip(keys, table[:, column].tolist(), strict=True)
                    if value == value
                ]
        if no_room:
            kinds = [Sample(("kind",), (kind,), count) for kind, count in no_room.items()]
            found[LEFT_OUT.name] = LEFT_OUT, kinds
        for other in self.others:
            for metric, sample in other():
                found.setdefault(metric.name, (metric, []))[1].append(sample)
        return found


def own_samples(
    alerts: AlertWatch, recorder: Recorder | None
) -> Callable[[], Iterator[tuple[Metric, Sample]]]:
    """Return a function that yields what does not come from samples."""

    def tell() -> Iterator[tuple[Metric, Sample]]:
        names = ("rule", "severity", "state")
        firing = Counter((one.rule, one.severity, one.state) for one in alerts.firing())
        for labels, count in firing.items():
            yield FIRING, Sample(names, labels, count)
        for name, counts in alerts.counts.items():
            for outcome in ("delivered", "dropped"):
                sent = Sample(("destination", "outcome"), (name, outcome), getattr(counts, outcome))
                yield NOTIFICATIONS, sent
        if recorder is not None:
            yield STORED, Sample(("outcome",), ("kept",), recorder.flushed_rows)
            yield STORED, Sample(("outcome",), ("dropped",), recorder.dropped_rows)

    return tell
