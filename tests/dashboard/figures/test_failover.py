"""Figures of failovers say so when they have nothing to show, and keep to their axes."""

from typing import Any

from fabricscope.dashboard.figures import failover
from fabricscope.dashboard.figures.link_loads import draw_link_loads

RESULT: dict[str, Any] = {
    "recovery": "dpfr", "roles": {}, "iterations": [], "transfer_us": None,
    "samples": {"convergence_us": [None], "stall_us": [0.0]},
}  # fmt: skip


def is_empty(figure: Any) -> bool:
    return bool(figure.layout.meta and figure.layout.meta.get("empty"))


def test_figures_without_data_say_so() -> None:
    document = {"results": [RESULT]}
    assert is_empty(failover.draw_timelines(document))
    assert is_empty(failover.draw_breakdown(document))
    assert is_empty(failover.draw_iterations(document))
    assert is_empty(failover.draw_transfer_times(document))
    assert is_empty(failover.draw_spread(document, "convergence_us", "Convergence"))
    assert is_empty(draw_link_loads([]))


def test_a_breakdown_is_drawn_in_shares() -> None:
    parts = {"detect": 1.0, "sample": 0.0, "notify": 1.0, "install": 2.0, "switch": 0.0}
    roles = {"remote": {"convergence_us": 4.0, "breakdown_us": parts, "devices": 1}}
    figure = failover.draw_breakdown({"results": [{**RESULT, "roles": roles}]})
    assert [bar.x[0] for bar in figure.data] == [25.0, 25.0, 50.0]


def test_a_breakdown_of_nothing_is_empty_and_has_no_labels_in_the_void() -> None:
    parts = dict.fromkeys(("detect", "sample", "notify", "install", "switch"))
    roles = {"remote": {"convergence_us": None, "breakdown_us": parts, "devices": 0}}
    assert is_empty(failover.draw_breakdown({"results": [{**RESULT, "roles": roles}]}))


def load(source: str, target: str, after: float | None) -> dict[str, Any]:
    return {"from": source, "to": target, "before": 0.5, "during": None, "after": after}


def test_small_fabrics_are_maps_without_empty_windows() -> None:
    figure = draw_link_loads([load("leaf0", "spine0", 0.9), load("spine0", "leaf0", 0.1)])
    assert [trace.type for trace in figure.data] == ["heatmap", "heatmap"]


def test_large_fabrics_are_bars_of_the_busiest_channels() -> None:
    loads = [load(f"leaf{n}", f"spine{n % 70}", 0.5 + n / 1000) for n in range(500)]
    figure = draw_link_loads(loads)
    assert figure.data[0].type == "bar"
    assert len(figure.data[0].y) == 40
    assert figure.data[0].y[0] == "leaf499 to spine9"
