"""The row of numbers: texts made harmless, judged ones with a shape."""

from fabricscope.dashboard.pages.tiles import Tile, tiles


def test_a_judged_number_has_its_level_and_text_stays_text() -> None:
    plain, judged = tiles([Tile("Name", "a\x1b[31mb"), Tile("Lost", "3", "packets", "bad")])
    assert plain.children[1].children == "a\\x1b[31mb"
    assert plain.children[1].className == "value"
    assert judged.children[1].className == "value health bad"
