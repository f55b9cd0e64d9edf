"""What one process counted in a second, in a form that several processes' can be added up in.

Counters here are numbers as they were counted (or scaled, where only a part was analyzed); what
they mean, rates, scores, jobs, is judged of the sum in `judging`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fabricscope.analyzers.links.counting import LinkCounts
from fabricscope.analyzers.links.layout import BINS, COUNT_DTYPE
from fabricscope.pipeline.live.differences import Differences, concatenate
from fabricscope.pipeline.live.transfers import TransferView, join_views

__all__ = ["SecondCounts", "TapCounts", "TapTraffic", "add_up"]


@dataclass
class TapCounts:
    """What came from one mirror source since the sample before."""

    packets: int = 0
    bytes: int = 0
    dropped: int = 0
    skipped: int = 0
    duplicates: int = 0
    truncated: int = 0
    malformed: int = 0
    freezes: int = 0
    missed: int = 0

    def add(self, other: "TapCounts") -> None:
        """Take the other's counts in."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass
class TapTraffic:
    """What a tap that stands for a direction of a link saw: counts, and bytes in bins of 10 ms."""

    counts: dict[str, int] = field(default_factory=dict)
    bins: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, other: "TapTraffic") -> None:
        """Take the other's counts in."""
        for name, value in other.counts.items():
            self.counts[name] = self.counts.get(name, 0) + value
        self.bins = self.bins + other.bins


@dataclass
class SecondCounts:
    """One process's counts of the interval from start_ns to end_ns.

    taps and traffic are by the tap's name; neighbours: tap, system and port as LLDP tells them;
    rdma, applications and flows are rows of their tables; transfers: None where nobody sees
    packets, or nobody would look at them. left_out: totals since the start, by what had no room.
    """

    start_ns: int
    end_ns: int
    taps: dict[str, TapCounts]
    traffic: dict[str, TapTraffic]
    neighbours: tuple[dict[str, str], ...]
    links: LinkCounts
    differences: Differences
    rdma: pl.DataFrame
    applications: pl.DataFrame
    flows: pl.DataFrame
    transfers: TransferView | None
    level: int = 0
    sampling: int = 1
    left_out: dict[str, int] = field(default_factory=dict)


def add_up(parts: Sequence[SecondCounts]) -> SecondCounts:
    """Return the sum of what several processes counted in one interval."""
    if len(parts) == 1:
        return parts[0]
    taps: dict[str, TapCounts] = {}
    traffic: dict[str, TapTraffic] = {}
    for part in parts:
        for name, counts in part.taps.items():
            taps.setdefault(name, TapCounts()).add(counts)
        for name, seen in part.traffic.items():
            traffic.setdefault(name, TapTraffic()).add(seen)
    views = [part.transfers for part in parts if part.transfers is not None]
    return SecondCounts(
        start_ns=min(part.start_ns for part in parts),
        end_ns=max(part.end_ns for part in parts),
        taps=taps,
        traffic=traffic,
        neighbours=tuple(row for part in parts for row in part.neighbours),
        links=_add_links([part.links for part in parts]),
        differences=concatenate([part.differences for part in parts]),
        rdma=_rows([part.rdma for part in parts]),
        applications=_add_applications(_rows([part.applications for part in parts])),
        flows=_rows([part.flows for part in parts]),
        transfers=join_views(views) if views else None,
        level=max(part.level for part in parts),
        sampling=max(part.sampling for part in parts),
        left_out=dict(sum((Counter(part.left_out) for part in parts), Counter())),
    )


def _rows(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    filled = [frame for frame in frames if not frame.is_empty()]
    return pl.concat(filled) if filled else pl.DataFrame()


def _add_applications(frame: pl.DataFrame) -> pl.DataFrame:
    if frame.is_empty():
        return frame
    keys = ["time_ns", "collector", "src", "application", "behaviour"]
    sums = frame.group_by(keys, maintain_order=True).agg(pl.col("packets", "bytes", "flows").sum())
    return sums.select(frame.columns)


def _add_links(parts: Sequence[LinkCounts]) -> LinkCounts:
    """Return counts of each host's link, in the order in which hosts first occur."""
    places: dict[tuple[int, int], int] = {}
    rows = []
    for part in parts:
        hosts = [(hi, lo) for hi, lo in part.hosts.tolist()]
        rows.append(np.array([places.setdefault(host, len(places)) for host in hosts], np.int64))
    counts = np.zeros((len(places), 2), COUNT_DTYPE)
    bins = np.zeros((len(places), 2, BINS), np.int64)
    for part, own in zip(parts, rows, strict=True):
        for name in COUNT_DTYPE.names or ():
            np.add.at(counts[name], own, part.counts[name])
        np.add.at(bins, own, part.bins)
    ends = np.array(list(places), np.uint64).reshape(-1, 2)
    return LinkCounts(ends, counts, bins, sum(part.uncounted for part in parts))
