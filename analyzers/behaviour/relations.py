"""What flows are to one another: repetitions, relays, fruitless attempts, common hosts.

Arrays in, arrays out; a flow is a row of `layout.FEATURE_DTYPE`. Work grows as n log n. Hosts are
told apart by their addresses, flows of the same two hosts by size and time alone.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SAME_SHAPE: Final = 1.05
"""Ratio of payloads up to which two exchanges of the same hosts are repetitions: answers of one
kind differ by a few numbers in their text."""
SAME_OBJECT: Final = 1.25
"""The same for transfers from or to one server: shards and checkpoints vary more."""
RELAY_EQUAL: Final = 1.15
RELAY_UNLIKE: Final = 1.6
"""What a rank receives and passes on is equal but for tails: up to the first ratio it is taken as
equal, from the second on as unrelated."""
ALONE: Final = 0.2
TOGETHER: Final = 0.7
"""Share of the time of either in which both are active: below the first they have nothing to do
with one another, from the second on they act together."""
RELAY_BYTES: Final = 16_384
RELAY_CANDIDATES: Final = 16  # nearest volumes looked at on either side
TRANSFER_BYTES: Final = 32_768
FRUITLESS_PACKETS: Final = 6

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Relations(NamedTuple):
    """One entry a flow in every array.

    a_host, b_host: numbers of the hosts. repeats: flows of the same two hosts, opened from the
    same side, with the same payload, itself included; repeat_interval_s: median time between their
    starts; repeat_steady: share of those times within half and twice the median; object_repeats:
    transfers of like size in the same direction with the same server; readers: distinct hosts
    among them; slowdown: its duration over the median of theirs, 1 without two others;
    relay: 0 to 1, how well what one end receives equals what it sends to a third
    host; exchange: 0 to 1, the smaller over the larger volume that the two hosts sent each other,
    as far as at the same time; fruitless: like attempts of the same source, 0 for a flow that was
    answered; fruitless_share: of the flows that this source opened.
    """

    a_host: Ints
    b_host: Ints
    repeats: Ints
    repeat_interval_s: Floats
    repeat_steady: Floats
    object_repeats: Ints
    readers: Ints
    slowdown: Floats
    relay: Floats
    exchange: Floats
    fruitless: Ints
    fruitless_share: Floats


def relate(features: NDArray[np.void]) -> Relations:
    """Compare all flows with one another."""
    a_host, b_host = number_hosts(features)
    hosts = int(max(a_host.max(initial=0), b_host.max(initial=0))) + 1
    payload = features["a_payload_bytes"] + features["b_payload_bytes"]
    download = (features["b_payload_bytes"] > features["a_payload_bytes"]).astype(np.int64)

    pair = a_host * hosts + b_host
    alike = _clusters(2 * pair + download, payload, SAME_SHAPE)
    repeats, interval_s, steady = _rhythm(alike, features["start_ns"])

    transfer = payload >= TRANSFER_BYTES
    objects = _clusters(2 * b_host + download, np.where(transfer, payload, 0), SAME_OBJECT)
    object_repeats = np.where(transfer, np.bincount(objects)[objects], 0)
    readers = np.where(transfer, _distinct(objects, a_host)[objects], 0)

    fruitless, share = _fruitless(features, a_host, b_host)
    return Relations(
        a_host,
        b_host,
        repeats,
        interval_s,
        steady,
        object_repeats.astype(np.int64),
        readers.astype(np.int64),
        np.where(object_repeats >= 3, _slowdown(objects, features), 1.0),
        *_relay_and_exchange(features, a_host, b_host),
        fruitless,
        share,
    )


def number_hosts(features: NDArray[np.void]) -> tuple[Ints, Ints]:
    """Return a number for each host, equal where the address is equal: (of a, of b)."""
    count = len(features)
    addresses = np.empty((2 * count, 2), np.uint64)
    addresses[:count, 0], addresses[:count, 1] = features["a_hi"], features["a_lo"]
    addresses[count:, 0], addresses[count:, 1] = features["b_hi"], features["b_lo"]
    _, numbers = np.unique(addresses, axis=0, return_inverse=True)
    numbers = numbers.reshape(-1).astype(np.int64)
    return numbers[:count], numbers[count:]


def _clusters(group: Ints, size: Ints, ratio: float) -> Ints:
    """Return each row's cluster: those of its `group` in steps of at most `ratio` in size."""
    order = np.lexsort((size, group))
    logs = np.log(np.maximum(size[order], 1))
    apart = np.ones(len(order), bool)
    apart[1:] = (np.diff(group[order]) != 0) | (np.diff(logs) > np.log(ratio))
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(apart) - 1
    return numbers


