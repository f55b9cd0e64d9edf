"""The HTML page of `topology show`: one file that needs no network.

What it says is in fabric_summary.py.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.fabric_layout import lay_out
from fabricscope.dashboard.fabric_summary import (
    LINKS,
    headline,
    link_rows,
    list_fabric_totals,
    worst_severity,
)
from fabricscope.dashboard.figures.fabric import draw_fabric
from fabricscope.dashboard.page import Page, Panel, Section, render_page, write_page
from fabricscope.dashboard.summary import Verdict
from fabricscope.topology.bisection import Bisection
from fabricscope.topology.checks import Check
from fabricscope.topology.fabric import Fabric

__all__ = ["FabricPage", "render_fabric_page", "write_fabric_page"]

SWITCHES_LIMIT: Final = 64
"""Most blocks of a tier of switches; above it they are grouped."""
ENDPOINTS_LIMIT: Final = 128
LINES_LIMIT: Final = 700
"""More lines are a fog: the switches are then grouped further."""
NAMES_LIMIT: Final = 40
_COARSER: Final = (SWITCHES_LIMIT, 32, 16, 8)
_GROUPED: Final = "framed blocks stand for several devices: point at one to see which"

DEFINITIONS: Final = (
    ("Bisection", "What one half of the endpoints can send to the other half at once: the maximum "
     "flow between the halves by place (pod, then leaf), which in Clos fabrics is the split with "
     "the least bandwidth."),
    ("Equal-cost links", "Links out of a leaf that are on a shortest path to another leaf."),
    ("Single points", "Switches without which endpoints are cut off. A host with one port always "
     "has one: its leaf."),
    ("Symmetry", "Devices of one kind should have the same links up and down; hashing spreads "
     "traffic evenly only over equal paths."),
    ("Transceivers", "Two for each fibre; cables up to 3 m are taken for copper."),
)  # fmt: skip


class FabricPage(NamedTuple):
    """What the page shows: a fabric, its checks, and what its importer noted."""

    fabric: Fabric
    checks: Sequence[Check]
    bisection: Bisection
    notes: Sequence[str] = ()


def write_fabric_page(page: FabricPage, path: str) -> None:
    """Write the page to the file `path`, replacing what is there.

    Raises ConfigError if the file cannot be written.
    """
    write_page(render_fabric_page(page), path)


def render_fabric_page(page: FabricPage) -> str:
    """Return the page as the text of one HTML file."""
    fabric = page.fabric
    severity = worst_severity(page.checks)
    for limit in _COARSER:
        layout = lay_out(fabric, limit, ENDPOINTS_LIMIT)
        if len(layout.bundles) <= LINES_LIMIT:
            break
    suspects = [
        name
        for check in page.checks
        if check.severity in ("critical", "warning")
        for name in check.names
    ]
    shown = Page(
        title=fabric.name,
        word="Cabling is sound" if severity == "ok" else severity.capitalize(),
        verdict=Verdict(severity, headline(fabric, page.checks), ()),
        totals=list_fabric_totals(fabric, page.bisection),
        sections=(
            Section(
                "picture",
                "Picture",
                (
                    Panel(
                        "fabric",
                        "Tiers, cores on top",
                        draw_fabric(fabric, layout, suspects),
                        True,
                        _GROUPED if layout.grouped else "",
                    ),
                ),
            ),
            Section(
                "links",
                "Links",
                tables=(build_table("tiers", "Links by tier", LINKS, link_rows(fabric), 100),),
            ),
        ),
        definitions=DEFINITIONS,
        remarks_title="Before you trust the numbers",
        remarks=page.notes,
    )
    return render_page(
        "topology.html",
        shown,
        name=fabric.name,
        plan=fabric.plan if fabric.plan != fabric.name else "",
        checks=page.checks,
        names_limit=NAMES_LIMIT,
    )
