"""Patterns: the same answer for a frame and for a word."""

import polars as pl
import pytest

from fabricscope.analyzers.policy.patterns import is_like, like

TEXTS = ["leaf1-spine1 up", "leaf1", "a.b", "axb", "a\nb", "a\n", "a", "", "*", "[a]"]


@pytest.mark.parametrize(
    "patterns",
    [["*"], ["leaf*"], ["leaf?"], ["a.b"], ["a?b"], ["a"], [""], ["a*", "l*"], ["[a]"], ["?"]],
)
def test_a_frame_and_a_word_agree(patterns: list[str]) -> None:
    frame = pl.DataFrame({"text": TEXTS})
    whole = frame.select(like("text", patterns)).to_series().to_list()
    assert whole == [is_like(text, patterns) for text in TEXTS]


def test_a_pattern_is_no_regular_expression() -> None:
    assert is_like("a.b", ["a.b"])
    assert not is_like("axb", ["a.b*"])
    assert is_like("a\nb", ["a*b"])
    assert not is_like("leaf10", ["leaf?"])
