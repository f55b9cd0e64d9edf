"""Bytes that hosts had sent by when."""

from fabricscope.dashboard.figures.curves import draw_curves


def test_the_host_in_question_stands_out_and_axes_have_units() -> None:
    curves = [("a<b>", [1_000_000, 2_000_000], [1 << 20, 1 << 21]), ("b", [1_500_000], [1 << 20])]
    figure = draw_curves(curves, 0, marked="a<b>")
    other, marked = figure.data
    assert marked.name == "a&lt;b&gt;"
    assert list(marked.x) == [1.0, 2.0]
    assert list(marked.y) == [1.0, 2.0]
    assert marked.line.width > other.line.width
    assert figure.layout.xaxis.title.text == "Time (ms)"
    assert figure.layout.yaxis.title.text == "Sent (MiB)"


def test_without_packets_it_says_so() -> None:
    assert "No packet" in draw_curves([], 0).layout.annotations[0].text
