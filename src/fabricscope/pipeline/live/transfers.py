"""Transfers and the queue pairs that carried them, taken out of a process's tables.

Jobs are recognised of all transfers of a collector, and each of its processes sees a part of them:
here the parts are put side by side, and what refers to a row or a slot is moved to its new place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.rdma.layout import EVENT_KINDS, QP_DTYPE
from fabricscope.analyzers.rdma.table import QueuePairTable

__all__ = ["VIEW_DTYPE", "QueuePairView", "TransferView", "join_views", "view_of"]

_READ: Final = (
    "paired",
    "dest_qp",
    "ecn_capable",
    "ecn_marked",
    "cnps",
    "retransmissions",
    "timeouts",
    "naks",
    "rnr_naks",
    "network_lost",
    "ack_rtt",
)
VIEW_DTYPE: Final = np.dtype([(name, QP_DTYPE[name]) for name in _READ])
"""What recognition reads of a queue pair, a quarter of it: views are taken and sent each second."""


@dataclass(frozen=True)
class QueuePairView:
    """What recognition asks a queue-pair table for: VIEW_DTYPE records and EVENT_DTYPE by kind."""

    queue_pairs: NDArray[np.void]
    kept_events: tuple[NDArray[np.void], ...]

    def events(self, kind: int) -> NDArray[np.void]:
        """Return the events kept of `kind`."""
        return self.kept_events[kind]


@dataclass(frozen=True)
class TransferView:
    """CHANNEL_DTYPE and TRANSFER_DTYPE records with their queue pairs, and what was left out."""

    channels: NDArray[np.void]
    transfers: NDArray[np.void]
    queue_pairs: QueuePairView
    counters: dict[str, int]
    last: bool


def view_of(
    analyzer: CollectiveAnalyzer, table: QueuePairTable, *, last: bool = False
) -> TransferView:
    """Return copies of what an analyzer holds, and of the queue pairs that it is about.

    last: what is under way has ended.
    """
    channels, transfers = analyzer.snapshot(last=last)
    qps = table.queue_pairs
    slots = np.unique(channels["qp"][channels["qp"] >= 0]).astype(np.int64)
    paired = qps["paired"][slots].astype(np.int64)
    slots = np.union1d(slots, paired[paired >= 0])
    # One more than there are slots, so that -1, which is none, stays -1.
    moved = np.full(len(qps) + 1, -1, np.int64)
    moved[slots] = np.arange(slots.size)
    held = np.zeros(slots.size, VIEW_DTYPE)
    for name in _READ:
        held[name] = qps[name][slots]
    held["paired"] = moved[held["paired"]]
    channels["qp"] = moved[channels["qp"]]
    events = []
    for kind in range(EVENT_KINDS):
        own = table.events(kind)
        own = own[moved[own["qp"]] >= 0]
        own["qp"] = moved[own["qp"]]
        events.append(own)
    view = QueuePairView(held, tuple(events))
    return TransferView(channels, transfers, view, analyzer.counters, last)


def join_views(views: Sequence[TransferView]) -> TransferView:
    """Return the parts as one."""
    channels, transfers, pairs = [], [], []
    events: list[list[NDArray[np.void]]] = [[] for _ in range(EVENT_KINDS)]
    first_channel = first_row = first_slot = 0
    counters: dict[str, int] = {}
    for view in views:
        channels.append(_moved(view.channels, {"qp": first_slot, "place": first_row}))
        rows = _moved(view.transfers, {"channel": first_channel, "before": first_row})
        transfers.append(rows)
        held = view.queue_pairs
        pairs.append(_moved(held.queue_pairs, {"paired": first_slot}))
        for kind in range(EVENT_KINDS):
            events[kind].append(_moved(held.events(kind), {"qp": first_slot}))
        first_channel += len(view.channels)
        first_row += len(view.transfers)
        first_slot += len(held.queue_pairs)
        for name, value in view.counters.items():
            counters[name] = counters.get(name, 0) + value
    return TransferView(
        np.concatenate(channels),
        np.concatenate(transfers),
        QueuePairView(np.concatenate(pairs), tuple(np.concatenate(own) for own in events)),
        counters,
        all(view.last for view in views),
    )


def _moved(records: NDArray[np.void], offsets: dict[str, int]) -> NDArray[np.void]:
    """Return records whose references (-1: none) point `offset` further."""
    moved = records.copy()
    for name, offset in offsets.items():
        known = moved[name] >= 0
        moved[name][known] += offset
    return moved
