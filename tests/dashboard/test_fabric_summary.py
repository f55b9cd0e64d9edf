"""What is said of a fabric in numbers."""

from fabricscope.dashboard.fabric_summary import (
    headline,
    link_rows,
    list_fabric_totals,
    worst_severity,
)
from fabricscope.topology.bisection import find_bisection
from fabricscope.topology.builders import build
from fabricscope.topology.checks import Check


def test_headlines_count_devices_and_outcomes() -> None:
    checks = [Check("a", "ok", ""), Check("b", "warning", ""), Check("c", "warning", "")]
    fabric = build("leaf-spine:1x2x1")
    assert headline(fabric, checks) == "1 host, 1 leaf, 2 spines: 2 warnings"
    assert headline(build("rail:2x2x1"), checks[:1]) == (
        "4 GPUs, 2 leaves, 1 spine: all checks passed"
    )
    assert worst_severity(checks) == "warning"
    assert worst_severity([]) == "ok"


def test_totals_and_links() -> None:
    fabric = build("rail:2x4x2@100G,links=3,uplink=200G")
    totals = {one.label: (one.value, one.note) for one in list_fabric_totals(
        fabric, find_bisection(fabric))}  # fmt: skip
    assert totals["Endpoints"] == ("8", "2 servers, NVLink inside")
    assert totals["Switches"] == ("6", "4 leaves, 2 spines")
    assert totals["Transceivers"] == ("48", "6 for each endpoint")
    assert totals["Bisection"] == ("400 Gb/s", "100 % of what half of the endpoints can send")
    assert link_rows(fabric)[2] == {
        "ends": "leaf - spine", "links": 24, "rate": "200 Gb/s", "length": "30 m",
        "capacity_gbps": 4800.0, "optics": 48,
    }  # fmt: skip