def _median_by(cluster: Ints, values: Floats, clusters: int) -> Floats:
    """Return the upper median of the values of each cluster, 0 where it has none."""
    order = np.lexsort((values, cluster))
    counts = np.bincount(cluster, minlength=clusters)
    have = counts > 0
    medians = np.zeros(clusters)
    medians[have] = values[order][(np.cumsum(counts) - counts + counts // 2)[have]]
    return medians


def _slowdown(cluster: Ints, features: NDArray[np.void]) -> Floats:
    length = (features["data_end_ns"] - features["data_start_ns"]).astype(np.float64)
    medians = _median_by(cluster, length, int(cluster.max(initial=0)) + 1)
    return np.asarray(length / np.maximum(medians[cluster], 1), np.float64)


def _rhythm(cluster: Ints, start_ns: Ints) -> tuple[Ints, Floats, Floats]:
    """Return members, median interval (s) and steadiness of each row's cluster."""
    counts = np.bincount(cluster)
    order = np.lexsort((start_ns, cluster))
    inner = np.diff(cluster[order]) == 0
    interval = np.diff(start_ns[order])[inner].astype(np.float64)
    owner = cluster[order][1:][inner]
    intervals = np.bincount(owner, minlength=len(counts))
    have = intervals > 0
    median = _median_by(owner, interval, len(counts))
    inside = (interval >= median[owner] / 2) & (interval <= median[owner] * 2)
    within = np.bincount(owner, weights=inside, minlength=len(counts))
    steady = np.divide(within, intervals, out=np.zeros(len(counts)), where=have)
    return counts[cluster].astype(np.int64), (median / 1e9)[cluster], steady[cluster]


def _distinct(cluster: Ints, host: Ints) -> Ints:
    """Return the number of distinct hosts by cluster."""
    pairs = np.unique(np.stack([cluster, host], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=int(cluster.max(initial=0)) + 1)


def _fruitless(features: NDArray[np.void], a_host: Ints, b_host: Ints) -> tuple[Ints, Floats]:
    """Return attempts without an answer worth the name by source, and their share of its flows.

    Requests that nobody answers are attempts once a target: a server that is away is no scan.
    """
    packets = features["a_packets"] + features["b_packets"]
    vain = (features["b_payload_bytes"] == 0) & (packets <= FRUITLESS_PACKETS)
    asks = vain & (features["a_payload_bytes"] > 0)
    total = np.bincount(a_host)
    bare = np.bincount(a_host, weights=vain & ~asks, minlength=len(total)).astype(np.int64)
    targets = np.unique(np.stack([a_host[asks], b_host[asks]], axis=1), axis=0)[:, 0]
    attempts = bare + np.bincount(targets, minlength=len(total))
    share = np.bincount(a_host, weights=vain, minlength=len(total)) / np.maximum(total, 1)
    return np.where(vain, attempts[a_host], 0), np.where(vain, share[a_host], 0.0)


class _Edges(NamedTuple):
    """Payload that went from one host to another, all flows together."""

    src: Ints
    dst: Ints
    bytes: Floats
    start_ns: Ints
    end_ns: Ints


def _relay_and_exchange(
    features: NDArray[np.void], a_host: Ints, b_host: Ints
) -> tuple[Floats, Floats]:
    """Return `Relations.relay` and `.exchange` of each flow, of its better direction."""
    relay, exchange = np.zeros(len(features)), np.zeros(len(features))
    hosts = int(max(a_host.max(initial=0), b_host.max(initial=0))) + 1
    sent = [features["a_payload_bytes"], features["b_payload_bytes"]]
    rows = [np.flatnonzero(size >= RELAY_BYTES) for size in sent]
    key = np.concatenate([a_host[rows[0]] * hosts + b_host[rows[0]],
                          b_host[rows[1]] * hosts + a_host[rows[1]]])  # fmt: skip
    if not key.size:
        return relay, exchange
    flow = np.concatenate(rows)
    size = np.concatenate([sent[0][rows[0]], sent[1][rows[1]]]).astype(np.float64)
    edge_keys, edge = np.unique(key, return_inverse=True)
    total = np.bincount(edge, weights=size).astype(np.float64)
    start = np.full(len(edge_keys), np.iinfo(np.int64).max)
    end = np.full(len(edge_keys), np.iinfo(np.int64).min)
    np.minimum.at(start, edge, features["data_start_ns"][flow])
    np.maximum.at(end, edge, features["data_end_ns"][flow])
    forward = _Edges(edge_keys // hosts, edge_keys % hosts, total, start, end)
    backward = _Edges(forward.dst, forward.src, total, start, end)
    # One end that passes on may be a proxy; that both do is a ring.
    passed = _passed_on(forward)
    received = _passed_on(backward)
    score = 0.6 * np.maximum(passed, received) + 0.4 * np.minimum(passed, received)
    np.maximum.at(relay, flow, score[edge])
    np.maximum.at(exchange, flow, _exchanged(forward, edge_keys, hosts)[edge])
    return relay, exchange


def _exchanged(edges: _Edges, keys: Ints, hosts: int) -> Floats:
    """Return, for each edge s to d, how equal the edge d to s is; `keys` are s * hosts + d."""
    wanted = edges.dst * hosts + edges.src
    back = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    larger = np.maximum(edges.bytes, edges.bytes[back])
    equal = np.minimum(edges.bytes, edges.bytes[back]) / larger
    return np.where(keys[back] == wanted, equal * _together(edges, edges, back), 0)


def _passed_on(edges: _Edges) -> Floats:
    """Return, for each edge s to d, how well some edge d to x (x other than s) repeats it."""
    order = np.lexsort((edges.bytes, edges.src))
    src, dst = edges.src[order], edges.dst[order]
    ordered = _Edges(src, dst, edges.bytes[order], edges.start_ns[order], edges.end_ns[order])
    logs = np.log(ordered.bytes)
    # Sources are far apart on this axis, so that one search finds source and volume.
    axis = src * 100.0 + logs
    at = np.searchsorted(axis, edges.dst * 100.0 + np.log(edges.bytes))
    best = np.zeros(len(src))
    for step in range(-RELAY_CANDIDATES, RELAY_CANDIDATES):
        other = np.clip(at + step, 0, len(src) - 1)
        fits = (src[other] == edges.dst) & (dst[other] != edges.src)
        apart = np.abs(logs[other] - np.log(edges.bytes))
        alike = (np.log(RELAY_UNLIKE) - apart) / (np.log(RELAY_UNLIKE) - np.log(RELAY_EQUAL))
        together = _together(edges, ordered, other)
        best = np.maximum(best, np.where(fits, np.clip(alike, 0, 1) * together, 0))
    return best


def _together(edges: _Edges, others: _Edges, place: Ints) -> Floats:
    """Return how far each edge is active at the time of the one at `place` in `others`, 0 to 1."""
    start, end = others.start_ns[place], others.end_ns[place]
    both = np.minimum(end, edges.end_ns) - np.maximum(start, edges.start_ns)
    either = np.maximum(end, edges.end_ns) - np.minimum(start, edges.start_ns)
    overlap = np.clip(both / np.maximum(either, 1), 0, 1)
    return np.asarray(np.clip((overlap - ALONE) / (TOGETHER - ALONE), 0, 1), np.float64)
