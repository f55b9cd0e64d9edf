"""The HTML report of `simulate`: complete, self-contained, and safe."""

import re
from pathlib import Path
from typing import Any

import pytest

from fabricscope.dashboard.simulation import (
    build_sections,
    render_simulation_report,
    write_simulation_report,
)
from fabricscope.errors import ConfigError
from fabricscope.topology.scenario_file import Source
from fabricscope.topology.simulation import simulate

CASE: dict[str, Any] = {
    "name": "<b>uplink</b> & more",
    "fabric": "leaf-spine:4x4x4@100G",
    "workload": "allreduce:ring:4MiB:order=rail:iterations=3",
    "failures": ["leaf3-spine1@300us"],
    "recovery": ["dpfr", {"name": "bgp", "label": "<script>alert(1)</script>"}, "none"],
    "engine": "flow",
    "repetitions": 3,
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return simulate(CASE, Source("case.toml"))


def test_the_page_has_all_chapters_and_loads_nothing(document: dict[str, Any]) -> None:
    page = render_simulation_report(document)
    for name in ("convergence", "job", "loads", "spread", "made"):
        assert f'id="{name}"' in page
    own = page.split('<script type="application/json"')[0]
    assert not re.search(r'(src|href)="https?:', own)
    assert "default-src 'none'" in page


def test_names_of_the_scenario_are_escaped(document: dict[str, Any]) -> None:
    page = render_simulation_report(document)
    assert "<b>uplink" not in page
    assert "<script>alert(1)" not in page


def test_every_figure_has_data(document: dict[str, Any]) -> None:
    panels = [panel for section in build_sections(document) for panel in section.panels]
    names = {panel.name for panel in panels}
    assert {"timeline", "breakdown", "iterations", "loads-0", "cdf-convergence", "cdf-stall",
            "cdf-transfers"} <= names  # fmt: skip
    for panel in panels:
        assert panel.figure.data, panel.name


def test_a_page_without_failure_is_drawn_as_well() -> None:
    quiet = simulate({**CASE, "failures": [], "repetitions": 1}, Source("case.toml"))
    assert "Without failure" in render_simulation_report(quiet)


def test_a_page_that_cannot_be_written_is_one_sentence(
    document: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_simulation_report(document, str(tmp_path / "none" / "page.html"))
