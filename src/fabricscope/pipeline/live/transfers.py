"""Transfers and the queue pairs that carried them, taken out of a process's tables.

Jobs are recognised of all transfers of a collector, and each of its processes sees a part of them:
here the parts are put side by side, and what refers to a row or a slot is moved to its new place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.analyzer import CollectiveAnalyzer
from fabricscope.analyzers.rdma.layout import EVENT_KINDS
from fabricscope.analyzers.rdma.table import QueuePairTable

__all__ = ["QueuePairView", "TransferView", "join_views", "view_of"]


@dataclass(frozen=True)
class QueuePairView:
    """What recognition asks a queue-pair table for: QP_DTYPE records and EVENT_DTYPE by kind."""

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
    """Return copies of what an analyzer holds; last: what is under way has ended."""
    channels, transfers = analyzer.snapshot(last=last)
    events = tuple(table.events(kind).copy() for kind in range(EVENT_KINDS))
    held = QueuePairView(table.queue_pairs.copy(), events)
    return TransferView(channels, transfers, held, analyzer.counters, last)


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
        pairs.append(_moved(held.queue_pairs, {"paired": first_slot, "pair_next": first_slot}))
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
