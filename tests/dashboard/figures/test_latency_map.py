"""The heat map of latencies: cells, lines, units, and nothing."""

import math

import numpy as np

from fabricscope.dashboard.data.rdma import Latencies
from fabricscope.dashboard.figures.latency_map import draw_latencies

SECOND_NS = 10**9


def test_cells_are_shares_and_the_axis_has_units() -> None:
    shares = np.array([[0.75, 0.0], [0.25, 1.0]])
    given = Latencies(
        [0, SECOND_NS], SECOND_NS, [1.0, 10.0, 100.0], shares, [3.0, math.nan], [9.0, 50.0]
    )
    figure = draw_latencies(given, "Round trip", 0, 2 * SECOND_NS)
    cells, median, late = figure.data
    assert [list(row) for row in cells.z] == [[0.75, None], [0.25, 1.0]]
    assert (len(cells.x), len(cells.y)) == (3, 3)  # edges, so that a single cell has a width
    assert median.y == (3.0e-6, None)
    assert late.y == (9.0e-6, 50.0e-6)
    assert "10 µs" in figure.layout.yaxis.ticktext
    assert figure.layout.yaxis.title.text == "Round trip (log scale)"
    assert figure.layout.xaxis.type == "date"


def test_without_values_it_says_so() -> None:
    figure = draw_latencies(None, "Round trip", 0, 1)
    assert "No round trip was measured" in figure.layout.annotations[0].text
