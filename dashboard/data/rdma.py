"""What the page RDMA asks: queue pairs, times of messages and ACKs, loss, who sends to whom."""

import math
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.dashboard.data.samples import read_intervals
from fabricscope.dashboard.view import View
from fabricscope.store import Store

__all__ = ["EVENTS", "Latencies", "RdmaPicture", "read_rdma", "spread_latencies"]

EVENTS: Final = ("retransmissions", "network_lost", "naks", "rnr_naks", "ecn_marked", "cnps")
QUEUE_PAIRS_LISTED: Final = 2_000
MATRIX_HOSTS: Final = 48
TIMES: Final = 240
BINS_A_DECADE: Final = 8
_COUNTS: Final = ("packets", "payload_bytes", "messages", *EVENTS, "collector_lost")
_KEY: Final = ("collector", "src", "dst", "dest_qp", "transport")
_COLUMNS: Final = (
    "time_ns", *_KEY, *_COUNTS, "ack_rtt_p50", "ack_rtt_p99", "ack_rtt_max",
    "message_p50", "message_p99", "message_max", "state",
)  # fmt: skip
_HELD: Final = ("stalled", "failed")
_ABOVE_MEDIAN: Final = 0.49
"""Share of the values between median and 99th percentile; half are taken to be at the median."""


class Latencies(NamedTuple):
    """How durations are spread over time.

    interval_ns: what a time stands for; edges_us: of the logarithmic bins; shares: (bins, times),
    of each interval's values; p50_us and p99_us: by time, weighted median of the medians and the
    largest 99th percentile.
    """

    times_ns: list[int]
    interval_ns: int
    edges_us: list[float]
    shares: NDArray[np.float64]
    p50_us: list[float]
    p99_us: list[float]


class RdmaPicture(NamedTuple):
    """What one query tells. interval_ns: of what times stand for.

    queue_pairs: a row a direction, those with most payload; total: how many there are; stalled:
    rows of them that were held at the end; events: sums by time; matrix: payload between hosts as
    {hosts, bytes}; None for latencies without any.
    """

    interval_ns: int
    queue_pairs: pl.DataFrame
    total: int
    stalled: pl.DataFrame
    events: pl.DataFrame
    matrix: dict[str, list[object]]
    messages: Latencies | None
    round_trips: Latencies | None


def read_rdma(store: Store, view: View) -> RdmaPicture:
    """Return everything about queue pairs in the view."""
    rows, step_ns = read_intervals(store, view, "rdma_samples", _COLUMNS)
    pairs = _sum_up(rows, view.seconds)
    events = rows.group_by("time_ns").agg(pl.col(*EVENTS, "payload_bytes").sum()).sort("time_ns")
    return RdmaPicture(
        step_ns,
        pairs.head(QUEUE_PAIRS_LISTED),
        pairs.height,
        pairs.filter(pl.col("state").is_in(_HELD)).head(QUEUE_PAIRS_LISTED),
        events,
        _matrix(pairs),
        spread_latencies(rows, "message", step_ns),
        spread_latencies(rows, "ack_rtt", step_ns),
    )


def _sum_up(rows: pl.DataFrame, seconds: float) -> pl.DataFrame:
    """Return a row a direction, most payload first."""
    weight = pl.col("messages").clip(1)
    pairs = (
        rows.sort("time_ns")
        .group_by(*_KEY)
        .agg(
            pl.col(*_COUNTS).sum(),
            *[
                (pl.col(f"{name}_p50") * weight).sum()
                / weight.filter(pl.col(f"{name}_p50").is_not_null()).sum()
                for name in ("ack_rtt", "message")
            ],
            pl.col("ack_rtt_p99", "message_p99", "message_max").max(),
            pl.col("state").last(),
            pl.col("time_ns").last().alias("last_ns"),
        )
        .with_columns(
            rate_gbps=pl.col("payload_bytes") * 8 / max(seconds, 1.0) / 1e9,
            retransmitted=pl.col("retransmissions") / pl.col("packets").clip(1),
            qp=pl.col("dest_qp").map_elements(lambda number: f"0x{number:06x}", pl.String),
        )
        .sort("payload_bytes", "src", "dst", "dest_qp", descending=[True, False, False, False])
    )
    # A weighted mean of nothing is no number.
    return pairs.with_columns(pl.col("ack_rtt_p50", "message_p50").fill_nan(None))


