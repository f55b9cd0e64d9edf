"""Who holds a collective back: a rank that computes longer, or a link that is slower.

A rank is late when it starts - with data, or with the credit or notification by which it says
that it is ready - after all others have. A link is slow when a message, once begun, takes much
longer on it than elsewhere; ranks that merely wait send their messages at full rate.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_ACK, KIND_CONTROL
from fabricscope.analyzers.collectives.operations import Collective

MIN_LATE_PART: Final = 0.25
"""A straggler's lateness is at least this part of what an operation takes without it."""

MIN_LATE_NS: Final = 20_000
MIN_LATE_SHARE: Final = 0.25
"""It is late in at least this part of the iterations, and in two if there are several."""

NOISE_FACTOR: Final = 3.0
SLOW_FACTOR: Final = 0.6
"""A slow link has less than this part of the median rate of the others."""

OTHER_END: Final = 0.8
"""Who hears from a slow sender looks slow too: a receiver is named only if it is slower still."""


def first_signs(events: Events, collective: Collective) -> NDArray[np.float64]:
    """Return when each rank first showed up in each iteration, (iterations, ranks), NaN: never.

    A sign counts from the end of the iteration before on, as seen from the rank itself.
    """
    count = len(events.ranks)
    signs = np.full((len(collective.segments), count), np.nan)
    shows = np.flatnonzero((events.kind != KIND_ACK) & events.seen)
    src, start = events.src[shows], events.start_ns[shows]
    for rank in range(count):
        own = np.sort(start[src == rank])
        heard = events.dst == rank
        for number, segment in enumerate(collective.segments):
            rows = segment.rows
            sent = rows[(events.src[rows] == rank) & (events.kind[rows] < KIND_CONTROL)]
            if number == 0 or sent.size == 0 or not events.rdma:
                counted = rows[(events.src[rows] == rank) & (events.kind[rows] != KIND_ACK)]
                if counted.size:
                    signs[number, rank] = float(events.start_ns[counted].min())
                continue
            before = collective.segments[number - 1].rows
            mine = before[
                ((events.src[before] == rank) | heard[before])
                & (events.kind[before] < KIND_CONTROL)
            ]
            since = int(events.end_ns[mine].max()) if mine.size else 0
            place = int(np.searchsorted(own, since, side="right"))
            if place < own.size:
                signs[number, rank] = float(own[place])
    return signs


def late_rank(events: Events, collective: Collective) -> dict[str, Any] | None:
    """Return the rank that starts last by far, None when no rank does."""
    ready_signs = bool((events.kind == KIND_CONTROL).any())
    together = collective.algorithm in ("ring", "direct", "halving_doubling")
    if not (ready_signs or (together and not collective.hub >= 0)):
        return None
    signs = first_signs(events, collective)
    known = ~np.isnan(signs)
    if signs.shape[1] < 2 or (known.sum(axis=1) < 2).all():
        return None
    rows = known.sum(axis=1) >= min(3, signs.shape[1])
    if not rows.any():
        return None
    signs = signs[rows]
    spans = np.array([s.end_ns - s.start_ns for s in collective.segments], np.float64)[rows]
    order = np.sort(np.where(np.isnan(signs), -np.inf, signs), axis=1)
    last = np.where(np.isnan(signs), -np.inf, signs).argmax(axis=1)
    lateness = order[:, -1] - order[:, -2]
    # What the others differ by among themselves is noise.
    noise = float(np.median(order[:, -2] - np.nanmin(signs, axis=1)))
    without = np.maximum(spans - lateness, 1.0)
    late = (lateness > MIN_LATE_NS) & (lateness > MIN_LATE_PART * float(np.median(without)))
    late &= lateness > NOISE_FACTOR * min(noise, float(np.median(without)))
    if not late.any():
        return None
    rank = int(np.bincount(last[late]).argmax())
    hits = late & (last == rank)
    needed = max(MIN_LATE_SHARE * len(signs), 2)
    if hits.sum() < needed or hits.sum() < 0.6 * late.sum():
        return None
    middle = np.nanmedian(np.where(np.arange(signs.shape[1]) == rank, np.nan, signs), axis=1)
    late_ms = float(np.median(signs[hits, rank] - middle[hits])) / 1e6
    return {
        "kind": "compute",
        "rank": _position(collective, rank),
        "ip": events.ranks[rank],
        "direction": None,
        "late_ms": round(late_ms, 4),
        "rate_gbps": None,
        "evidence": {
            "late_iterations": int(hits.sum()),
            "iterations": len(signs),
            "others_spread_ms": round(noise / 1e6, 4),
            "wait_share": round(float(lateness[hits].sum() / spans.sum()), 3),
        },
    }


