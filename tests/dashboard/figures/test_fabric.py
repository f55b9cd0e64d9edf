"""The picture of a fabric: lines for bundles, squares for blocks, nothing from files as HTML."""

import pytest

from fabricscope.dashboard.fabric_layout import lay_out
from fabricscope.dashboard.figures.fabric import draw_fabric
from fabricscope.topology.builders import build
from fabricscope.topology.fabric import Device, Fabric, Link


@pytest.mark.parametrize("spec", ["textbook", "pod-2048", "rail:1x1x1"])
def test_each_bundle_is_a_line_and_each_block_a_square(spec: str) -> None:
    fabric = build(spec)
    layout = lay_out(fabric, 16, 16)
    figure = draw_fabric(fabric, layout)
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert sum(list(trace.x).count(None) for trace in lines) == len(layout.bundles)
    squares = [trace for trace in figure.data if trace.name]
    assert sum(len(trace.x) for trace in squares) == len(layout.blocks)
    assert {int(y) for trace in squares for y in trace.y} == {b.tier for b in layout.blocks}


def test_wider_bundles_are_wider_lines() -> None:
    fabric = build("leaf-spine:2x2x2@100G,links=8")
    figure = draw_fabric(fabric, lay_out(fabric, 8, 8))
    widths = {trace.line.width: list(trace.y)[:2] for trace in figure.data if trace.mode == "lines"}
    assert widths[max(widths)] == [1, 2]
    assert widths[min(widths)] == [0, 1]


def test_suspects_are_marked() -> None:
    fabric = build("textbook")
    figure = draw_fabric(fabric, lay_out(fabric, 8, 8), ["leaf3", "leaf3-spine1", "nobody"])
    marks = next(trace for trace in figure.data if trace.name == "Named by a check")
    assert len(marks.x) == 1


def test_names_from_files_are_escaped() -> None:
    devices = (Device("<b>a</b>", "host", 0), Device("<i>s", "leaf", 1))
    fabric = Fabric("x", devices, (Link(0, 1, 1.0),))
    text = draw_fabric(fabric, lay_out(fabric, 4, 4)).to_json()
    assert "<b>" not in text.replace("\\u003c", "<")
    assert "<i>" not in text.replace("\\u003c", "<")


def test_an_empty_fabric_says_so() -> None:
    fabric = Fabric("x", (), ())
    assert draw_fabric(fabric, lay_out(fabric, 4, 4)).layout.meta == {"empty": True}
