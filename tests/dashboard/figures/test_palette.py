"""Colours: told apart by everyone, readable on both grounds."""

import itertools

import pytest

from fabricscope.dashboard.figures import palette


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("template", [palette.LIGHT, palette.DARK])
def test_colours_stand_out_from_the_ground(template: object) -> None:
    layout = template.layout  # type: ignore[attr-defined]
    ground = layout.hoverlabel.bgcolor
    assert _contrast(layout.font.color, ground) >= 7
    assert all(_contrast(color, ground) >= 1.9 for color in palette.COLORWAY)


def test_colours_differ() -> None:
    assert len({*palette.COLORWAY}) == len(palette.COLORWAY)
    for one, other in itertools.combinations(palette.COLORWAY, 2):
        channels = zip(*(bytes.fromhex(c[1:]) for c in (one, other)), strict=True)
        assert sum(abs(a - b) for a, b in channels) > 60
