"""Bus bandwidth over iterations."""

import pytest
from examples.training import training_document

from fabricscope.dashboard.figures.bandwidth import draw_bus_bandwidth
from fabricscope.dashboard.figures.drawing import POINTS_LIMIT
from fabricscope.dashboard.training import Job, list_jobs


def test_each_collective_has_a_line_in_bits_per_second() -> None:
    job = list_jobs(training_document(None))[0]
    figure = draw_bus_bandwidth(job)
    assert [trace.name for trace in figure.data] == [
        "AllReduce ring 50 MiB",
        "AllGather ring 8 MiB",
    ]
    assert list(figure.data[0].x) == list(range(1, 21))
    gather = 8_388_608 * 8 / 2e-3 * 7 / 8 / 1e9
    assert figure.data[1].y[0] == pytest.approx(gather)
    assert "Gb/s" in figure.layout.yaxis.title.text
    assert len({trace.marker.symbol for trace in figure.data}) == 2


def test_a_slow_iteration_survives_thinning() -> None:
    spans = [[k * 1000, k * 1000 + (900 if k == 7777 else 100)] for k in range(20_000)]
    entry = {"operation": "broadcast", "ranks": ["a", "b"], "message_bytes": 1000}
    figure = draw_bus_bandwidth(Job(1, {"ranks": ["a", "b"]}, [entry | {"iteration_spans": spans}]))
    assert len(figure.data[0].x) <= POINTS_LIMIT
    assert min(figure.data[0].y) == pytest.approx(1000 * 8 / 900)


def test_nothing_to_draw_is_said() -> None:
    figure = draw_bus_bandwidth(Job(1, {"ranks": ["a"]}, []))
    assert not figure.data
    assert figure.layout.annotations[0].text.startswith("No iteration")
