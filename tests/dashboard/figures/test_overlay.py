"""A recorded failure over a simulated one."""

from fabricscope.dashboard.figures.overlay import draw_overlay
from fabricscope.dashboard.recorded import Course


def test_the_recorded_one_stands_out_and_names_are_text() -> None:
    figure = draw_overlay([Course("dpfr", [-1, 0], [1, 2])], Course("<b>", [0, 1], [3, 1], 5))
    simulated, recorded = figure.data
    assert simulated.name == "dpfr"
    assert recorded.name == "recorded: &lt;b&gt;"
    assert recorded.line.dash == "dash"
    assert recorded.line.width > simulated.line.width
    assert figure.layout.xaxis.dtick == 1


def test_without_either_it_says_so() -> None:
    assert "Neither" in draw_overlay([], None).layout.annotations[0].text
