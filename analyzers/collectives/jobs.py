"""Groups of hosts that may be the ranks of a job, and their events in order of time."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_text
from fabricscope.analyzers.collectives.answers import answered_rows
from fabricscope.analyzers.collectives.layout import (
    CREDIT_BYTES,
    KIND_ACK,
    KIND_CONTROL,
    KIND_IMMEDIATE,
)
from fabricscope.analyzers.sketch.quantiles import percentile

MIN_TCP_BYTES: Final = 4_096
"""A TCP connection that carried less in one direction moved no tensors."""

MIN_RDMA_BYTES: Final = 1_024
"""Where messages of this size are seen, those as small as a credit carry no tensors."""

DELAY_PART: Final = 0.7
"""Of the shortest ACK round trip beyond the tap: nothing is passed on before it is acknowledged."""

SLACK_PACKETS: Final = 2.5
"""Packets that the mirror missed at the edge of a window count for its neighbour."""

MERGED_FACTOR: Final = 2.2
"""Two messages that look like one and take less than so many did follow each other at once."""

MAX_RANKS: Final = 1_024


@dataclass(frozen=True)
class Events:
    """What a group of hosts sent, in order of start.

    ranks: texts of the addresses; start_ns, end_ns, bytes, packets (captured), src, dst (indexes
    into ranks), channel, kind: arrays of one length. rdma: whether these are RDMA messages;
    slack_bytes: what a window may miss of an edge as the mirror lost packets; lost: the part of
    packets it lost; lane: the queue pair's number at the receiver, 0 over TCP. delay_ns: what
    passes at least between a message at the tap and the one that was waiting for it. whole:
    transfers are single messages.
    answered: the row of the data that an acknowledgement was for, -1 unknown or no ACK; passed_ns:
    end_ns without repetitions, which the receiver may not have needed.
    """

    ranks: list[str]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    bytes: NDArray[np.int64]
    packets: NDArray[np.int64]
    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    channel: NDArray[np.int64]
    kind: NDArray[np.uint8]
    rdma: bool
    lane: NDArray[np.int64]
    slack_bytes: float = 0.0
    lost: float = 0.0
    delay_ns: float = 0.0
    whole: bool = True
    answered: NDArray[np.int64] | None = None
    passed_ns: NDArray[np.int64] | None = None

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Tell what has times of its own: of what the mirror missed only the bytes are known."""
        return self.end_ns >= self.start_ns

    def matrix(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return data bytes by sender and receiver of events `start` to `stop`, (n, n)."""
        return self.matrix_of(np.arange(start, stop))

    def matrix_of(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return data bytes by sender and receiver of event rows, (n, n)."""
        count = len(self.ranks)
        weights = np.where(self.kind[rows] >= KIND_CONTROL, 0, self.bytes[rows])
        flat = np.bincount(self.src[rows] * count + self.dst[rows], weights, count * count)
        return flat.astype(np.float64).reshape(count, count)


def _hosts(channels: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Return source and destination host number of each channel, and the hosts' addresses."""
    ends = np.concatenate(
        (
            np.stack((channels["src_hi"], channels["src_lo"]), axis=1),
            np.stack((channels["dst_hi"], channels["dst_lo"]), axis=1),
        )
    )
    known, numbers = np.unique(ends, axis=0, return_inverse=True)
    numbers = numbers.reshape(-1).astype(np.int64)
    infiniband = (known[:, 0] == 0) & (known[:, 1] < 1 << 16)
    texts = [
        address_text(int(hi), int(lo), infiniband=bool(lid))
        for (hi, lo), lid in zip(known.tolist(), infiniband.tolist(), strict=True)
    ]
    return numbers[: len(channels)], numbers[len(channels) :], texts


def _short_lived(
    channels: NDArray[np.void],
    src: NDArray[np.int64],
    dst: NDArray[np.int64],
    spans: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Tell the channels of client and server: connections to one port, one after the other.

    Ranks keep their connections for the whole job; parallel ones overlap.
    """
    low, high = np.minimum(src, dst), np.maximum(src, dst)
    serial = np.zeros(len(channels), bool)
    pairs: dict[tuple[int, int, int], list[int]] = {}
    for number in np.flatnonzero((channels["qp"] < 0) & (spans[:, 1] > 0)).tolist():
        for port in (int(channels["src_port"][number]), int(channels["dst_port"][number])):
            pairs.setdefault((int(low[number]), int(high[number]), port), []).append(number)
    for members in pairs.values():
        connections: dict[tuple[int, int], list[int]] = {}
        for number in members:
            ports = sorted((int(channels["src_port"][number]), int(channels["dst_port"][number])))
            connections.setdefault((ports[0], ports[1]), []).append(number)
        if len(connections) < 2:
            continue
        lives = sorted(
            (min(int(spans[k, 0]) for k in both), max(int(spans[k, 1]) for k in both))
            for both in connections.values()
        )
        overlaps = sum(later[0] < earlier[1] for earlier, later in pairwise(lives))
        if 2 * overlaps < len(lives) - 1:
            serial[members] = True
    return serial


def _groups(edges: NDArray[np.int64]) -> list[list[int]]:
    """Return the connected components of host pairs (n, 2)."""
    parent: dict[int, int] = {}

    def root(host: int) -> int:
        while parent.setdefault(host, host) != host:
            parent[host] = parent[parent[host]]
            host = parent[host]
        return host

    for one, other in edges.tolist():
        parent[root(one)] = root(other)
    members: dict[int, list[int]] = {}
    for host in sorted(parent):
        members.setdefault(root(host), []).append(host)
    return list(members.values())


@dataclass(frozen=True)
class Traffic:
    """Channels sorted out: candidates for jobs, and what clients and servers do beside them."""

    groups: list[Events]
    io: NDArray[np.void]  # transfers of short-lived connections
    io_src: list[str]
    io_dst: list[str]


def sort_out(
    channels: NDArray[np.void],
    transfers: NDArray[np.void],
    qps: NDArray[np.void],
    joined: bool,
) -> Traffic:
    """Split transfers into groups of hosts that exchange data, RDMA and TCP apart.

    qps: the queue pairs' QP_DTYPE records by slot; joined: the list of transfers was compacted.
    """
    src, dst, texts = _hosts(channels)
    number = transfers["channel"].astype(np.int64)
    data = transfers["kind"] < KIND_CONTROL
    size = np.bincount(number[data], transfers["bytes"][data], len(channels))
    spans = np.zeros((len(channels), 2), np.int64)
    spans[:, 0] = np.iinfo(np.int64).max
    np.minimum.at(spans[:, 0], number, transfers["start_ns"])
    np.maximum.at(spans[:, 1], number, transfers["end_ns"])
    serial = _short_lived(channels, src, dst, spans)
    rdma = channels["qp"] >= 0
    immediate = np.zeros(len(channels), bool)
    immediate[number[transfers["kind"] == KIND_IMMEDIATE]] = True
    groups: list[Events] = []
    for over_rdma in (True, False):
        kind = rdma == over_rdma
        tensors = immediate & (size > 0) if over_rdma else ~serial & (size >= MIN_TCP_BYTES)
        carries = kind & tensors
        for hosts in _groups(np.stack((src, dst), axis=1)[carries]):
            if not 2 <= len(hosts) <= MAX_RANKS:
                continue
            inside = kind & ~serial & np.isin(src, hosts) & np.isin(dst, hosts)
            own = transfers[inside[number]]
            groups.append(
                _events(channels, own, hosts, src, dst, texts, over_rdma, qps, carries, joined)
            )
    io = serial[number]
    return Traffic(
        groups,
        transfers[io],
        [texts[k] for k in src[number[io]].tolist()],
        [texts[k] for k in dst[number[io]].tolist()],
    )


def _events(
    channels: NDArray[np.void],
    transfers: NDArray[np.void],
    hosts: list[int],
    src: NDArray[np.int64],
    dst: NDArray[np.int64],
    texts: list[str],
    rdma: bool,
    qps: NDArray[np.void],
    carries: NDArray[np.bool_],
    joined: bool,
) -> Events:
    """Return the events of a group; of acknowledgements only those for data."""
    local = np.full(len(texts), -1, np.int64)
    local[hosts] = np.arange(len(hosts))
    if rdma:
        slots = channels["qp"].astype(np.int64)
        paired = qps["paired"].astype(np.int64)
        with_data = np.zeros(len(paired) + 1, bool)
        with_data[slots[carries]] = True
        answers = with_data[paired[slots]] & (paired[slots] >= 0)
        number = transfers["channel"].astype(np.int64)
        kind = transfers["kind"]
        # A message of a data channel is data even where what marked it was missed.
        keep = np.where(kind == KIND_ACK, answers[number], carries[number] | (kind == KIND_CONTROL))
        transfers = transfers[keep].copy()
        # A barrier's bytes beside tensors would only blur where an operation begins.
        size = transfers["bytes"]
        if size.max(initial=0) >= MIN_RDMA_BYTES:
            transfers["kind"][(transfers["kind"] < KIND_CONTROL) & (size <= CREDIT_BYTES)] = (
                KIND_CONTROL
            )
        if not joined:
            transfers = _part_merged(transfers, channels)
        # Of what passed only when it was sent again nobody knows when it was sent first.
        late = (transfers["kind"] < KIND_CONTROL) & (transfers["packets"] == 0)
        late &= transfers["end_ns"] >= transfers["start_ns"]
        for name in ("start_ns", "passed_ns"):
            transfers[name][late] = transfers["end_ns"][late]
    transfers = transfers[np.argsort(transfers["start_ns"], kind="stable")]
    number = transfers["channel"].astype(np.int64)
    used = channels[np.unique(number)]
    answered, unseen = None, 0
    if rdma and not joined:
        answered, unseen = answered_rows(transfers, channels, qps)
    missed = int(used["lost"].sum()) + unseen
    lost = float(missed / max(missed + int(used["packets"].sum()), 1))
    slack = SLACK_PACKETS * float(used["full"].max(initial=0)) if rdma and lost > 0 else 0.0
    return Events(
        [texts[k] for k in hosts],
        transfers["start_ns"].copy(),
        transfers["end_ns"].copy(),
        transfers["bytes"].copy(),
        transfers["packets"].astype(np.int64),
        local[src[number]],
        local[dst[number]],
        number,
        transfers["kind"].copy(),
        rdma,
        qps["dest_qp"][channels["qp"][number]].astype(np.int64) if rdma else np.zeros_like(number),
        slack,
        lost if rdma else 0.0,
        DELAY_PART * round_trip_ns(channels[np.unique(number)], qps)[0] if rdma else 0.0,
        rdma and not joined,
        answered,
        transfers["passed_ns"].copy(),
    )


def _part_merged(transfers: NDArray[np.void], channels: NDArray[np.void]) -> NDArray[np.void]:
    """Return transfers with those parted that are two messages whose border the mirror missed.

    Where a packet is cut short of the announced length nothing else shows it: they carry twice what
    the queue pair's messages do, and a silence inside.
    """
    rows = np.flatnonzero((transfers["kind"] < KIND_CONTROL) & (transfers["packets"] > 1))
    rows = rows[channels["lost"][transfers["channel"][rows]] > 0]
    size, took = transfers["bytes"], transfers["passed_ns"] - transfers["start_ns"]
    rows = rows[np.argsort(transfers["channel"][rows], kind="stable")]
    heads = np.flatnonzero(np.diff(transfers["channel"][rows], prepend=-1))
    merged = []
    for own in np.split(rows, heads[1:]) if rows.size else []:
        usual, pace_ns = np.median(size[own]), np.median(took[own])
        twice = own[(size[own] == 2 * usual) & (took[own] > MERGED_FACTOR * pace_ns)]
        merged += [(row, int(pace_ns)) for row in twice.tolist()]
    if not merged:
        return transfers
    places, paces = np.array(merged, np.int64).T
    second = transfers[places].copy()
    transfers["bytes"][places] //= 2
    transfers["packets"][places] -= second["packets"] // 2
    for name in ("end_ns", "passed_ns"):
        transfers[name][places] = transfers["start_ns"][places] + paces
    second["bytes"] -= transfers["bytes"][places]
    whole = np.maximum(channels["full"][second["channel"]].astype(np.int64), 1)
    behind = -(-second["bytes"] // whole)
    transfers["psn"][places] = (second["psn"].astype(np.int64) - behind) & 0xFFFFFF
    second["packets"] //= 2
    second["start_ns"] = second["passed_ns"] - paces
    return np.concatenate((transfers, second))


def round_trip_ns(channels: NDArray[np.void], qps: NDArray[np.void]) -> tuple[float, float]:
    """Return the shortest round trip of channels beyond the tap, and on both sides; 0 if unknown.

    A tap sees from data to ACK only the part beyond it; the pair's other direction has the rest.
    """
    slots = np.unique(channels["qp"][channels["qp"] >= 0]).astype(np.int64)
    slots = slots[qps["ack_rtt"][slots].sum(axis=1) > 0]
    if slots.size == 0:
        return 0.0, 0.0
    part = np.full(len(qps), np.nan)
    part[slots] = percentile(qps["ack_rtt"][slots], 0.1)
    other = qps["paired"][slots].astype(np.int64)
    both = part[slots] + np.where(other >= 0, part[other], np.nan)
    whole = both[~np.isnan(both)]
    least = float(part[slots].min())
    return least, float(whole.min() if whole.size else least)