def _position(collective: Collective, rank: int) -> int:
    return collective.order.index(rank) if rank in collective.order else rank


def _rates(events: Events, collective: Collective, ends: NDArray[np.int64]) -> dict[int, float]:
    """Return the rate in Gb/s of messages under way, by host at that end (sender or receiver)."""
    rows = np.concatenate([segment.rows for segment in collective.segments])
    rows = rows[(events.kind[rows] < KIND_CONTROL)]
    # Of the channels of a host those under way at once share its link: take their union.
    rates: dict[int, float] = {}
    for host in np.unique(ends[rows]).tolist():
        own = rows[ends[rows] == host]
        own = own[events.end_ns[own] > events.start_ns[own]]
        own = own[np.argsort(events.start_ns[own], kind="stable")]
        if own.size == 0:
            continue
        until = np.maximum.accumulate(events.end_ns[own])
        heads = np.concatenate(([True], events.start_ns[own[1:]] > until[:-1]))
        first = np.flatnonzero(heads)
        busy = until[np.concatenate((first[1:], [own.size])) - 1] - events.start_ns[own[first]]
        carried = np.add.reduceat(events.bytes[own], first).astype(np.float64)
        # The clock starts at the first packet's end: its bytes are not of the time measured.
        head = own[first]
        carried -= events.bytes[head] / np.maximum(events.packets[head], 1)
        # The median by bytes: a few messages that wait for a repetition tell nothing of the link.
        rate = carried * 8 / np.maximum(busy, 1)
        order = np.argsort(rate)
        half = np.searchsorted(np.cumsum(carried[order]), carried.sum() / 2)
        rates[host] = float(rate[order][half])
    return rates


def slow_link(events: Events, collective: Collective) -> dict[str, Any] | None:
    """Return the host and direction whose messages crawl, None when none do."""
    worst: tuple[float, int, str, float, float] | None = None
    # A sender that feeds several children at once gives each a part of its rate.
    branches = 1
    if collective.algorithm == "tree":
        branches = int((collective.segments[0].matrix > 0).sum(axis=1).max())
    for direction, ends in (("up", events.src), ("down", events.dst)):
        rates = _rates(events, collective, ends)
        if len(rates) < 2:
            continue
        for host, rate in rates.items():
            others = float(np.median([r for h, r in rates.items() if h != host]))
            ratio = rate / max(others, 1e-9)
            better = (
                1.0 if worst is None else (0.98 if worst[2] == direction else OTHER_END) * worst[0]
            )
            if ratio < SLOW_FACTOR / branches and ratio < better:
                worst = (ratio, host, direction, rate, others)
    if worst is None:
        return None
    ratio, host, direction, rate, others = worst
    return {
        "kind": "link",
        "rank": _position(collective, host),
        "ip": events.ranks[host],
        "direction": direction,
        "late_ms": None,
        "rate_gbps": round(rate, 4),
        "evidence": {
            "others_gbps": round(others, 4),
            "ratio": round(ratio, 3),
            "iterations": len(collective.segments),
        },
    }


def diagnose(events: Events, collective: Collective, slowed: set[int]) -> dict[str, Any] | None:
    """Return what holds the collective back in the JSON form of a straggler, None for nothing.

    slowed: senders that CNPs told to slow down; their pace is the network's, not their link's.
    """
    if collective.operation == "barrier" or len(collective.segments) < 2:
        # What happened once is no habit.
        return None
    late = late_rank(events, collective)
    if late is not None:
        return late
    slow = slow_link(events, collective)
    if slow is not None and slow["direction"] == "up" and events.ranks.index(slow["ip"]) in slowed:
        return None
    return slow
