"""The drawing of a fabric on terminals of any width and any character set."""

import io

import pytest
from rich.console import Console

from fabricscope.cli.fabric_drawing import draw_fabric
from fabricscope.cli.screen import Screen
from fabricscope.topology.builders import build


def _draw(spec: str, width: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    draw_fabric(build(spec), Screen(Console(file=file, width=width)))
    file.flush()
    return raw.getvalue().decode(encoding)


def test_every_tier_is_aligned_over_what_hangs_below_it() -> None:
    assert _draw("clos:2x2x2x2x2@100G", 60) == (
        "cores                core0                   core1\n"
        "                 ┌─────┴─────────────────┐     │\n"
        "                 │           ┌───────────┼─────┴─────┐\n"
        "           4 links of 100 Gb/s\n"
        "spines        spine0      spine1      spine2      spine3\n"
        "                 ├───────────┤           ├───────────┤\n"
        "           8 links of 100 Gb/s\n"
        "leaves         leaf0       leaf1       leaf2       leaf3\n"
        "                 │           │           │           │\n"
        "           8 links of 100 Gb/s\n"
        "hosts         host0-1     host2-3     host4-5     host6-7\n"
    )


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("spec", ["textbook", "pod-2048", "gh200-256", "dual-plane:3x2x3"])
def test_no_line_is_wider_than_the_terminal(spec: str, width: int) -> None:
    drawn = _draw(spec, width)
    assert max(map(len, drawn.splitlines())) <= max(width, 40)


def test_a_plain_terminal_gets_plain_characters() -> None:
    drawn = _draw("textbook", 80, "ascii")
    assert "+" in drawn
    assert "leaf0" in drawn
