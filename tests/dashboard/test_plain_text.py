"""Text from packets made harmless."""

from hypothesis import given
from hypothesis import strategies as st

from fabricscope.dashboard.plain_text import LIMIT, neutralise


def test_ordinary_names_pass_unchanged() -> None:
    for name in ("leaf-1.example.net", "fd00::1", "Zürich", "東京", "a b"):
        assert neutralise(name) == name


def test_controls_and_direction_marks_become_visible() -> None:
    assert neutralise("\x1b[2Jx\n\x9b\u202ey\u200b") == ("\\x1b[2Jx\\x0a\\x9b\\u{202e}y\\u{200b}")


def test_long_texts_are_cut() -> None:
    text = neutralise("x" * (LIMIT + 1))
    assert len(text) == LIMIT
    assert text.endswith("…")


@given(st.text())
def test_nothing_unprintable_is_left(text: str) -> None:
    assert all(c.isprintable() or c.isspace() for c in neutralise(text))
    assert not set(neutralise(text)) & set(map(chr, [*range(32), *range(127, 160)]))
