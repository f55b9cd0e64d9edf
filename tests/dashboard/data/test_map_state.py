"""What a map's lines look like."""

import polars as pl

from fabricscope.dashboard.data.map_state import map_state


def test_a_line_is_as_bad_as_its_worst_link() -> None:
    states = pl.DataFrame(
        {
            "link": ["a", "a", "b", "c"],
            "score": [100.0, 95.0, 30.0, None],
            "utilization": [0.5, 0.1, 0.7, None],
        }
    )
    state = map_state((("a", "b"), ("a",), ("c",), ("d", "e")), states)
    assert state["health"] == ["bad", "good", "unknown", "unknown"]
    assert state["score"] == [30, 95, None, None]
    assert state["load"] == [60, 50, None, None]
    assert state["seen"] == [2, 1, 1, 0]
    assert state["worst"] == {0: "b"}
