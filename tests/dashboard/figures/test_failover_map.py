"""The map of an experiment: failed parts marked, links as loaded."""

from fabricscope.dashboard.figures.fabric_map import build_map
from fabricscope.dashboard.figures.failover_map import paint, worst_loads
from fabricscope.topology.builders import build

DRAWN = build_map(build("leaf-spine:2x2x2@100G"), every=True)


def test_failed_links_and_devices_are_marked() -> None:
    painted = paint(DRAWN, {"leaf0-spine1", "spine0"}, None)
    failed = [one["data"] for one in painted if "failed" in one["classes"]]
    assert {data["label"] for data in failed if "label" in data} == {"spine0"}
    (edge,) = [data for data in failed if "number" in data]
    assert DRAWN.lines[edge["number"]] == ("leaf0-spine1",)
    assert DRAWN.elements != painted


def test_loads_make_links_wide_and_name_the_highest() -> None:
    painted = paint(DRAWN, (), {"leaf0-spine0": 0.97, "leaf0-spine1": 0.2})
    by_link = {
        DRAWN.lines[one["data"]["number"]][0]: one["data"]
        for one in painted
        if "number" in one["data"]
    }
    high, low = by_link["leaf0-spine0"], by_link["leaf0-spine1"]
    assert high["width"] > low["width"]
    assert high["color"] != low["color"]
    assert high["mark"] == "97%"
    assert "mark" not in low


def test_the_busier_direction_counts() -> None:
    loads = [{"link": "a-b", "before": 0.2, "during": None}, {"link": "a-b", "before": 0.6}]
    assert worst_loads(loads, "before") == {"a-b": 0.6}
    assert worst_loads(loads, "during") == {}
