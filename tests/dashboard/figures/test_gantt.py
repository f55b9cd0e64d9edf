"""Iterations over time, a row a rank."""

import pytest
from examples.analysis import HOSTILE
from examples.rows import START_NS, address
from examples.training import hostile_training_document, training_document

from fabricscope.dashboard.figures import gantt
from fabricscope.dashboard.figures.drawing import POINTS_LIMIT
from fabricscope.dashboard.training import Job, list_jobs


def _job(document: dict[str, object]) -> Job:
    return list_jobs(document)[0]


def test_the_late_rank_begins_later_and_says_so() -> None:
    figure = gantt.draw_gantt(_job(training_document()), START_NS)
    rows = list(reversed(figure.layout.yaxis.categoryarray))
    assert rows[2] == f"<b>▲ {address(2)} late 80.2 ms</b>"
    bars = figure.data[0]
    first = {label: base for label, base in reversed(list(zip(bars.y, bars.base, strict=True)))}
    assert first[rows[2]] - first[rows[0]] == pytest.approx(0.080, abs=0.002)
    assert "(s)" in figure.layout.xaxis.title.text
    assert bars.customdata[0].startswith("iteration 1, ")


def test_checkpoints_stand_in_the_row_of_their_rank() -> None:
    figure = gantt.draw_gantt(_job(training_document()), START_NS)
    bars = next(trace for trace in figure.data if trace.name == "Checkpoint")
    assert list(bars.y) == [address(0)] * 2
    assert bars.base[0] == pytest.approx(9 * 0.118 + 0.09)
    assert bars.customdata[0] == "20 ms"


def test_ranks_that_are_not_told_apart_share_a_row() -> None:
    document = training_document()
    for collective in document["collectives"]:
        collective.pop("rank_spans", None)
    figure = gantt.draw_gantt(_job(document), START_NS)
    assert list(figure.layout.yaxis.categoryarray) == ["all 8 ranks"]
    assert len(figure.data[0].x) == 20


def test_many_iterations_are_joined_and_the_first_are_shown() -> None:
    spans = [[START_NS + k * 1000, START_NS + k * 1000 + 400] for k in range(30_000)]
    ranks = [f"10.0.{k // 250}.{k % 250}" for k in range(100)]
    entry = {"operation": "alltoall", "ranks": ranks, "message_bytes": 8, "straggler": None}
    entry.update(iteration_spans=spans, rank_spans=dict.fromkeys(ranks, spans))
    entry["straggler"] = {"kind": "compute", "rank": 99, "ip": ranks[99], "late_ms": 1.0}
    figure = gantt.draw_gantt(Job(1, {"ranks": ranks}, [entry]), START_NS)
    assert all(len(trace.x) <= POINTS_LIMIT for trace in figure.data)
    rows = figure.layout.yaxis.categoryarray
    assert len(rows) == gantt.ROWS_LIMIT
    assert "late" in rows[0]
    assert "64 of 100 ranks" in figure.layout.xaxis.title.text
    assert figure.layout.xaxis.range[1] < 0.1  # of 30 ms


def test_a_short_job_far_from_the_start_has_its_own_time_axis() -> None:
    start_ns = START_NS - 10**12
    figure = gantt.draw_gantt(_job(training_document()), start_ns)
    assert "after the first packet" in figure.layout.xaxis.title.text
    assert figure.data[0].base[0] == pytest.approx(0, abs=0.01)


def test_iterations_whose_ranks_are_not_listed_are_named() -> None:
    document = training_document()
    document["collectives"][0]["rank_spans_left_out"] = 1_234
    figure = gantt.draw_gantt(_job(document), START_NS)
    assert "the last 1,234 iterations not drawn" in figure.layout.xaxis.title.text


def test_small_collectives_are_named_as_left_out() -> None:
    job = _job(training_document())
    many = job._replace(collectives=job.collectives * 9)
    figure = gantt.draw_gantt(many, START_NS)
    assert len(figure.data) == gantt.TRACES_LIMIT + 1
    assert "shorter collectives not drawn" in figure.layout.xaxis.title.text


def test_names_are_escaped() -> None:
    figure = gantt.draw_gantt(_job(hostile_training_document()), START_NS)
    assert HOSTILE not in figure.to_json()
    assert "<script" not in figure.to_json()


def test_nothing_to_draw_is_said() -> None:
    figure = gantt.draw_gantt(Job(1, {"ranks": ["a", "b"]}, []), START_NS)
    assert not figure.data
    assert figure.layout.annotations[0].text.startswith("No iteration")
