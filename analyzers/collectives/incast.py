"""Incast: several senders at once for one receiver, whose link they must share.

What a spread all-to-all does is none: there every sender has others to send to, and no link more
than its share. Only RDMA messages (SEND, WRITE) are looked at; read responses are not cut into
transfers here.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_text
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.findings.finding import MAX_FRAMES, Finding, host_filter
from fabricscope.analyzers.rdma import layout as rdma
from fabricscope.analyzers.rdma.table import QueuePairs
from fabricscope.analyzers.sketch.quantiles import percentile

MIN_SENDERS: Final = 3
MIN_SENDERS_UNMARKED: Final = 4
"""Without any sign of congestion: trees have three neighbours at most."""

MIN_BYTES: Final = 1_024
"""Smaller messages are credits and notifications; no queue builds up from them."""

RTT_FACTOR: Final = 4.0
MIN_WINDOW_NS: Final = 20_000
MAX_WINDOW_NS: Final = 1_000_000
UNKNOWN_WINDOW_NS: Final = 100_000
"""Senders count as at once within a few round trips: sooner nobody can slow them down."""

MIN_SENDER_PART: Final = 0.05
"""Who has less of the receiver's bytes is no sender of the incast."""

MIN_FOCUS: Final = 0.5
"""Part of what the senders send meanwhile that goes to this one receiver."""

FULL_PART: Final = 0.8
"""Of the rate at which single messages pass: together the senders fill the receiver's link."""

RATE_BYTES: Final = 32_768
"""Messages from this size on tell a link's rate."""

SIGNS: Final = (rdma.EVENT_ECN, rdma.EVENT_NETWORK_LOSS, rdma.EVENT_RECOVERY, rdma.EVENT_CNP)


class _Messages(NamedTuple):
    """RDMA data transfers: sender and receiver by host number, times in ns, bytes, slot of QP."""

    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    size: NDArray[np.float64]
    slot: NDArray[np.int64]

    def of(self, chosen: slice) -> "_Messages":
        return _Messages(
            self.src[chosen],
            self.dst[chosen],
            self.start[chosen],
            self.end[chosen],
            self.size[chosen],
            self.slot[chosen],
        )


class _Blocks(NamedTuple):
    """Rows of messages from one sender to one receiver, which lie together."""

    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    size: NDArray[np.float64]
    hosts: int


def incast_findings(
    channels: NDArray[np.void],
    transfers: NDArray[np.void],
    queue_pairs: QueuePairs,
    captures: Sequence[str] = (),
) -> list[Finding]:
    """Return a finding for each receiver that several senders overload at once.

    captures: the name of the capture of each tap, for the frames.
    """
    src, dst, names = _hosts(channels)
    pairs = np.unique(np.stack((dst, src), axis=1)[channels["qp"] >= 0], axis=0)
    receivers, senders_of = np.unique(pairs[:, 0], return_counts=True)
    receivers = receivers[senders_of >= MIN_SENDERS]
    if receivers.size == 0:
        return []
    over_rdma = channels["qp"][transfers["channel"]] >= 0
    kept = over_rdma & (transfers["kind"] < KIND_CONTROL) & (transfers["bytes"] >= MIN_BYTES)
    rows = np.flatnonzero(kept)
    if rows.size == 0:
        return []
    messages = _messages(channels, transfers, rows, src, dst, len(names))
    window_ns = _window_ns(queue_pairs.queue_pairs, messages.slot)
    line_gbps = _line_rate(messages)
    found_episodes = _episodes(messages, window_ns, len(names))
    blocks = _blocks(messages, len(names))
    findings = []
    for receiver in receivers.tolist():
        episodes = found_episodes.get(receiver)
        if episodes is None:
            continue
        found = _judge(messages, blocks, receiver, episodes, window_ns, line_gbps, queue_pairs)
        if found is not None:
            findings.append(_finding(names[receiver], found, window_ns, line_gbps, captures))
    return findings


