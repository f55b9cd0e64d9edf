"""When each rank was busy in each iteration: from its first send to its last receive, as seen."""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fabricscope.analyzers.collectives.diagnosis import first_signs
from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_CONTROL
from fabricscope.analyzers.collectives.operations import Collective
from fabricscope.analyzers.collectives.segments import Segment

MAX_JOB_SPANS: Final = 16_384
"""Spans of one job, so that its document stays readable: a few hundred kilobytes."""

MAX_COLLECTIVES: Final = 16
"""Collectives of a job whose ranks are told apart: those with the most time."""

_NEVER: Final = np.iinfo(np.int64).max

RankSpans = dict[str, list[list[int]]]


def list_rank_spans(events: Events, collectives: Sequence[Collective]) -> list[RankSpans | None]:
    """Return for each collective the spans of each rank by its address, None past the bound.

    Of each of the `MAX_COLLECTIVES` with the most time as many iterations are listed, from the
    first on, as `MAX_JOB_SPANS` leaves room for, and one at least.
    """
    times = [sum(s.end_ns - s.start_ns for s in collective.segments) for collective in collectives]
    chosen = np.argsort(-np.array(times, np.int64), kind="stable")[:MAX_COLLECTIVES].tolist()
    limit = max(MAX_JOB_SPANS // max(len(chosen) * len(events.ranks), 1), 1)
    return [
        _spans_of(events, collective, limit) if number in chosen else None
        for number, collective in enumerate(collectives)
    ]


def count_listed(spans: RankSpans | None) -> int:
    """Return of how many iterations the ranks' spans are listed."""
    return max((len(own) for own in (spans or {}).values()), default=0)


def _spans_of(events: Events, collective: Collective, limit: int) -> RankSpans:
    segments = collective.segments[:limit]
    first, last = bounds(events, segments)
    if events.rdma:
        # A credit says that its sender is ready, though its own data may wait for another's; one
        # given long before anybody began says nothing.
        signs, _ = first_signs(events, dataclasses.replace(collective, segments=segments))
        begins = np.array([[segment.start_ns] for segment in segments])
        lengths = np.array([[segment.end_ns - segment.start_ns] for segment in segments])
        ready = (signs < first) & (signs >= begins - lengths)
        credited = np.where(ready, signs, 0.0).astype(np.int64)
        first = np.where(ready, np.maximum(credited, begins), first)
    return {
        events.ranks[rank]: [
            [int(start), int(end)]
            for start, end in zip(first[:, rank], last[:, rank], strict=True)
            if start != _NEVER
        ]
        for rank in collective.order
    }


def bounds(
    events: Events, segments: Sequence[Segment]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return start and end of each rank's part in each iteration, both (iterations, ranks), ns.

    A rank that only receives starts with its first receive, one that only sends ends with its last
    send; one that does neither has the largest int64 as its start. Over TCP frames without a body
    between ranks that exchange data count as well, as they do for the whole iteration.
    """
    count = len(events.ranks)
    rows = np.concatenate([segment.rows for segment in segments])
    part = np.repeat(np.arange(len(segments)), [len(segment.rows) for segment in segments])
    counted = events.kind[rows] < KIND_CONTROL
    if not events.rdma:
        pairs = np.stack([segment.matrix + segment.matrix.T > 0 for segment in segments])
        partners = pairs[part, events.src[rows], events.dst[rows]]
        counted |= (events.kind[rows] == KIND_CONTROL) & partners
    rows, part = rows[counted], part[counted]
    sends, receives = part * count + events.src[rows], part * count + events.dst[rows]
    first, heard = np.full((2, len(segments) * count), _NEVER)
    np.minimum.at(first, sends, events.start_ns[rows])
    np.minimum.at(heard, receives, events.start_ns[rows])
    last, sent = np.zeros((2, len(segments) * count), np.int64)
    np.maximum.at(last, receives, events.end_ns[rows])
    np.maximum.at(sent, sends, events.end_ns[rows])
    starts = np.where(first == _NEVER, heard, first)
    ends = np.where(last == 0, sent, last)
    # A retransmission may be what is sent last; the rank is busy with it.
    ends = np.where(starts == _NEVER, 0, np.maximum(ends, starts))
    return starts.reshape(-1, count), ends.reshape(-1, count)
