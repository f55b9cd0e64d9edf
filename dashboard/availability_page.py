"""The HTML page of `availability`: one file that needs no network.

What it says is in availability_summary.py.
"""

from collections.abc import Mapping
from typing import Any, Final

from fabricscope.dashboard.availability_summary import (
    COLUMNS,
    describe_saving,
    list_study_totals,
)
from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.figures.availability import draw_interruptions, draw_lost_hours
from fabricscope.dashboard.page import (
    ROWS_LIMIT,
    Page,
    Panel,
    Section,
    render_page,
    write_page,
)
from fabricscope.dashboard.summary import Verdict

__all__ = ["render_availability_page", "write_availability_page"]

Document = Mapping[str, Any]
"""The JSON document of `availability`."""

DEFINITIONS: Final = (
    ("Interruption", "A failure that ends the job: it restarts from its last checkpoint, and loses "
     "what it has done since (rework) and the time of the restart."),
    ("Stall", "A failure that the job outlives: from it until the new path is in use, and what "
     "the NICs' time-outs and the steps under way add."),
    ("Goodput", "The share of the GPU hours of a month that is neither lost nor spent on writing "
     "checkpoints."),
    ("Checkpoint interval", "The best one for the mean time between interruptions, by Daly's "
     "formula; given with --interval it is what was asked for."),
    ("Intervals", "95 % of the mean over the months drawn."),
    ("Rates", "Published for devices and links, assumed for flaps: docs/recovery.md names every "
     "source. The same months are drawn for all schemes."),
)  # fmt: skip


def write_availability_page(document: Document, path: str) -> None:
    """Write the page on `document` to the file `path`. Raises ConfigError if it cannot."""
    write_page(render_availability_page(document), path)


def render_availability_page(document: Document) -> str:
    """Return the page on `document` as the text of one HTML file."""
    study = document["availability"]
    results = study["results"]
    headline = describe_saving(results) or "What failures cost training in a month."
    table = build_table("results", "What a month costs", COLUMNS, results, ROWS_LIMIT)
    panels = (
        Panel("lost", "GPU hours lost in a month", draw_lost_hours(results)),
        Panel("interruptions", "Interruptions by cause", draw_interruptions(results)),
    )
    page = Page(
        title=headline,
        word="Availability",
        verdict=Verdict("notice", headline, ()),
        totals=list_study_totals(study),
        sections=(Section("month", "A month of training", panels, (table,)),),
        definitions=DEFINITIONS,
        remarks_title="How to read the numbers",
        remarks=(
            "What DPFR saves comes from flaps above all, whose rate a link is assumed "
            "(--set flaps).",
            "Failures are independent of one another, and the same ones for all schemes; hosts "
            "with one port at each leaf are beyond any recovery scheme.",
        ),
    )
    return render_page("availability.html", page, seed=study["seed"], profile=study["profile"])
