"""The HTML page of `topology show`: one file that needs no network.

What it says is in fabric_summary.py. Names of devices come from files and are escaped by the
template and the figure; the page's own policy forbids it to load anything.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fabricscope import __version__
from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.fabric_layout import lay_out
from fabricscope.dashboard.fabric_summary import (
    LINKS,
    headline,
    link_rows,
    list_fabric_totals,
    worst_severity,
)
from fabricscope.dashboard.figures.drawing import CONFIG
from fabricscope.dashboard.figures.fabric import draw_fabric
from fabricscope.dashboard.figures.palette import DARK, LIGHT
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_count
from fabricscope.dashboard.report import embed_json
from fabricscope.errors import ConfigError
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
    text = render_fabric_page(page)
    try:
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(
            f"The report cannot be written to {path} ({error.strerror}): name a file in a "
            "directory that exists and may be written."
        ) from error


def render_fabric_page(page: FabricPage) -> str:
    """Return the page as the text of one HTML file."""
    fabric = page.fabric
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
    environment = Environment(
        loader=PackageLoader("fabricscope.dashboard", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=neutralise, count=format_count)
    figure = draw_fabric(fabric, layout, suspects)
    return environment.get_template("topology.html").render(
        severity=worst_severity(page.checks),
        headline=headline(fabric, page.checks),
        name=fabric.name,
        plan=fabric.plan if fabric.plan != fabric.name else "",
        notes=page.notes,
        totals=list_fabric_totals(fabric, page.bisection),
        grouped=layout.grouped,
        checks=page.checks,
        names_limit=NAMES_LIMIT,
        tables=[build_table("links", "Links by tier", LINKS, link_rows(fabric), 100)],
        definitions=DEFINITIONS,
        version=__version__,
        figures=embed_json(
            {
                "light": LIGHT.to_plotly_json(),
                "dark": DARK.to_plotly_json(),
                "config": CONFIG,
                "figures": [{"name": "fabric", "figure": json.loads(figure.to_json())}],
            }
        ),
        plotly_js=Markup(get_plotlyjs()),
    )
