"""Spans of time, against a twin that looks at every nanosecond."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabricscope.dashboard import spans

SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda pair: [pair[0], sum(pair)]),
    max_size=8,
)


@given(SPANS, st.integers(1, 7), st.integers(0, 20), st.integers(1, 70))
def test_cover_agrees_with_counting_nanoseconds(
    given_spans: list[list[int]], stretches: int, start: int, length: int
) -> None:
    width = stretches * length  # stretches of whole nanoseconds
    busy = [any(a <= t < b for a, b in given_spans) for t in range(start, start + width)]
    expected = [sum(busy[k * length : (k + 1) * length]) / length for k in range(stretches)]
    shares = spans.cover(given_spans, start, start + width, stretches)
    assert shares == pytest.approx(expected)


@given(SPANS, st.integers(1, 8))
def test_joined_spans_are_few_and_cover_the_same(given_spans: list[list[int]], limit: int) -> None:
    joined = spans.join_spans(given_spans, limit)
    assert len(joined) <= max(limit, 0) or len(given_spans) <= limit
    for start, end in given_spans:
        assert any(a <= start and end <= b for a, b in joined)
    assert np.all(np.diff(joined[:, 0]) >= 0)


def test_the_longest_pauses_survive_joining() -> None:
    joined = spans.join_spans([[0, 10], [11, 20], [50, 60], [61, 70]], 2)
    assert joined.tolist() == [[0, 20], [50, 70]]


def test_nothing_is_nothing() -> None:
    assert spans.extent([[], []]) is None
    assert spans.extent([[[5, 9]], [[3, 4]]]) == (3, 9)
    assert spans.cover([], 0, 10, 2) == [0.0, 0.0]
    assert spans.cover([[0, 1]], 5, 5, 2) == [0.0, 0.0]
    assert spans.join_spans([], 3).shape == (0, 2)
