"""The page of `availability`: what it says of a small study, and of studies without DPFR."""

from pathlib import Path
from typing import Any

import pytest

from fabricscope.dashboard.availability_page import (
    render_availability_page,
    write_availability_page,
)
from fabricscope.dashboard.availability_summary import COLUMNS, describe_saving
from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.figures.availability import draw_interruptions, draw_lost_hours
from fabricscope.errors import ConfigError
from fabricscope.topology.availability.study import build_settings, run_study


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    cluster, rates = build_settings({})
    return run_study([512, 1024], ["dpfr", "bgp", "none"], 20, 1, cluster, rates, "asic", None)


def test_the_page_has_numbers_figures_and_a_table(document: dict[str, Any]) -> None:
    page = render_availability_page(document)
    for part in ("DPFR saves", "512 .. 1,024", "GPU hours lost in a month", "Goodput", "seed 1"):
        assert part in page
    own = page.split('<script type="application/json"')[0]
    assert 'src="http' not in own
    assert "default-src 'none'" in own


def test_what_is_saved_is_said_of_the_largest_cluster_only(document: dict[str, Any]) -> None:
    results = document["availability"]["results"]
    said = describe_saving(results)
    assert said.startswith("On 1,024 GPUs DPFR saves ")
    assert "GPU hours a month over bgp, " in said
    assert describe_saving([one for one in results if one["recovery"] != "dpfr"]) == ""
    assert describe_saving([one for one in results if one["recovery"] == "dpfr"]) == ""


def test_lost_hours_are_shares_of_the_month(document: dict[str, Any]) -> None:
    results = document["availability"]["results"]
    figure = draw_lost_hours(results)
    for place, result in enumerate(results):
        lost = sum(bar.x[place] for bar in figure.data)
        assert lost == pytest.approx(100 * (1 - result["goodput"]["mean"]))


def test_interruptions_compare_between_sizes(document: dict[str, Any]) -> None:
    results = document["availability"]["results"]
    figure = draw_interruptions(results)
    for place, result in enumerate(results):
        drawn = sum(bar.x[place] for bar in figure.data)
        assert drawn == pytest.approx(1000 * result["interruptions"]["mean"] / result["gpus"])
    quiet = [{**results[0], "interruptions_by_cause": {"gpu": 0.0}}]
    assert draw_interruptions(quiet).layout.meta


def test_the_table_has_a_row_for_each_size_and_scheme(document: dict[str, Any]) -> None:
    table = build_table("x", "X", COLUMNS, document["availability"]["results"], 100)
    assert [row[1].text for row in table.rows] == ["dpfr", "bgp", "none"] * 2
    assert [column.title for column in table.columns][:3] == ["GPUs", "Scheme", "Interruptions"]


def test_a_page_that_cannot_be_written(document: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_availability_page(document, str(tmp_path / "none" / "x.html"))
