"""Link samples: what a collector's packets say of each link in an interval, with a score.

A host's link is known by its address; a tap that stands for a link counts for it as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_texts
from fabricscope.analyzers.links.baselines import Baselines
from fabricscope.analyzers.links.counting import MAX_LINKS, LinkCounts
from fabricscope.analyzers.links.health import score_links
from fabricscope.analyzers.links.layout import COUNT_DTYPE
from fabricscope.analyzers.links.parallel import imbalance
from fabricscope.pipeline.live.counts import SecondCounts, TapTraffic
from fabricscope.pipeline.live.differences import Differences
from fabricscope.pipeline.live.naming import Naming
from fabricscope.schemas import schema_of

__all__ = ["LinkJudge"]

_DIRECTIONS: Final = ("up", "down")
_COUNTS: Final = ("packets", "bytes", "ecn_capable", "ecn_marked", "cnps")
_NOT_SEEN: Final = ("errors", "discards", "flaps", "pause_ns")
"""Columns that a mirror cannot know; counters of ports fill them in rows of their own."""


@dataclass
class _Rows:
    """Directions of links with what was seen of them; arrays of one length.

    subject: number of the link's direction for its baseline, -1 for none.
    """

    link: list[str]
    direction: list[str]
    subject: NDArray[np.int64]
    counts: dict[str, NDArray[np.int64]]
    burst_bytes: NDArray[np.int64]
    rdma: dict[str, NDArray[Any]]


class LinkJudge:
    """Makes link samples, with a score against what is usual for each link."""

    def __init__(self, collector: str, naming: Naming) -> None:
        """Prepare baselines of the links' latency."""
        self._collector = collector
        self._naming = naming
        self._names: dict[tuple[int, int], str] = {}
        self._listed: list[str] = []
        self._places: dict[tuple[int, int], int] = {}
        self._free = list(range(MAX_LINKS))[::-1]
        self._hosts: NDArray[np.uint64] = np.zeros((0, 2), np.uint64)
        self._numbers: NDArray[np.int64] = np.zeros(0, np.int64)
        self._latency = Baselines(2 * MAX_LINKS, least_spread=1.0, relative_spread=0.05)

    def samples(self, counts: SecondCounts, slow: Mapping[tuple[str, str], float]) -> pl.DataFrame:
        """Return a row for each direction of a link that carried anything in the interval.

        slow: by host and direction, how many times slower than its peers it carried a collective.
        """
        slow = {
            (self._naming.hosts.get(host, host), direction): times
            for (host, direction), times in slow.items()
        }
        rows = self._host_rows(counts.links, counts.differences)
        taken = set(zip(rows.link, rows.direction, strict=True))
        rows = _joined(rows, self._tap_rows(counts.traffic, taken))
        if not rows.link:
            return pl.DataFrame()
        held_back = [slow.get(key, np.nan) for key in zip(rows.link, rows.direction, strict=True)]
        return self._frame(rows, counts, np.array(held_back, np.float64))

    def _frame(
        self, rows: _Rows, counts: SecondCounts, held_back: NDArray[np.float64]
    ) -> pl.DataFrame:
        length_ns = max(counts.end_ns - counts.start_ns, 1)
        size = len(rows.link)
        rate = np.array([self._naming.rate_of(link) for link in rows.link], np.float64)
        utilization = rows.counts["bytes"] * 8 / (rate * length_ns)
        latency = rows.rdma["ack_rtt"]
        deviation, drift = self._compare(rows.subject, latency[:, 0])
        metrics = {
            "utilization": utilization,
            "ecn_ratio": rows.counts["ecn_marked"] / np.maximum(rows.counts["ecn_capable"], 1),
            "loss_ratio": rows.rdma["network_lost"] / np.maximum(rows.counts["rdma_packets"], 1),
            "latency_deviation": deviation,
            "latency_drift": drift,
            "held_back": held_back,
            "imbalance": self._imbalance(rows, rate, length_ns),
        }
        score, reasons = score_links(metrics)
        texts: list[list[str]] = [[] for _ in range(size)]
        for reason in reasons:
            texts[reason.row].append(reason.text)
        if counts.sampling > 1:
            for text in texts:
                text.append("estimated: a part of the packets was analyzed")
        columns: dict[str, Any] = {
            "time_ns": np.full(size, counts.start_ns, np.int64),
            "collector": [self._collector] * size,
            "link": rows.link,
            "direction": rows.direction,
            "source": ["mirror"] * size,
            "rate_gbps": rate,
            "utilization": utilization,
            "burst": rows.burst_bytes * 8 / (rate * length_ns / 100),
            **{name: rows.counts[name] for name in _COUNTS},
            **{name: np.zeros(size, np.int64) for name in _NOT_SEEN},
            "lost": rows.rdma["network_lost"],
            "naks": rows.rdma["naks"],
            "rx_power_dbm": np.full(size, np.nan),
            "score": score,
            "reasons": ["; ".join(text) for text in texts],
        }
        for place, label in enumerate(("p50", "p99", "max")):
            columns[f"ack_rtt_{label}"] = latency[:, place]
        schema = schema_of("link_samples")
        frame = pl.DataFrame({name: columns[name] for name in schema})
        return frame.cast(schema).fill_nan(None)  # type: ignore[arg-type]

    def _imbalance(
        self, rows: _Rows, rate: NDArray[np.float64], length_ns: int
    ) -> NDArray[np.float64]:
        """Return how many times the mean of its parallel links each carries, NaN for none."""
        groups = [self._naming.group_of(link) for link in rows.link]
        if len(set(groups)) == len(set(rows.link)):
            return np.full(len(groups), np.nan)
        names = [f"{one} {way}" for one, way in zip(groups, rows.direction, strict=True)]
        return imbalance(names, rows.counts["bytes"].astype(np.float64), rate, length_ns)

    def _compare(
        self, subject: NDArray[np.int64], latency_us: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how far each latency is from the usual, in spreads, and whether it drifts up."""
        deviation = np.zeros(subject.size)
        drift = np.zeros(subject.size)
        known = subject >= 0
        judged = self._latency.judge(subject[known], latency_us[known])
        deviation[known] = judged.deviation
        drift[known] = judged.drift > 0
        return deviation, drift

    def _host_rows(self, counted: LinkCounts, differences: Differences) -> _Rows:
        """Return the directions of hosts' links that carried anything.

        Links keep the number under which they first came, whatever order they are counted in;
        those that several processes see together may be more than there are baselines.
        """
        numbers = self._learn(counted.hosts)
        active = np.flatnonzero(counted.counts["packets"].ravel() > 0)
        counts = counted.counts.ravel()[active]
        rdma = _rdma_by_link(counted, differences)
        number = numbers[active // 2]
        return _Rows(
            [self._listed[k] for k in (active // 2).tolist()],
            [_DIRECTIONS[k % 2] for k in active.tolist()],
            np.where(number >= 0, 2 * number + active % 2, -1),
            {name: counts[name] for name in COUNT_DTYPE.names or ()},
            counted.burst_bytes.ravel()[active],
            {name: values[active] for name, values in rdma.items()},
        )

    def _tap_rows(self, traffic: Mapping[str, TapTraffic], taken: set[tuple[str, str]]) -> _Rows:
        """Return the taps that stand for a link, several for one added up."""
        sums: dict[tuple[str, str], TapTraffic] = {}
        for tap, seen in traffic.items():
            place = self._naming.taps.get(tap)
            if place is None or not seen.counts.get("packets"):
                continue
            key = place.link, place.direction
            if key not in taken:
                sums.setdefault(key, TapTraffic()).add(seen)
        size = len(sums)
        return _Rows(
            [link for link, _ in sums],
            [direction for _, direction in sums],
            np.full(size, -1, np.int64),
            {
                name: np.array([seen.counts.get(name, 0) for seen in sums.values()], np.int64)
                for name in COUNT_DTYPE.names or ()
            },
            np.array([int(seen.bins.max()) for seen in sums.values()], np.int64),
            {
                "network_lost": np.zeros(size, np.int64),
                "naks": np.zeros(size, np.int64),
                "ack_rtt": np.full((size, 3), np.nan),
            },
        )

    def _learn(self, hosts: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return each host's number, -1 for none, naming the links seen for the first time."""
        if not np.array_equal(hosts, self._hosts):
            keys = [(hi, lo) for hi, lo in hosts.tolist()]
            self._hosts, self._numbers = hosts, self._number(keys)
            self._name(keys, hosts)
        return self._numbers

    def _number(self, keys: list[tuple[int, int]]) -> NDArray[np.int64]:
        fresh = [key for key in keys if key not in self._places]
        if len(fresh) > len(self._free):
            self._forget(set(keys))
        for key in fresh[: len(self._free)]:
            self._places[key] = self._free.pop()
        return np.array([self._places.get(key, -1) for key in keys], np.int64)

    def _forget(self, kept: set[tuple[int, int]]) -> None:
        """Take the numbers of links back that are counted no more, with what was usual there."""
        gone = [key for key in self._places if key not in kept]
        numbers = [self._places.pop(key) for key in gone]
        self._free += numbers
        self._latency.forget(np.array([2 * k + side for k in numbers for side in (0, 1)], np.int64))

    def _name(self, keys: list[tuple[int, int]], hosts: NDArray[np.uint64]) -> None:
        """Name the links of those hosts that had no name before; forget the names of others."""
        fresh = [row for row, key in enumerate(keys) if key not in self._names]
        names = {key: self._names[key] for key in keys if key in self._names}
        new = hosts[fresh]
        plain = (new[:, 0] == 0) & (new[:, 1] < 1 << 16)
        for row, text in zip(fresh, address_texts(new[:, 0], new[:, 1], plain), strict=True):
            names[keys[row]] = self._naming.hosts.get(text, text)
        self._names = names
        self._listed = [names[key] for key in keys]


def _joined(one: _Rows, other: _Rows) -> _Rows:
    if not other.link:
        return one
    return _Rows(
        one.link + other.link,
        one.direction + other.direction,
        np.concatenate([one.subject, other.subject]),
        {name: np.concatenate([one.counts[name], other.counts[name]]) for name in one.counts},
        np.concatenate([one.burst_bytes, other.burst_bytes]),
        {name: np.concatenate([one.rdma[name], other.rdma[name]]) for name in one.rdma},
    )


def _rdma_by_link(counted: LinkCounts, differences: Differences) -> dict[str, NDArray[Any]]:
    """Return loss, NAKs and latency of each link's direction, (2 * links,) or (.., 3).

    A loss happened somewhere between sender and receiver: it counts for the one's way up and
    the other's way down, and shows where it is by what all their peers say.
    """
    links = len(counted.hosts)
    if not differences.slots.size:
        nothing = np.zeros(2 * links, np.int64)
        silent = np.full((2 * links, 3), np.nan)
        return {"network_lost": nothing, "naks": nothing, "ack_rtt": silent}
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
