"""Charts have the site's buttons, none of which sends anything away, and heights that stay."""

from fabricscope.dashboard.figures.drawing import new_figure
from fabricscope.dashboard.pages.graphs import graph, placed


def test_the_buttons_are_those_of_all_figures() -> None:
    chart = graph("one", 200, className="tall")
    assert chart.id == "one"
    assert chart.className == "tall"
    assert chart.config["plotlyServerURL"] == ""
    assert chart.style == {"height": "200px"}


def test_a_placed_figure_fills_its_chart() -> None:
    assert placed(new_figure(height=77)).layout.height is None
