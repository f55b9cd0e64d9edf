"""A link that is slower than the others, seen in the rate at which messages pass once begun.

Ranks that merely wait send their messages at full rate. Loss, pauses and waiting slow some of a
host's messages down, a slow link all of them; so a host's rate is that of its best messages.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.operations import Collective
from fabricscope.analyzers.collectives.segments import Segment
from fabricscope.analyzers.collectives.timing import edge_rows, received_at

SLOW_FACTOR: Final = 0.6
"""A slow link has less than this part of the median rate of the others."""

BEST_PART: Final = 0.9
"""A host's rate is the quantile of its messages' rates, by bytes, of this part."""

STALLED_FACTOR: Final = 3.0
"""Messages that take longer a byte, by this factor, than the host's median one are left out."""

MIN_TRAIN: Final = 4
"""Messages of a packet each that a host sends one behind the other tell a rate from this many."""

TOGETHER: Final = ("ring", "direct", "halving_doubling")
"""Algorithms in which all ranks begin by themselves."""

EVEN_FACTOR: Final = 1.5

BEHIND_PART: Final = 0.4
MAX_FOLLOWED: Final = 256
"""Iterations in which a TCP sender's pauses are looked at."""

Rates = dict[int, float]


def position(collective: Collective, rank: int) -> int:
    """Return a rank's place in the order of the collective."""
    return collective.order.index(rank) if rank in collective.order else rank


def _best(rates: NDArray[np.float64], sizes: NDArray[np.float64]) -> float:
    order = np.argsort(rates)
    place = np.searchsorted(np.cumsum(sizes[order]), BEST_PART * sizes.sum())
    return float(rates[order][min(int(place), rates.size - 1)])


def _passed_ns(events: Events, collective: Collective) -> NDArray[np.int64]:
    """Return when each message had passed; (events,) ns.

    Repetitions take time that tells nothing of the link. Over TCP a message ends where its sender
    pauses; but a rank of a ring that has received as much as it has sent has something to send.
    Where it pauses so for most of the time, the pauses are its link's.
    """
    passed_ns = events.end_ns if events.passed_ns is None else events.passed_ns
    used = collective.segments[0].matrix > 0
    if events.rdma or not ((used.sum(axis=0) == 1).all() and (used.sum(axis=1) == 1).all()):
        return passed_ns
    again_ns = passed_ns.copy()
    followers, leaders = used.argmax(axis=1).tolist(), used.argmax(axis=0).tolist()
    for rank, (follower, leader) in enumerate(zip(followers, leaders, strict=True)):
        behind_ns = total_ns = 0
        paused = [np.zeros(0, np.int64)]
        until = [np.zeros(0, np.int64)]
        for segment in collective.segments[-MAX_FOLLOWED:]:
            sent = edge_rows(events, segment, rank, follower)
            heard = edge_rows(events, segment, leader, rank)
            pauses = events.start_ns[sent[1:]] - passed_ns[sent[:-1]]
            level = received_at(events, heard, passed_ns[sent[:-1]])
            behind = (pauses > 0) & (level >= np.cumsum(events.bytes[sent[:-1]]))
            paused.append(sent[:-1][behind])
            until.append(events.start_ns[sent[1:]][behind])
            behind_ns += int(pauses[behind].sum())
            total_ns += segment.end_ns - segment.start_ns
        if behind_ns > BEHIND_PART * total_ns:
            again_ns[np.concatenate(paused)] = np.concatenate(until)
    return again_ns


