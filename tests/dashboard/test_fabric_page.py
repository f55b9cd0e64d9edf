"""The page of `topology show`: what it says, and that nothing from a file becomes HTML."""

from pathlib import Path

import pytest

from fabricscope.dashboard.fabric_page import FabricPage, render_fabric_page, write_fabric_page
from fabricscope.errors import ConfigError
from fabricscope.topology.builders import build
from fabricscope.topology.checks import check_fabric
from fabricscope.topology.fabric import Device, Fabric, Link


def _page(fabric: Fabric, notes: tuple[str, ...] = ()) -> str:
    checks, bisection = check_fabric(fabric)
    return render_fabric_page(FabricPage(fabric, checks, bisection, notes))


def test_the_page_has_totals_checks_links_and_notes() -> None:
    page = _page(build("dgx-h100-su"), ("links without a stated rate: 3",))
    for text in (
        "256 GPUs, 8 leaves, 4 spines: 1 notice", "32 servers, NVLink inside",
        "4 for each endpoint",
        "Single points", "leaf - spine", "links without a stated rate: 3", "figure-fabric",
    ):  # fmt: skip
        assert text in page


def test_the_page_loads_nothing_and_escapes_names() -> None:
    devices = (Device("<script>x</script>", "host", 0), Device("</title>", "leaf", 1))
    fabric = Fabric("<img src=x>", devices, (Link(0, 1, 1.0),))
    page = _page(fabric, ("<b>note</b>",))
    head = page[: page.index('id="figures"')]
    for text in ("<script>x", "<img src=x>", "<b>note"):
        assert text not in head
    assert "default-src 'none'" in page


def test_a_large_fabric_stays_a_page_that_opens() -> None:
    page = _page(build("pod-2048"))
    figure = page[page.index('id="figures"') : page.index("</script>", page.index('id="figures"'))]
    assert len(figure) < 400_000


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    fabric = build("leaf-spine:1x1x1")
    checks, bisection = check_fabric(fabric)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_fabric_page(FabricPage(fabric, checks, bisection), str(tmp_path / "no" / "x.html"))
