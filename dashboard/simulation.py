"""The HTML report of `simulate`: one page that needs no network. What it says is in failover.py."""

from typing import Final

from fabricscope.dashboard.columns import build_table
from fabricscope.dashboard.failover import (
    Document,
    describe_headline,
    list_remarks,
    list_totals,
    result_rows,
)
from fabricscope.dashboard.failover_tables import CONVERGENCE, COSTS
from fabricscope.dashboard.figures.failover import (
    draw_breakdown,
    draw_iterations,
    draw_spread,
    draw_timelines,
    draw_transfer_times,
)
from fabricscope.dashboard.figures.link_loads import draw_link_loads
from fabricscope.dashboard.page import (
    ROWS_LIMIT,
    Page,
    Panel,
    Section,
    render_page,
    write_page,
)

MAPS_LIMIT: Final = 8
"""Schemes with a map of link loads of their own."""

DEFINITIONS: Final = (
    ("Convergence", "From the failure until the last affected flow has a working path. Its parts "
     "are those of the device that was last: detect (someone knows), sample (a packet was there "
     "to sample), notify (messages on their way), install (routes computed and written), switch "
     "(forwarding uses them)."),
    ("Local, remote", "Local: the device that loses its own port picks another one. Remote: a "
     "device that is told of a failure elsewhere stops sending there."),
    ("What the job loses", "Job completion time with the failure, less that without, in the same "
     "repetition with the same paths. It includes what the NIC needs after the path is there."),
    ("Loss", "From the first packet lost to the last; packets and bytes on the wire that were "
     "sent into the dead link or were on it. The flow level works them out from rates."),
    ("Queue pairs in an RTT", "Lost packets in mid-message draw a NAK, and the sender goes back at "
     "once. Where the end of a message or window was lost nothing draws a NAK, and the sender "
     "waits for its ACK time-out."),
    ("MMR, JFI", "Largest load of a link between switches over the mean, and Jain's fairness "
     "index, (sum of x)² / (n · sum of x²): 1 is even. Of links upwards, after the failure."),
    ("Intervals", "Over repetitions numbers are medians; intervals are those of the mean at 95 %, "
     "by Student's t."),
)  # fmt: skip


def write_simulation_report(document: Document, path: str) -> None:
    """Write the report on `document` to the file `path`, replacing what is there.

    Raises ConfigError if the file cannot be written.
    """
    write_page(render_simulation_report(document), path)


def render_simulation_report(document: Document) -> str:
    """Return the report on `document` as the text of one HTML page."""
    verdict = describe_headline(document)
    page = Page(
        title=verdict.headline,
        word="Simulated failover",
        verdict=verdict,
        totals=list_totals(document),
        sections=build_sections(document),
        definitions=DEFINITIONS,
        remarks_title="How to read the numbers",
        remarks=list_remarks(document),
    )
    return render_page(
        "simulation.html",
        page,
        name=document["scenario"]["name"],
        plan=document["fabric"]["plan"] or document["fabric"]["name"],
        engine=document["scenario"]["engine_used"],
        seed=document["scenario"]["seed"],
    )


def build_sections(document: Document) -> list[Section]:
    """Return the chapters of the page in reading order."""
    results = document["results"]
    repeated = document["scenario"]["repetitions"] > 1
    spread = (
        Panel("cdf-convergence", "Convergence over the repetitions",
              draw_spread(document, "convergence_us", "Convergence")),
        Panel("cdf-stall", "What the job loses over the repetitions",
              draw_spread(document, "stall_us", "Longer than without failure")),
    )  # fmt: skip
    transfers = Panel(
        "cdf-transfers", "Ends of transfers, first repetition", draw_transfer_times(document), True
    )
    sections = [
        Section(
            "convergence", "Convergence",
            (
                Panel("timeline", "Timeline of each scheme", draw_timelines(document)),
                Panel("breakdown", "What each convergence is made of", draw_breakdown(document)),
            ),
            (build_table("convergence-table", "Convergence by role", CONVERGENCE,
                         result_rows(document), ROWS_LIMIT),),
        ),
        Section(
            "job", "The job",
            (Panel("iterations", "Duration of each iteration", draw_iterations(document), True),),
            (build_table("results", "What each scheme costs", COSTS, results, ROWS_LIMIT),),
        ),
        Section(
            "loads", "Link loads",
            tuple(
                Panel(f"loads-{place}", f"Load of links between switches: {result['recovery']}",
                      draw_link_loads(result["link_loads"]), True)
                for place, result in enumerate(results[:MAPS_LIMIT])
            ),
            footnote=_describe_maps(document),
        ),
        Section(
            "spread", "Distributions", (*spread, transfers) if repeated else (transfers,)
        ),
    ]  # fmt: skip
    return [section for section in sections if section.panels or section.tables]


def _describe_maps(document: Document) -> str:
    hidden = len(document["results"]) - MAPS_LIMIT
    left_out = f" {hidden:,} more schemes are in the JSON document." if hidden > 0 else ""
    return (
        "Mean load in each window as a share of the nominal rate: before the failure, until the "
        f"last route change, and from there to the end.{left_out}"
    )
