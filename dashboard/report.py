"""The HTML report of `analyze`: one page that needs no network. What it says is in summary.py.

Texts from packets and file names are escaped by the template, and those inside figures by the
figure functions; the page's own policy forbids it to load anything.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fabricscope import __version__
from fabricscope.dashboard.applications import list_applications
from fabricscope.dashboard.columns import Table, build_table
from fabricscope.dashboard.definitions import DEFINITIONS
from fabricscope.dashboard.figures.applications import draw_applications
from fabricscope.dashboard.figures.bandwidth import draw_bus_bandwidth
from fabricscope.dashboard.figures.distributions import (
    draw_ack_round_trips,
    draw_message_times,
    draw_packet_sizes,
)
from fabricscope.dashboard.figures.drawing import CONFIG
from fabricscope.dashboard.figures.gantt import draw_gantt
from fabricscope.dashboard.figures.matrix import draw_traffic_matrix
from fabricscope.dashboard.figures.palette import DARK, LIGHT
from fabricscope.dashboard.figures.ranks import draw_ranks
from fabricscope.dashboard.figures.timeline import draw_events, draw_throughput
from fabricscope.dashboard.paths import PATHS, describe_spread, list_paths
from fabricscope.dashboard.plain_text import neutralise
from fabricscope.dashboard.quantities import format_count, format_duration, format_ratio
from fabricscope.dashboard.summary import (
    Document,
    Total,
    describe_verdict,
    format_value,
    list_caveats,
    list_totals,
    lost_packets,
    rank_findings,
    rank_flows,
    rank_queue_pairs,
)
from fabricscope.dashboard.tables import (
    ALERTS,
    APPLICATIONS,
    CHECKPOINTS,
    COLLECTIVES,
    CONNECTIONS,
    FLOWS,
    IWARP,
    NEIGHBOURS,
    PAUSE,
    QUEUE_PAIRS,
    TAPS,
)
from fabricscope.dashboard.training import (
    describe_diagnosis,
    edges_of,
    list_checkpoints,
    list_job_facts,
    list_jobs,
    name_collective,
    suspects,
)
from fabricscope.errors import ConfigError

ROWS_LIMIT: Final = 1000
"""Most rows of one table; the JSON document has them all."""
FINDINGS_LIMIT: Final = 200
WIDE_MATRIX_HOSTS: Final = 16
"""With more hosts the traffic matrix takes the full width."""
FRAMES_LIMIT: Final = 20
JOBS_LIMIT: Final = 12
"""Jobs with a chapter of their own."""


class Panel(NamedTuple):
    """One figure on the page; a `wide` one takes the full width."""

    name: str
    title: str
    figure: go.Figure
    wide: bool = False


class Section(NamedTuple):
    """A chapter of the page: a sentence and numbers, figures, tables. Its name is its anchor.

    `tone` is that of the sentence: a severity or `ok`.
    """

    name: str
    title: str
    panels: tuple[Panel, ...] = ()
    tables: tuple[Table, ...] = ()
    lead: str = ""
    tone: str = "ok"
    facts: tuple[Total, ...] = ()
    footnote: str = ""


def write_report(document: Document, path: str) -> None:
    """Write the report on `document` to the file `path`, replacing what is there.

    Raises ConfigError if the file cannot be written.
    """
    page = render_report(document)
    try:
        Path(path).write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(
            f"The report cannot be written to {path} ({error.strerror}): name a file in a "
            "directory that exists and may be written."
        ) from error


def render_report(document: Document) -> str:
    """Return the report on `document` as the text of one HTML page."""
    sections = build_sections(document)
    environment = Environment(
        loader=PackageLoader("fabricscope.dashboard", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        plain=neutralise, count=format_count, duration=format_duration, value=format_value
    )
    return environment.get_template("report.html").render(
        capture=document["capture"],
        verdict=describe_verdict(document),
        caveats=list_caveats(document),
        totals=list_totals(document),
        findings=_limit_findings(document),
        findings_total=len(document["findings"]),
        protocols=_measure_protocols(document),
        lost=lost_packets(document),
        sections=sections,
        definitions=DEFINITIONS,
        frames_limit=FRAMES_LIMIT,
        version=__version__,
        figures=embed_json(
            {
                "light": LIGHT.to_plotly_json(),
                "dark": DARK.to_plotly_json(),
                "config": CONFIG,
                "figures": [
                    {"name": panel.name, "figure": json.loads(panel.figure.to_json())}
                    for section in sections
                    for panel in section.panels
                ],
            }
        ),
        plotly_js=Markup(get_plotlyjs()),
    )


def build_sections(document: Document) -> list[Section]:
    """Return the chapters of the page in reading order, without those that have nothing to say."""
    if not document["capture"]["packets"]:
        return []
    timeline, spread = document["timeline"], document["distributions"]
    matrix = document["traffic_matrix"]
    many = len(matrix["hosts"]) > WIDE_MATRIX_HOSTS
    taps = document["capture"]["taps"]
    pairs, flows = rank_queue_pairs(document), rank_flows(document)
    rdma = (
        Panel("message-times", "Message completion time", draw_message_times(spread["message_us"])),
        Panel("ack-round-trips", "ACK round trip", draw_ack_round_trips(spread["ack_rtt_us"])),
    )
    connections = document["connections"]
    alerts = document.get("alerts") or []
    sections = [
        Section(
            "alerts",
            "Alerts",
            tables=_some_tables(
                build_table("rules", "Matches of your rules", ALERTS, alerts, ROWS_LIMIT)
            ),
        ),
        *_training_sections(document),
        Section(
            "over-time",
            "Over time",
            (
                Panel("throughput", "Throughput", draw_throughput(timeline), True),
                Panel("events", "Loss and congestion", draw_events(timeline), True),
            ),
        ),
        _applications_section(document),
        Section(
            "rdma",
            "RDMA" if pairs or connections or document["iwarp"] else "Flow control",
            rdma if pairs else (),
            _some_tables(
                build_table("queue-pairs", "Queue pairs", QUEUE_PAIRS, pairs, ROWS_LIMIT),
                build_table(
                    "connections", "RDMA CM connections", CONNECTIONS, connections, ROWS_LIMIT
                ),
                build_table("iwarp", "iWARP connections", IWARP, document["iwarp"], ROWS_LIMIT),
                build_table("pause", "Pause frames", PAUSE, document["pause"], ROWS_LIMIT),
            ),
        ),
        Section(
            "traffic",
            "Traffic",
            (
                Panel("matrix", "Host to host", draw_traffic_matrix(matrix), wide=many),
                Panel("sizes", "Packet sizes", draw_packet_sizes(spread["packet_size_bytes"])),
            ),
            _some_tables(
                build_table("paths", "Parallel paths", PATHS, list_paths(document), ROWS_LIMIT),
                build_table("flows", "Flows", FLOWS, flows, ROWS_LIMIT, document["flows_total"]),
                build_table(
                    "neighbours", "LLDP neighbours", NEIGHBOURS, document["neighbours"], ROWS_LIMIT
                ),
                build_table("taps", "Taps", TAPS, taps if len(taps) > 1 else [], ROWS_LIMIT),
            ),
            footnote=describe_spread(document),
        ),
    ]
    return [section for section in sections if section.panels or section.tables]


def _training_sections(document: Document) -> list[Section]:
    """Return a chapter for each job, at most `JOBS_LIMIT`."""
    jobs = list_jobs(document)
    start_ns = document["capture"]["start_ns"]
    hidden = len(jobs) - JOBS_LIMIT
    return [
        Section(
            f"training-{job.number}",
            "Training" if len(jobs) == 1 else f"Training job {job.number}",
            (
                Panel(f"gantt-{job.number}", "Iterations", draw_gantt(job, start_ns), True),
                Panel(f"busbw-{job.number}", "Bus bandwidth", draw_bus_bandwidth(job)),
                Panel(
                    f"ranks-{job.number}",
                    "Who sends to whom"
                    + (f": {name_collective(job.main)}" if job.main is not None else ""),
                    draw_ranks(job, edges_of(job, document)),
                ),
            ),
            _some_tables(
                build_table(
                    f"collectives-{job.number}",
                    "Collectives",
                    COLLECTIVES,
                    job.collectives,
                    ROWS_LIMIT,
                ),
                build_table(
                    f"checkpoints-{job.number}",
                    "Checkpoints",
                    CHECKPOINTS,
                    list_checkpoints(job, start_ns),
                    ROWS_LIMIT,
                ),
            ),
            describe_diagnosis(job),
            "warning" if suspects(job) else "ok",
            tuple(list_job_facts(job)),
            f"{hidden:,} more jobs are in the JSON document."
            if hidden > 0 and job.number == JOBS_LIMIT
            else "",
        )
        for job in jobs[:JOBS_LIMIT]
    ]


def _applications_section(document: Document) -> Section:
    rows = list_applications(document)
    listed = len(document["flows"])
    note = (
        f"Of the {listed:,} flows with the most bytes; there are {document['flows_total']:,}."
        if document["flows_total"] > listed
        else ""
    )
    table = build_table("applications", "Payload against behaviour", APPLICATIONS, rows, ROWS_LIMIT)
    return Section(
        "applications",
        "Applications",
        (Panel("applications-map", "Bytes by application", draw_applications(rows), True),),
        _some_tables(table),
        footnote=note,
    )


def embed_json(value: object) -> Markup:
    """Return JSON that can stand inside a script element: no character there can end it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _some_tables(*tables: Table) -> tuple[Table, ...]:
    return tuple(table for table in tables if table.rows)


def _limit_findings(document: Document) -> list[dict[str, Any]]:
    return rank_findings(document)[:FINDINGS_LIMIT]


def _measure_protocols(document: Document) -> Sequence[Mapping[str, object]]:
    """Return the protocols, most packets first, with their share of the distinct packets."""
    capture = document["capture"]
    packets = capture["packets"] - capture["duplicate_packets"]
    named = sorted(document["protocols"].items(), key=lambda item: -item[1])
    return [
        {
            "name": name,
            "packets": count,
            "share": format_ratio(count, packets),
            "width": round(min(1.0, count / packets) * 100, 3) if packets else 0,
        }
        for name, count in named
    ]
