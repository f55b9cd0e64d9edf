"""Spans of each rank in each iteration: small events by hand, bounds, and a shipped capture."""

import dataclasses

import numpy as np
import pytest

from fabricscope.analyzers.collectives import spans
from fabricscope.analyzers.collectives.jobs import Events
from fabricscope.analyzers.collectives.layout import KIND_ACK, KIND_CONTROL, KIND_IMMEDIATE
from fabricscope.analyzers.collectives.operations import Collective
from fabricscope.analyzers.collectives.segments import Segment

Row = tuple[int, int, int, int, int, int]


def events_of(rows: list[Row], ranks: int, rdma: bool = True) -> Events:
    """Return events of rows (start, end, source, destination, bytes, kind)."""
    start, end, src, dst, size, kind = (np.array(column, np.int64) for column in zip(*rows))  # noqa: B905
    zeros = np.zeros(len(rows), np.int64)
    columns = {"packets": zeros, "lane": zeros, "channel": zeros}
    known = {field.name for field in dataclasses.fields(Events)}
    return Events(
        ranks=[f"10.0.0.{number}" for number in range(ranks)],
        start_ns=start,
        end_ns=end,
        bytes=size,
        src=src,
        dst=dst,
        kind=kind.astype(np.uint8),
        rdma=rdma,
        **{name: column for name, column in columns.items() if name in known},
    )


def collective_of(events: Events, parts: list[list[int]], operation: str) -> Collective:
    segments = []
    for part in parts:
        rows = np.array(part, np.int64)
        start, end = int(events.start_ns[rows].min()), int(events.end_ns[rows].max())
        segments.append(Segment(rows, events.matrix_of(rows), None, start, end))
    order = tuple(range(len(events.ranks)))
    return Collective(operation, "ring", order, len(order), 1.0, segments, 1.0)


RING = [
    (100, 110, 0, 1, 4096, KIND_IMMEDIATE),
    (100, 100, 1, 0, 64, KIND_CONTROL),
    (112, 112, 1, 0, 0, KIND_ACK),
    (150, 160, 1, 0, 4096, KIND_IMMEDIATE),
    (165, 165, 0, 1, 0, KIND_ACK),
    (1_000, 1_010, 0, 1, 4096, KIND_IMMEDIATE),
    (1_020, 1_030, 1, 0, 4096, KIND_IMMEDIATE),
]


def test_a_rank_is_busy_from_its_credit_to_its_last_receive() -> None:
    events = events_of(RING, 2)
    collective = collective_of(events, [[0, 1, 2, 3, 4], [5, 6]], "allreduce")
    (found,) = spans.list_rank_spans(events, [collective])
    assert found == {
        "10.0.0.0": [[100, 160], [1_000, 1_030]],
        "10.0.0.1": [[100, 150], [1_020, 1_020]],
    }


def test_who_only_receives_or_only_sends_has_a_span_too() -> None:
    rows = [(10, 20, 0, 1, 4096, KIND_IMMEDIATE), (15, 40, 0, 2, 4096, KIND_IMMEDIATE)]
    events = events_of(rows, 3)
    first, last = spans.bounds(events, collective_of(events, [[0, 1]], "broadcast").segments)
    assert first.tolist() == [[10, 10, 15]]
    assert last.tolist() == [[40, 20, 40]]


@pytest.mark.parametrize("iterations", [1, 5_000])
def test_the_number_of_spans_is_bounded_and_what_is_left_out_counted(iterations: int) -> None:
    rows = [
        (1_000 * k + 10 * rank, 1_000 * k + 50, rank, 1 - rank, 4096, KIND_IMMEDIATE)
        for k in range(iterations)
        for rank in (0, 1)
    ]
    events = events_of(rows, 2, rdma=False)
    parts = [[2 * k, 2 * k + 1] for k in range(iterations)]
    whole = collective_of(events, parts, "allreduce")
    many = [dataclasses.replace(whole) for _ in range(20)]
    found = spans.list_rank_spans(events, many)
    listed = [spans.count_listed(own) for own in found]
    assert sum(own is not None for own in found) == spans.MAX_COLLECTIVES
    assert 2 * sum(listed) <= spans.MAX_JOB_SPANS
    assert max(listed) == min(iterations, spans.MAX_JOB_SPANS // (2 * spans.MAX_COLLECTIVES))
