"""The traffic matrix."""

from examples.analysis import HOSTILE, empty_document, hostile_document, ring_document

from fabricscope.dashboard.figures.matrix import draw_traffic_matrix


def test_volumes_are_scaled_and_silence_is_blank() -> None:
    figure = draw_traffic_matrix({"hosts": ["a", "b"], "bytes": [[0, 3 * 1024**3], [512, 0]]})
    heat = figure.data[0]
    assert heat.z[0][1] == 3
    assert heat.z[0][0] is None
    assert heat.customdata[1][0] == "512 B"
    assert figure.layout.coloraxis.colorbar.title.text == "GiB"


def test_the_ring_is_drawn_from_row_to_column() -> None:
    part = ring_document()["traffic_matrix"]
    figure = draw_traffic_matrix(part)
    assert list(figure.data[0].x) == part["hosts"]
    assert figure.layout.yaxis.autorange == "reversed"
    assert "From" in figure.layout.yaxis.title.text


def test_host_names_are_escaped() -> None:
    figure = draw_traffic_matrix(hostile_document()["traffic_matrix"])
    assert HOSTILE not in figure.data[0].x
    assert "<" not in figure.data[0].x[0]


def test_nothing_to_draw_is_said() -> None:
    assert not draw_traffic_matrix(empty_document()["traffic_matrix"]).data