def _rates(
    events: Events,
    passed_ns: NDArray[np.int64],
    rows: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> Rates:
    """Return the rate in Gb/s of messages under way, by host at that end (sender or receiver)."""
    rows = rows[passed_ns[rows] > events.start_ns[rows]]
    # Of the channels of a host those under way at once share its link: take their union.
    rates: Rates = {}
    for host in np.unique(ends[rows]).tolist():
        own = rows[ends[rows] == host]
        # One that waits for a repetition would take in all that passes meanwhile.
        pace = (passed_ns[own] - events.start_ns[own]) / events.bytes[own]
        own = own[pace <= STALLED_FACTOR * np.median(pace)]
        own = own[np.argsort(events.start_ns[own], kind="stable")]
        until = np.maximum.accumulate(passed_ns[own])
        heads = np.concatenate(([True], events.start_ns[own[1:]] > until[:-1]))
        first = np.flatnonzero(heads)
        busy = until[np.concatenate((first[1:], [own.size])) - 1] - events.start_ns[own[first]]
        carried = np.add.reduceat(events.bytes[own], first).astype(np.float64)
        # The clock starts at the first packet's end: its bytes are not of the time measured.
        head = own[first]
        carried -= events.bytes[head] / np.maximum(events.packets[head], 1)
        rates[host] = _best(carried * 8 / np.maximum(busy, 1), carried)
    return rates


def _train_rates(events: Events, collective: Collective) -> tuple[Rates, set[int]]:
    """Return the rate in Gb/s of messages of a packet each, by sender, and whose it is for sure.

    Only those count that wait for nothing: in a direct exchange all, where each rank begins by
    itself the first of each channel. What leaves back to back is evenly spaced; else something else
    was sent in between, and the rate is one at least.
    """
    if collective.algorithm not in TOGETHER:
        return {}, set()
    found: dict[int, list[tuple[float, float, bool]]] = {}
    for segment in collective.segments:
        for host, rows in _trains(events, segment, collective.algorithm == "direct"):
            gaps = np.diff(events.start_ns[rows])
            carried = float(events.bytes[rows[1:]].sum())
            even = bool(gaps.max() <= EVEN_FACTOR * gaps.min())
            found.setdefault(host, []).append((carried * 8 / max(gaps.sum(), 1), carried, even))
    known = {host: np.array(own, np.float64).T for host, own in found.items() if len(own) > 1}
    rates = {host: _best(own[0], own[1]) for host, own in known.items()}
    return rates, {host for host, own in known.items() if own[2].mean() > BEST_PART}


def _trains(
    events: Events, segment: Segment, all_at_once: bool
) -> list[tuple[int, NDArray[np.int64]]]:
    """Return the senders that send enough messages unasked, with the rows of these."""
    rows = segment.rows[events.seen[segment.rows]]
    rows = rows[events.kind[rows] < KIND_CONTROL]
    trains = []
    for host in np.unique(events.src[rows]).tolist():
        own = rows[events.src[rows] == host]
        own = own[np.argsort(events.start_ns[own], kind="stable")]
        if not all_at_once:
            own = np.sort(own[np.unique(events.channel[own], return_index=True)[1]])
        if own.size >= MIN_TRAIN:
            trains.append((host, own))
    return trains


def _slow(rates: Rates, factor: float) -> dict[int, tuple[float, float]]:
    """Return the ratio to the others' median, and that median, of the hosts that are slow."""
    slow = {}
    for host, rate in rates.items():
        others = float(np.median([r for h, r in rates.items() if h != host] or [rate]))
        if rate < factor * others:
            slow[host] = (rate / others, others)
    return slow


def slow_link(events: Events, collective: Collective) -> dict[str, Any] | None:
    """Return the host and direction whose messages crawl, None when none do."""
    rows = np.concatenate([segment.rows for segment in collective.segments])
    rows = rows[(events.kind[rows] < KIND_CONTROL)]
    passed_ns = _passed_ns(events, collective)
    sent = _rates(events, passed_ns, rows, events.src)
    if len(sent) < 2:
        sent, sure = _train_rates(events, collective)
        senders = {host: found for host, found in _slow(sent, SLOW_FACTOR).items() if host in sure}
    else:
        senders = _slow(sent, SLOW_FACTOR)
    # A sender that feeds several children at once gives each a part of its rate.
    used = collective.segments[0].matrix > 0
    branches = int(used.sum(axis=1).max()) if collective.algorithm == "tree" else 1
    # Several senders at once are faster than one.
    most = float(np.median(list(sent.values()) or [0.0]))
    received = {
        host: min(r, most) for host, r in _rates(events, passed_ns, rows, events.dst).items()
    }
    receivers = _slow(received, SLOW_FACTOR / branches)
    heard = {host: set(np.flatnonzero(used[:, host]).tolist()) for host in receivers}
    # What is slow at a receiver because its senders are is theirs; where several that send to it
    # alone are slow it is the receiver's.
    receivers = {
        host: found
        for host, found in receivers.items()
        if not heard[host] & set(senders)
        or (len(heard[host]) > 1 and heard[host] <= set(senders) and _only_to(used, heard[host]))
    }
    direction, rates, slow = ("down", received, receivers) if receivers else ("up", sent, senders)
    if not slow:
        return None
    host = min(slow, key=lambda one: slow[one][0])
    ratio, others = slow[host]
    return {
        "kind": "link",
        "rank": position(collective, host),
        "ip": events.ranks[host],
        "direction": direction,
        "late_ms": None,
        "rate_gbps": round(rates[host], 4),
        "evidence": {
            "others_gbps": round(others, 4),
            "ratio": round(ratio, 3),
            "iterations": len(collective.segments),
        },
    }


def _only_to(used: NDArray[np.bool_], senders: set[int]) -> bool:
    """Tell whether each of some senders sends to one host only."""
    return bool((used[sorted(senders)].sum(axis=1) == 1).all())
