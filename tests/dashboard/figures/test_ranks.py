"""The graph of ranks."""

import pytest
from examples.analysis import HOSTILE
from examples.rows import address
from examples.training import hostile_training_document, training_document, tree_document

from fabricscope.dashboard.figures import ranks
from fabricscope.dashboard.figures.drawing import POINTS_LIMIT
from fabricscope.dashboard.figures.palette import VERMILION
from fabricscope.dashboard.training import Job, edges_of, list_jobs


def _draw(document: dict[str, object]) -> object:
    job = list_jobs(document)[0]
    return ranks.draw_ranks(job, edges_of(job, document))


def test_the_late_rank_differs_in_shape_and_words() -> None:
    figure = _draw(training_document())
    marked = next(trace for trace in figure.data if trace.name == "Straggler")  # type: ignore[attr-defined]
    assert marked.marker.symbol == "diamond"
    assert "late 80.2 ms" in marked.text[0]
    assert address(2) in marked.text[0]


def test_the_slow_link_is_drawn_apart() -> None:
    figure = _draw(training_document("link"))
    slow = next(trace for trace in figure.data if trace.name == "Slow link")  # type: ignore[attr-defined]
    assert (slow.line.dash, slow.line.color) == ("dash", VERMILION)
    assert len(slow.x) == 3
    arrows = [a for a in figure.layout.annotations if a.arrowcolor == VERMILION]  # type: ignore[attr-defined]
    assert len(arrows) == 1


def test_opposite_edges_are_one_line_with_two_heads() -> None:
    figure = _draw(tree_document())
    arrows = figure.layout.annotations  # type: ignore[attr-defined]
    assert [arrow.arrowside for arrow in arrows] == ["end+start"] * 3


@pytest.mark.parametrize("count", [2, 64, 128])
def test_everybody_to_everybody_is_bounded(count: int) -> None:
    names = [str(k) for k in range(count)]
    edges = [(a, b) for a in names for b in names if a != b]
    figure = ranks.draw_ranks(Job(1, {"ranks": names}, []), edges)
    assert all(len(trace.x) <= POINTS_LIMIT for trace in figure.data)
    assert len(figure.layout.annotations) <= ranks.ARROWS_LIMIT
    lines = count * (count - 1) // 2
    if lines > ranks.EDGES_LIMIT:
        assert figure.data[0].name == f"Data ({ranks.EDGES_LIMIT:,} of {lines:,} lines)"
        assert figure.layout.showlegend


def test_names_are_escaped() -> None:
    text = _draw(hostile_training_document()).to_json()  # type: ignore[attr-defined]
    assert HOSTILE not in text
    assert "<script" not in text


def test_nothing_or_too_much_to_draw_is_said() -> None:
    assert not ranks.draw_ranks(Job(1, {"ranks": ["a", "b"]}, []), []).data
    names = [str(k) for k in range(ranks.RANKS_LIMIT + 1)]
    figure = ranks.draw_ranks(Job(1, {"ranks": names}, []), [("0", "1")])
    assert "129 ranks are too many" in figure.layout.annotations[0].text