def _matrix(pairs: pl.DataFrame) -> dict[str, list[object]]:
    """Return the payload between the busiest hosts, the others as one."""
    sent = pairs.group_by("src", "dst").agg(pl.col("payload_bytes").sum())
    ends = pl.concat([
        sent.select(host=pl.col("src"), size=pl.col("payload_bytes")),
        sent.select(host=pl.col("dst"), size=pl.col("payload_bytes")),
    ]).group_by("host").agg(pl.col("size").sum())  # fmt: skip
    busiest = ends.sort("size", "host", descending=[True, False])["host"].to_list()
    shown = sorted(busiest[:MATRIX_HOSTS])
    rest = len(busiest) - len(shown)
    names = [*shown, f"{rest:,} others"] if rest else shown
    place = {name: number for number, name in enumerate(shown)}
    volumes = [[0] * len(names) for _ in names]
    for src, dst, size in sent.iter_rows():
        volumes[place.get(src, len(names) - 1)][place.get(dst, len(names) - 1)] += size
    return {"hosts": list(names), "bytes": list(volumes)}


def spread_latencies(rows: pl.DataFrame, name: str, step_ns: int) -> Latencies | None:
    """Return how durations are spread over time, made from percentiles; None without any.

    Each queue pair and interval counts as many values as messages ended (one at least): half at
    its median, 49 % spread evenly (on the logarithmic scale) between median and 99th percentile,
    1 % from there to the largest.
    """
    middle, late, largest = (f"{name}_{part}" for part in ("p50", "p99", "max"))
    known = rows.filter(pl.col(middle).is_not_null() & (pl.col(middle) > 0))
    if known.is_empty():
        return None
    values = known.select(middle, late, largest).to_numpy().astype(np.float64)
    values = np.maximum.accumulate(np.nan_to_num(values, nan=0.0), axis=1)
    weight = np.maximum(known["messages"].to_numpy().astype(np.float64), 1.0)
    times = known["time_ns"].to_numpy()
    width_ns = max(step_ns, _round_up(int(times.max() - times.min()) // TIMES, step_ns))
    start = int(times.min()) // width_ns * width_ns
    columns = (times - start) // width_ns
    count = int(columns.max()) + 1
    low = math.floor(math.log10(values[:, 0].min()) * BINS_A_DECADE)
    high = math.ceil(math.log10(values[:, 2].max()) * BINS_A_DECADE) + 1
    sums = np.zeros((high - low, count))
    places = np.log10(values) * BINS_A_DECADE - low
    np.add.at(sums, (places[:, 0].astype(np.int64), columns), 0.5 * weight)
    for begin, end, share in ((0, 1, _ABOVE_MEDIAN), (1, 2, 0.01)):
        _spread(sums, places[:, begin], places[:, end], columns, share * weight)
    total = sums.sum(axis=0)
    shares = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
    edges = [10 ** ((low + bin_) / BINS_A_DECADE) for bin_ in range(high - low + 1)]
    return Latencies(
        [start + place * width_ns for place in range(count)],
        width_ns,
        edges,
        shares,
        _by_time(columns, count, values[:, 0], weight),
        _largest(columns, count, values[:, 1]),
    )


def _round_up(length_ns: int, step_ns: int) -> int:
    return -(-length_ns // step_ns) * step_ns


def _spread(
    sums: NDArray[np.float64],
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
    columns: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> None:
    """Add `weight` to the bins from `begin` to `end`, each its part of the way."""
    length = np.maximum(end - begin, 1e-9)
    end = begin + length
    for bin_ in range(len(sums)):
        inside = np.minimum(end, bin_ + 1) - np.maximum(begin, bin_)
        part = np.maximum(inside, 0.0) / length * weight
        sums[bin_] += np.bincount(columns, part, sums.shape[1])


def _by_time(
    columns: NDArray[np.int64], count: int, values: NDArray[np.float64], weight: NDArray[np.float64]
) -> list[float]:
    """Return the weighted median of `values` in each column, NaN for none."""
    order = np.lexsort((values, columns))
    sorted_columns, sorted_values = columns[order], values[order]
    mass = np.cumsum(weight[order])
    result = [math.nan] * count
    edges = np.searchsorted(sorted_columns, np.arange(count + 1))
    for column in range(count):
        first, last = int(edges[column]), int(edges[column + 1])
        if first == last:
            continue
        before = mass[first - 1] if first else 0.0
        half = before + (mass[last - 1] - before) / 2
        result[column] = float(sorted_values[first + int(np.searchsorted(mass[first:last], half))])
    return result


def _largest(columns: NDArray[np.int64], count: int, values: NDArray[np.float64]) -> list[float]:
    found = np.full(count, -np.inf)
    np.maximum.at(found, columns, values)
    return [float(value) if value > 0 else math.nan for value in found]
