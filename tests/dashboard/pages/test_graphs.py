"""Charts have the site's buttons, none of which sends anything away."""

from fabricscope.dashboard.pages.graphs import graph


def test_the_buttons_are_those_of_all_figures() -> None:
    chart = graph("one", className="tall")
    assert chart.id == "one"
    assert chart.className == "tall"
    assert chart.config["plotlyServerURL"] == ""
