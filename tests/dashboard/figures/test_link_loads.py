"""Maps of link loads: the value of a cell, the busier of parallel links."""

from fabricscope.dashboard.figures.link_loads import draw_link_loads


def test_parallel_links_share_a_cell_that_shows_the_busier_one() -> None:
    link = {"from": "leaf0", "to": "spine0", "during": 0.2, "after": 0.1}
    figure = draw_link_loads([{**link, "before": 0.3}, {**link, "before": 0.7}])
    assert len(figure.data) == 3
    assert figure.data[0].z[0][0] == 70.0


def test_devices_of_a_kind_stand_together_and_by_number() -> None:
    pairs = [("leaf0", "spine0"), ("spine0", "leaf0"), ("leaf10", "spine0"), ("leaf2", "spine0")]
    load = {"before": 0.5, "during": None, "after": None}
    figure = draw_link_loads([{"from": a, "to": b, **load} for a, b in pairs])
    assert list(figure.data[0].y) == ["leaf0", "leaf2", "leaf10", "spine0"]
    assert list(figure.data[0].x) == ["spine0", "leaf0"]
