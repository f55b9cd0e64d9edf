"""From patterns to operations: which collective, which algorithm, and how large.

Sizes follow nccl-tests: S is what algbw is computed from (see rdma.md).
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.segments import Segment
from fabricscope.analyzers.collectives.timing import (
    CHAIN_LEAD,
    MOST_EARLY,
    edge_rows,
    lead,
    waiting_of,
)

BARRIER_BYTES: Final = 64

MAX_SAMPLED: Final = 32

ALL_CHAINED: Final = 0.9
"""From this part of the channels on, one end of which always waits, two ranks form a tree."""

MOST_CHAINED: Final = 0.5
"""The same where the mirror lost packets, which hides who waits."""


@dataclass
class Collective:
    """One collective of a group: its operation and its iterations."""

    operation: str
    algorithm: str
    order: tuple[int, ...]
    ranks: int  # how many, hidden ones included
    size_bytes: float
    segments: list[Segment]
    confidence: float
    hub: int = -1
    partial: bool = False
    alternatives: list[str] = field(default_factory=list)

    def bus_factor(self) -> float:
        """Return busbw / algbw as nccl-tests define it."""
        count = max(self.ranks, 1)
        if self.operation == "allreduce":
            return 2.0 * (count - 1) / count
        if self.operation in ("allgather", "reducescatter", "alltoall"):
            return (count - 1) / count
        return 1.0


def identify(events: Events, segments: list[Segment]) -> Collective | None:
    """Return what iterations of one pattern are; None where they are no collective."""
    pattern = segments[0].pattern
    if pattern is None:
        return None
    count = len(pattern.order)
    edge = float(np.median([s.pattern.edge_bytes for s in segments if s.pattern is not None]))
    if edge <= BARRIER_BYTES:
        return Collective("barrier", "unknown", pattern.order, count, 0.0, segments, 0.7)
    if pattern.shape == "ring" and count == 2:
        return _two_ranks(events, segments, edge)
    if pattern.shape == "ring":
        return _ring(events, segments, edge)
    if pattern.shape == "line":
        return _line(events, segments, edge)
    plain = {
        "direct": ("alltoall", "direct"),
        "halving_doubling": ("allreduce", "halving_doubling"),
        "tree": ("allreduce", "tree"),
        "out_tree": ("broadcast", "tree"),
        "in_tree": ("reduce", "tree"),
        "ring_to_root": ("reduce", "ring"),
    }[pattern.shape]
    return Collective(*plain, pattern.order, count, edge, segments, 0.95, hub=pattern.hub)


def _largest_lead(
    events: Events, segments: list[Segment], edges: list[tuple[tuple[int, int], tuple[int, int]]]
) -> tuple[float, float]:
    """Return the largest lead and the message size over some iterations and neighbouring edges."""
    step = max(1, len(segments) // MAX_SAMPLED)
    samples = [
        lead(events, segment, before, edge)
        for segment in segments[::step]
        for before, edge in edges
    ]
    # A message that the mirror missed is known only later, which looks like a lead.
    values = np.array([sample[0] for sample in samples])
    ahead = float(np.median(values) if events.lost > 0 else values.max())
    return ahead, float(np.median([s[1] for s in samples]))


def _ring(events: Events, segments: list[Segment], edge: float) -> Collective:
    assert segments[0].pattern is not None
    order = segments[0].pattern.order
    count = len(order)
    edges = [((order[k - 2], order[k - 1]), (order[k - 1], order[k])) for k in range(count)]
    ahead, _ = _largest_lead(events, segments, edges)
    gathered = edge / (count - 1)
    if ahead > 0.75 * gathered:
        size = edge * count / (count - 1)
        return Collective(
            "allgather", "ring", order, count, size, segments, 0.7, alternatives=["reducescatter"]
        )
    size = edge * count / (2 * (count - 1))
    if ahead > 0.3 * gathered:
        return Collective("allreduce", "ring", order, count, size, segments, 0.98)
    # A chunk of many messages passes through the ring as a stream, and no lead tells its size.
    others = ["allgather", "reducescatter"]
    return Collective("allreduce", "ring", order, count, size, segments, 0.8, alternatives=others)


def _two_ranks(events: Events, segments: list[Segment], edge: float) -> Collective:
    """Between two ranks a ring sends both ways at once, a tree down after up.

    What else two ranks may do at once looks the same on the wire: the others are alternatives.
    """
    step = max(1, len(segments) // MAX_SAMPLED)
    samples = segments[::step]
    waiting = waiting_of(events, samples)
    if waiting.chained >= (MOST_CHAINED if events.lost > 0 else ALL_CHAINED):
        leads = [
            (lead(events, s, (0, 1), (1, 0))[0], lead(events, s, (1, 0), (0, 1))[0])
            for s in samples
        ]
        # The root waits; it has one child in NCCL's trees, under which all others hang.
        hub = 0 if sum(b > a for a, b in leads) * 2 > len(leads) else 1
        return Collective("allreduce", "tree", (hub, 1 - hub), 2, edge, segments, 0.8, hub=hub)
    if waiting.early > MOST_EARLY:
        others = ["allgather", "reducescatter"]
        return Collective(
            "alltoall", "direct", (0, 1), 2, 2 * edge, segments, 0.6, alternatives=others
        )
    # NCCL has no halving-doubling; those that have it (MPI, Gloo) send no credits.
    credited = not events.rdma or bool((events.kind == KIND_CONTROL).any())
    algorithm = "ring" if credited else "halving_doubling"
    others = ["halving_doubling" if credited else "ring"]
    lanes = np.unique(events.channel[edge_rows(events, samples[0], 0, 1)]).size
    message = float(np.median([lead(events, s, (0, 1), (1, 0))[1] for s in samples]))
    sure = 0.8
    if message < 0.4 * edge / max(lanes, 1):
        # Where both ranks send a stream of messages, nothing shows that one waits for the other.
        others += ["alltoall", "allgather", "reducescatter"]
        sure = 0.6
    return Collective("allreduce", algorithm, (0, 1), 2, edge, segments, sure, alternatives=others)


def _line(events: Events, segments: list[Segment], edge: float) -> Collective | None:
    """Tell a chain, which passes on what it received, from a ring seen in part, which is ahead."""
    assert segments[0].pattern is not None
    order = segments[0].pattern.order
    count = len(order)
    if count < 3:
        return None
    edges = [((order[k - 1], order[k]), (order[k], order[k + 1])) for k in range(1, count - 1)]
    ahead, message = _largest_lead(events, segments, edges)
    if ahead >= CHAIN_LEAD * min(message, edge / (2 * (count - 1))):
        return _partial_ring(segments, order, edge, max(ahead, message))
    # Slices that are passed on at once are a broadcast; micro-batches without any computing
    # between the stages would look the same.
    if events.rdma and edge > 1.5 * message:
        return Collective(
            "broadcast", "ring", order, count, edge, segments, 0.7, order[0], False, ["p2p"]
        )
    return Collective(
        "p2p", "direct", order, count, edge, segments, 0.85, alternatives=["broadcast"]
    )


def _partial_ring(
    segments: list[Segment], order: tuple[int, ...], edge: float, chunk: float
) -> Collective:
    """Count the ranks that the tap misses: an edge carries a chunk for each, or two."""
    chunks = max(2, round(edge / chunk))
    count = chunks // 2 + 1
    if chunks % 2 == 0 and count >= len(order):
        size = edge * count / (2 * (count - 1))
        return Collective("allreduce", "ring", order, count, size, segments, 0.8, partial=True)
    count = max(chunks + 1, len(order))
    size = edge * count / (count - 1)
    return Collective(
        "allgather", "ring", order, count, size, segments, 0.5, -1, True, ["reducescatter"]
    )
