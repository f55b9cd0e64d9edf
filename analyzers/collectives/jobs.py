"""Groups of hosts that may be the ranks of a job, and their events in order of time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.addresses import address_text
from fabricscope.analyzers.collectives.layout import (
    CREDIT_BYTES,
    KIND_ACK,
    KIND_CONTROL,
    KIND_IMMEDIATE,
)

MIN_TCP_BYTES: Final = 4_096
"""A TCP connection that carried less in one direction moved no tensors."""

MIN_RDMA_BYTES: Final = 1_024
"""Where messages of this size are seen, those as small as a credit carry no tensors."""

MAX_RANKS: Final = 1_024


@dataclass(frozen=True)
class Events:
    """What a group of hosts sent, in order of start.

    ranks: texts of the addresses; start_ns, end_ns, bytes, src, dst (indexes into ranks), channel,
    kind: arrays of one length. rdma: whether these are RDMA messages.
    """

    ranks: list[str]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    bytes: NDArray[np.int64]
    src: NDArray[np.int64]
    dst: NDArray[np.int64]
    channel: NDArray[np.int64]
    kind: NDArray[np.uint8]
    rdma: bool

    def matrix(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return data bytes by sender and receiver of events `start` to `stop`, (n, n)."""
        count = len(self.ranks)
        rows = slice(start, stop)
        weights = np.where(self.kind[rows] >= KIND_CONTROL, 0, self.bytes[rows])
        flat = np.bincount(self.src[rows] * count + self.dst[rows], weights, count * count)
        return flat.reshape(count, count)


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
    channels: NDArray[np.void], src: NDArray[np.int64], dst: NDArray[np.int64], spans: NDArray[np.int64]
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
        overlaps = sum(later[0] < earlier[1] for earlier, later in zip(lives, lives[1:], strict=False))
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
    """Channels sorted out: candidates for jobs, and transfers of clients and servers beside them."""

    groups: list[Events]
    io: NDArray[np.void]  # transfers of short-lived connections
    io_src: list[str]
    io_dst: list[str]


def sort_out(
    channels: NDArray[np.void], transfers: NDArray[np.void], paired: NDArray[np.int64]
) -> Traffic:
    """Split transfers into groups of hosts that exchange data, RDMA and TCP apart.

    paired: by queue-pair slot the slot of its other direction, -1 for none.
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
        carries = kind & (immediate & (size > 0) if over_rdma else ~serial & (size >= MIN_TCP_BYTES))
        for hosts in _groups(np.stack((src, dst), axis=1)[carries]):
            if not 2 <= len(hosts) <= MAX_RANKS:
                continue
            inside = kind & ~serial & np.isin(src, hosts) & np.isin(dst, hosts)
            wanted = inside[number]
            groups.append(
                _events(channels, transfers[wanted], hosts, src, dst, texts, over_rdma, paired, carries)
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
    paired: NDArray[np.int64],
    carries: NDArray[np.bool_],
) -> Events:
    """Return the events of a group; of acknowledgements only those for data."""
    local = np.full(len(texts), -1, np.int64)
    local[hosts] = np.arange(len(hosts))
    if rdma:
        slots = channels["qp"].astype(np.int64)
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
    transfers = transfers[np.argsort(transfers["start_ns"], kind="stable")]
    number = transfers["channel"].astype(np.int64)
    return Events(
        [texts[k] for k in hosts],
        transfers["start_ns"].copy(),
        transfers["end_ns"].copy(),
        transfers["bytes"].copy(),
        local[src[number]],
        local[dst[number]],
        number,
        transfers["kind"].copy(),
        rdma,
    )