def _hosts(channels: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Return sender and receiver of each channel by number, and the addresses of the numbers."""
    ends = np.concatenate(
        (
            np.stack((channels["src_hi"], channels["src_lo"]), axis=1),
            np.stack((channels["dst_hi"], channels["dst_lo"]), axis=1),
        )
    )
    known, host = np.unique(ends, axis=0, return_inverse=True)
    host = host.reshape(-1).astype(np.int64)
    texts = [address_text(hi, lo, infiniband=hi == 0 and lo < 1 << 16) for hi, lo in known.tolist()]
    return host[: len(channels)], host[len(channels) :], texts


def _messages(
    channels: NDArray[np.void],
    transfers: NDArray[np.void],
    rows: NDArray[np.int64],
    src: NDArray[np.int64],
    dst: NDArray[np.int64],
    hosts: int,
) -> _Messages:
    """Return the transfers of `rows` by receiver, then sender, then start."""
    number = transfers["channel"][rows].astype(np.int64)
    start = transfers["start_ns"][rows].astype(np.int64)
    pair = np.unique(dst * hosts + src, return_inverse=True)[1].reshape(-1)
    # Small numbers are sorted by radix, in one pass over what may be a million messages.
    small = pair.astype(np.uint16) if pair.max(initial=0) < 1 << 16 else pair
    order = np.argsort(start, kind="stable")
    order = order[np.argsort(small[number[order]], kind="stable")]
    number, start, rows = number[order], start[order], rows[order]
    return _Messages(
        src[number],
        dst[number],
        start,
        np.maximum(transfers["end_ns"][rows], start + 1),
        transfers["bytes"][rows].astype(np.float64),
        channels["qp"].astype(np.int64)[number],
    )


def _window_ns(qps: NDArray[np.void], slots: NDArray[np.int64]) -> int:
    """Return within which time senders count as at once: four median ACK round trips."""
    own = qps[_distinct(slots, len(qps))]
    own = own[own["ack_rtt"].sum(axis=1) > 0]
    if own.size == 0:
        return UNKNOWN_WINDOW_NS
    typical = float(np.median(percentile(own["ack_rtt"], 0.5)))
    return int(np.clip(RTT_FACTOR * typical, MIN_WINDOW_NS, MAX_WINDOW_NS))


def _blocks(messages: _Messages, hosts: int) -> _Blocks:
    other = np.diff(messages.dst * hosts + messages.src, prepend=-1) != 0
    first = np.flatnonzero(other)
    size = np.add.reduceat(messages.size, first)
    last = np.append(first[1:], len(messages.src))
    return _Blocks(messages.src[first], messages.dst[first], first, last, size, hosts)


def _distinct(slots: NDArray[np.int64], slots_total: int) -> NDArray[np.int64]:
    """Return the slots that occur, ascending."""
    occurs = np.zeros(slots_total, bool)
    occurs[slots] = True
    return np.flatnonzero(occurs)


def _line_rate(messages: _Messages) -> float:
    """Return the rate in Gb/s at which single messages pass, the fastest twentieth left out."""
    large = np.flatnonzero(messages.size >= RATE_BYTES)
    if large.size == 0:
        return 0.0
    lasted_ns = messages.end[large] - messages.start[large]
    return float(np.percentile(messages.size[large] * 8 / lasted_ns, 95))


def _episodes(messages: _Messages, window_ns: int, hosts: int) -> dict[int, NDArray[np.int64]]:
    """Return by receiver the stretches (n, 2) ns in which many senders send within a window.

    All receivers and senders at once: each gets a time span of its own, behind the one before.
    """
    base = int(messages.start.min())
    span = int(messages.end.max()) - base + 2 * window_ns + 2
    other = np.diff(messages.dst * hosts + messages.src, prepend=-1) != 0
    pair = np.cumsum(other) - 1
    if max(int(pair[-1]) + 1, hosts) * span > np.iinfo(np.int64).max:
        return {}  # more than days among thousands of hosts: the spans do not fit behind each other
    shift = pair * span - base
    start = messages.start + shift
    until = np.maximum.accumulate(messages.end + shift + window_ns)
    heads = np.concatenate(([True], start[1:] > until[:-1]))
    tails = np.concatenate((heads[1:], [True]))
    begins = start[heads] - shift[heads] + messages.dst[heads] * span
    finishes = until[tails] - shift[tails] + messages.dst[tails] * span
    times = np.concatenate((begins, finishes))
    change = np.repeat(np.array([1, -1], np.int64), len(begins))
    order = np.argsort(times, kind="stable")
    times, degree = times[order], np.cumsum(change[order])
    many = degree >= MIN_SENDERS
    before = np.concatenate(([False], many[:-1]))
    receivers, begins = np.divmod(times[many & ~before] - base, span)
    finishes = (times[~many & before] - base) % span
    finishes = np.maximum(finishes - window_ns, begins + 1)
    stretches = np.stack((begins, finishes), axis=1) + base
    if receivers.size == 0:
        return {}
    known, first = np.unique(receivers, return_index=True)
    return dict(zip(known.tolist(), np.split(stretches, first[1:]), strict=True))


class _Incast(NamedTuple):
    senders: int
    episodes: int
    time_ns: int
    bytes: float
    rate_gbps: float
    focus: float
    marked: int
    cnps: int
    resent: int
    frames: list[int]
    tap: int


def _inside(messages: _Messages, episodes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how many bytes of each message lie in episodes, as if they flowed evenly."""
    corners = episodes.reshape(-1)
    passed = np.zeros(corners.size)
    passed[1::2] = np.cumsum(episodes[:, 1] - episodes[:, 0])
    passed[2::2] = passed[1:-1:2]
    # Times since the first corner keep nanoseconds exact as floats.
    base = int(corners[0])
    first = np.interp(messages.start - base, corners - base, passed)
    last = np.interp(messages.end - base, corners - base, passed)
    return np.asarray(messages.size * (last - first) / (messages.end - messages.start))


def _focus(
    messages: _Messages,
    blocks: _Blocks,
    receiver: int,
    carried: float,
    is_sender: NDArray[np.bool_],
    episodes: NDArray[np.int64],
) -> float:
    """Return which part of what the senders send in episodes goes to the receiver: `carried`.

    Adding up ends where it is less than MIN_FOCUS for certain.
    """
    total = carried
    others = np.flatnonzero(is_sender[blocks.src] & (blocks.dst != receiver))
    others = others[np.argsort(-blocks.size[others], kind="stable")]
    for first, last in zip(
        blocks.first[others].tolist(), blocks.last[others].tolist(), strict=True
    ):
        if carried < MIN_FOCUS * total:
            break
        total += float(_inside(messages.of(slice(first, last)), episodes).sum())
    return carried / max(total, 1.0)


def _judge(
    messages: _Messages,
    blocks: _Blocks,
    receiver: int,
    episodes: NDArray[np.int64],
    window_ns: int,
    line_gbps: float,
    queue_pairs: QueuePairs,
) -> _Incast | None:
    """Return the receiver's incast, None where its senders have others to send to, or room."""
    first, last = np.searchsorted(messages.dst, (receiver, receiver + 1)).tolist()
    inbound = messages.of(slice(first, last))
    carried = _inside(inbound, episodes)
    total = float(carried.sum())
    if total <= 0:
        return None
    by_sender = np.bincount(inbound.src, carried, minlength=blocks.hosts)
    senders = np.flatnonzero(by_sender >= MIN_SENDER_PART * total)
    if senders.size < MIN_SENDERS:
        return None
    time_ns = int((episodes[:, 1] - episodes[:, 0]).sum())
    is_sender = np.zeros(blocks.hosts, bool)
    is_sender[senders] = True
    qps = queue_pairs.queue_pairs
    slots = _distinct(inbound.slot[is_sender[inbound.src]], len(qps))
    # A CNP travels to the sender, so it is counted at the other direction's queue pair.
    back = qps["paired"][slots].astype(np.int64)
    back = back[back >= 0]
    signs = _signs(queue_pairs, slots, back, episodes, window_ns)
    rate_gbps = total * 8 / max(time_ns, 1)
    full = line_gbps > 0 and rate_gbps >= FULL_PART * line_gbps
    if signs.size == 0 and not (full and senders.size >= MIN_SENDERS_UNMARKED):
        return None
    sent = float(by_sender[senders].sum())
    focus = _focus(messages, blocks, receiver, sent, is_sender, episodes)
    if focus < MIN_FOCUS:
        return None
    tap = int(signs["tap"][0]) if signs.size else -1
    shown = signs[signs["tap"] == tap]
    return _Incast(
        int(senders.size),
        len(episodes),
        time_ns,
        total,
        rate_gbps,
        focus,
        int(qps["ecn_marked"][slots].sum()) if signs.size else 0,
        int(qps["cnps"][back].sum()) if signs.size else 0,
        int(qps["retransmissions"][slots].sum()) if signs.size else 0,
        sorted({int(frame) for frame in shown["frame"].tolist()} - {0})[:MAX_FRAMES],
        tap,
    )


def _signs(
    queue_pairs: QueuePairs,
    slots: NDArray[np.int64],
    back: NDArray[np.int64],
    episodes: NDArray[np.int64],
    window_ns: int,
) -> NDArray[np.void]:
    """Return marks and losses of `slots` and CNPs of `back` in episodes or a window after."""
    wanted = np.zeros((2, len(queue_pairs.queue_pairs)), bool)
    wanted[0, slots], wanted[1, back] = True, True
    kinds = [(queue_pairs.events(kind), kind == rdma.EVENT_CNP) for kind in SIGNS]
    events = np.concatenate([own[wanted[int(cnp), own["qp"]]] for own, cnp in kinds])
    place = np.searchsorted(episodes[:, 0], events["time_ns"], side="right") - 1
    during = (place >= 0) & (events["time_ns"] <= episodes[place, 1] + window_ns)
    own: NDArray[np.void] = events[during]
    return own


def _finding(
    receiver: str, found: _Incast, window_ns: int, line_gbps: float, captures: Sequence[str]
) -> Finding:
    signs = [
        f"{count:,} {name}"
        for count, name in (
            (found.marked, "packets marked CE"),
            (found.cnps, "CNPs"),
            (found.resent, "packets sent again"),
        )
        if count
    ]
    congested = bool(signs)
    told = ", ".join(signs) if congested else "no mark, CNP or loss was seen"
    times = f"{found.episodes:,} times" if found.episodes > 1 else "once"
    return Finding(
        "warning" if congested else "notice",
        "incast",
        receiver,
        f"{found.senders} hosts send to {receiver} at once ({times}, together "
        f"{found.time_ns / 1e6:.3g} ms), {found.bytes / 1e6:.3g} MB at {found.rate_gbps:.3g} Gb/s; "
        f"{told}.",
        "Spread these transfers over time or receivers; check ECN thresholds and buffers of the "
        "receiver's switch port.",
        {
            "senders": found.senders,
            "episodes": found.episodes,
            "time_ms": round(found.time_ns / 1e6, 6),
            "bytes": round(found.bytes),
            "rate_gbps": round(found.rate_gbps, 4),
            "line_gbps": round(line_gbps, 4),
            "focus": round(found.focus, 4),
            "window_us": window_ns / 1e3,
            "ecn_marked": found.marked,
            "cnps": found.cnps,
            "retransmissions": found.resent,
        },
        packets=found.frames,
        capture=captures[found.tap] if 0 <= found.tap < len(captures) else "",
        filter=host_filter(receiver),
        weight=found.bytes,
    )
