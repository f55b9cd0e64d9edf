"""Who holds a collective back: a rank that computes longer, or a link that is slower.

A rank is late when it computes longer than the others: from when it had the result of an iteration
to its first sign in the next one - data, or the credit or notification by which it says that it is
ready. What it waits for meanwhile is no computing. Slow links are looked for in link_speed.py.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_ACK, KIND_CONTROL
from fabricscope.analyzers.collectives.link_speed import TOGETHER, position, slow_link
from fabricscope.analyzers.collectives.operations import Collective

MIN_LATE_PART: Final = 0.05
"""A straggler's lateness is at least this part of what an operation takes without it."""

MIN_LATE_PART_TCP: Final = 0.25
"""Over TCP, where nobody says since when a rank computes, ranks differ by more."""

MIN_LATE_OF_STEP: Final = 0.005
"""What costs less of the time from one iteration to the next holds nobody back."""

MIN_LATE_NS: Final = 20_000
MIN_LATE_SHARE: Final = 0.3
"""It is late in at least this part of the iterations, and in two if there are several."""

NOISE_FACTOR: Final = 3.0


def first_signs(
    events: Events, collective: Collective
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when each rank first showed up in each iteration, and since when it could.

    Both (iterations, ranks), NaN: never, unknown. A sign counts from when the rank had the result
    of the iteration before, which is known over RDMA from the second iteration on.
    """
    segments = collective.segments
    signs = np.full((len(segments), len(events.ranks)), np.nan)
    since = np.full_like(signs, np.nan)
    ready = np.flatnonzero((events.kind == KIND_CONTROL) & events.seen)
    parts = [segment.rows[events.seen[segment.rows]] for segment in segments]
    for rank in range(len(events.ranks)):
        credits = np.sort(events.start_ns[ready[events.src[ready] == rank]])
        before = np.zeros(0, np.int64)
        for number, rows in enumerate(parts):
            data = rows[events.kind[rows] < KIND_CONTROL]
            counted = data if before.size else rows[events.kind[rows] != KIND_ACK]
            shows = events.start_ns[counted[events.src[counted] == rank]]
            if before.size:
                since[number, rank] = events.end_ns[before].max()
                place = int(np.searchsorted(credits, since[number, rank], side="right"))
                shows = np.concatenate((shows, credits[place : place + 1]))
            if shows.size:
                signs[number, rank] = shows.min()
            if events.rdma:
                received = data[events.dst[data] == rank]
                # Behind the tap data may wait in a queue: the rank's ACKs tell when it came.
                acks = rows[(events.kind[rows] == KIND_ACK) & (events.src[rows] == rank)]
                # Who hears nothing has its buffer back when it has sent all.
                before = data[events.src[data] == rank]
                before = np.append(received, acks) if received.size else before
    return signs, since


def _enabled(
    events: Events, collective: Collective, signs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return when each rank had heard, before it first sent, from all that it heard from by then.

    (iterations, ranks); NaN: it heard from nobody. In trees and chains only the first of a branch
    begin by themselves.
    """
    heard = np.full_like(signs, np.nan)
    for number, segment in enumerate(collective.segments):
        rows = segment.rows[events.seen[segment.rows]]
        rows = rows[events.kind[rows] < KIND_CONTROL]
        key = events.dst[rows] * len(events.ranks) + events.src[rows]
        order = np.lexsort((events.end_ns[rows], key))
        first = rows[order[np.flatnonzero(np.diff(key[order], prepend=-1))]]
        receiver, when = events.dst[first], events.end_ns[first]
        sooner = when < signs[number, receiver]
        latest = np.full(signs.shape[1], -np.inf)
        np.maximum.at(latest, receiver[sooner], when[sooner])
        heard[number] = np.where(np.isinf(latest), np.nan, latest)
    return heard


def _permitted(events: Events, since: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return from when on each rank that gives no credits itself had those of all that give it any.

    since: (iterations, ranks); NaN in the result: the rank shows by its own credits when it is
    ready.
    """
    permitted = np.full_like(since, np.nan)
    credits = np.flatnonzero((events.kind == KIND_CONTROL) & events.seen)
    for rank in np.setdiff1d(events.dst[credits], events.src[credits]).tolist():
        for giver in np.unique(events.src[credits[events.dst[credits] == rank]]).tolist():
            own = credits[(events.dst[credits] == rank) & (events.src[credits] == giver)]
            given = np.append(np.sort(events.start_ns[own]), -1)
            first = given[np.searchsorted(given[:-1], since[:, rank], side="right")]
            first = np.where(first < 0, np.nan, first)
            permitted[:, rank] = np.fmax(permitted[:, rank], first)
    return permitted


def _lower_median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row without NaN, of an even count the lower middle; (n, 1)."""
    known: NDArray[np.int64] = np.sum(~np.isnan(values), axis=1, keepdims=True)
    middle = np.take_along_axis(np.sort(values, axis=1), np.maximum(known - 1, 0) // 2, axis=1)
    return np.asarray(middle, np.float64)


def _lateness(events: Events, collective: Collective) -> NDArray[np.float64]:
    """Return by how much each rank shows up later than it would computing as long as the others.

    (iterations, ranks), NaN: it does not show up.
    """
    signs, since = first_signs(events, collective)
    began = np.full((len(signs), 1), np.nan)
    some: NDArray[np.bool_] = np.any(~np.isnan(signs), axis=1)
    began[some, 0] = np.nanmin(signs[some], axis=1)
    since = np.where(np.isnan(since), began, since)
    credited = bool((events.kind == KIND_CONTROL).any())
    if credited and events.rdma:
        heard = _permitted(events, since)
    elif credited or collective.algorithm in TOGETHER:
        heard = np.full_like(signs, np.nan)
    else:
        heard = _enabled(events, collective, signs)
    alone = np.where(np.isnan(heard), signs - since, np.nan)
    usual = _lower_median(
        np.where(np.all(np.isnan(alone), axis=1, keepdims=True), signs - since, alone)
    )
    return np.asarray(signs - np.fmax(since + usual, heard), np.float64)


def late_rank(
    events: Events, collective: Collective, pauses_ns: NDArray[np.int64]
) -> dict[str, Any] | None:
    """Return the rank that computes longest by far, None when no rank does.

    pauses_ns: when pause frames were seen, ascending; a rank that is stopped computes no longer.
    """
    late = _lateness(events, collective)
    known = ~np.isnan(late)
    rows = known.sum(axis=1) >= min(3, late.shape[1])
    if (not events.rdma and collective.algorithm not in TOGETHER) or not rows.any():
        return None
    late = late[rows]
    spans = np.array([(s.start_ns, s.end_ns) for s in collective.segments], np.int64)[rows]
    lengths = (spans[:, 1] - spans[:, 0]).astype(np.float64)
    order = np.sort(np.where(np.isnan(late), -np.inf, late), axis=1)
    last = np.where(np.isnan(late), -np.inf, late).argmax(axis=1)
    margin = order[:, -1] - order[:, -2]
    # What the others differ by among themselves is noise.
    part = MIN_LATE_PART if events.rdma else MIN_LATE_PART_TCP
    least = np.zeros(len(late)) if events.rdma else np.nanmin(late, axis=1)
    noise = float(np.median(np.abs(order[:, -2] - least)))
    without = float(np.median(np.maximum(lengths - margin, 1.0)))
    step_ns = float(np.median(np.diff(spans[:, 0]))) if len(spans) > 1 else 0.0
    is_late = (margin > max(MIN_LATE_NS, MIN_LATE_OF_STEP * step_ns)) & (margin > part * without)
    is_late &= margin > NOISE_FACTOR * min(noise, without)
    is_late &= ~_paused(spans, margin, pauses_ns)
    if not is_late.any():
        return None
    rank = int(np.bincount(last[is_late]).argmax())
    hits = is_late & (last == rank)
    needed = max(MIN_LATE_SHARE * len(late), 2)
    if hits.sum() < needed or hits.sum() < 0.6 * is_late.sum():
        return None
    return {
        "kind": "compute",
        "rank": position(collective, rank),
        "ip": events.ranks[rank],
        "direction": None,
        "late_ms": round(float(np.median(late[hits, rank])) / 1e6, 4),
        "rate_gbps": None,
        "evidence": {
            "late_iterations": int(hits.sum()),
            "iterations": len(late),
            "others_spread_ms": round(noise / 1e6, 4),
            "wait_share": round(float(margin[hits].sum() / lengths.sum()), 3),
        },
    }


def _paused(
    spans: NDArray[np.int64], margin: NDArray[np.float64], pauses_ns: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell in which iterations, or up to as long before as a rank is late, pause frames passed."""
    begins = spans[:, 0] - np.where(np.isfinite(margin), margin, 0).astype(np.int64)
    return np.asarray(
        np.searchsorted(pauses_ns, spans[:, 1]) > np.searchsorted(pauses_ns, begins), np.bool_
    )


def diagnose(
    events: Events, collective: Collective, slowed: set[int], pauses_ns: NDArray[np.int64]
) -> dict[str, Any] | None:
    """Return what holds the collective back in the JSON form of a straggler, None for nothing.

    slowed: senders that CNPs told to slow down; their pace is the network's, not their link's;
    pauses_ns: when pause frames were seen, ascending.
    """
    if collective.operation == "barrier" or len(collective.segments) < 2:
        # What happened once is no habit.
        return None
    late = late_rank(events, collective, pauses_ns)
    slow = slow_link(events, collective)
    if late is not None:
        # What a rank sends next waits for what its slow link still sends or CNPs hold back.
        sender = events.ranks.index(late["ip"])
        held_back = sender in slowed and not bool((events.kind == KIND_CONTROL).any())
        if not held_back and (slow is None or slow["ip"] != late["ip"]):
            return late
    if slow is not None and slow["direction"] == "up" and events.ranks.index(slow["ip"]) in slowed:
        return None
    return slow
