"""Addresses as views: what they say, what they are made of again, and what nonsense comes to."""

import pytest

from fabricscope.dashboard.view import DEFAULT_RANGE, RANGES, View, read_view

NOW = 1_700_000_000_500_000_000
SECOND = 1_000_000_000


def test_nothing_given_is_the_default_range_up_to_now() -> None:
    view = read_view("", NOW)
    assert view.live
    assert view.range == DEFAULT_RANGE
    assert view.end_ns == 1_700_000_000 * SECOND
    assert view.seconds == RANGES[DEFAULT_RANGE][1]


def test_a_fixed_stretch_of_time_is_not_live() -> None:
    view = read_view("?from=1700000000000&to=1700000060000&link=a-b", NOW)
    assert not view.live
    assert view.seconds == 60
    assert view.parameter("link") == "a-b"
    assert view.query(link="a-b") == "from=1700000000000&to=1700000060000&link=a-b"


def test_addresses_survive_the_way_there_and_back() -> None:
    for query in ("range=6h", "paused=1", "collector=x%26y", "", "range=7d&paused=1&collector=z"):
        assert read_view(query, NOW).query() == query


def test_links_keep_the_time_and_take_their_own_parameters() -> None:
    view = read_view({"path": "/", "search": "?range=1h&pick=n3"}, NOW)
    assert view.link("/links", link="a b") == "/links?range=1h&link=a+b"
    assert View(0, SECOND).link("/") == "/"
    assert view.without_parameters().parameters == ()


@pytest.mark.parametrize(
    "query",
    ["?from=5&to=1", "?from=x&to=y", "?from=1", "?range=2y", "?from=-1&to=99", "%ff=%00&=&&==",
     "?" + "a=1&" * 100, "?to=" + "9" * 30 + "&from=1", "?from=\u0661&to=\u0662"],
)  # fmt: skip
def test_nonsense_is_taken_as_not_given(query: str) -> None:
    assert read_view(query, NOW).range == DEFAULT_RANGE
    assert read_view(query, NOW).seconds == RANGES[DEFAULT_RANGE][1]


def test_texts_are_bounded() -> None:
    assert len(read_view("?link=" + "x" * 5_000, NOW).parameter("link")) == 400


def test_a_list_is_whole_or_not_there() -> None:
    failures = ";".join(f"leaf{number}-spine1@1ms:loss=1%" for number in range(16))
    query = View(0, SECOND).query(fail=failures, link="x")
    assert read_view(query, NOW).parameter("fail") == failures
    long = read_view(f"?fail={'x' * 4_001}&link=x", NOW)
    assert (long.parameter("fail"), long.parameter("link")) == ("", "x")
    cut = read_view(f"?link=x&fail={'%41' * 4_000}", NOW)
    assert (cut.parameter("fail"), cut.parameter("link")) == ("", "x")
