"""The HTML report of `analyze`: one page that needs no network. What it says is in summary.py."""

from typing import Final

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
from fabricscope.dashboard.figures.gantt import draw_gantt
from fabricscope.dashboard.figures.matrix import draw_traffic_matrix
from fabricscope.dashboard.figures.ranks import draw_ranks
from fabricscope.dashboard.figures.timeline import draw_events, draw_throughput
from fabricscope.dashboard.page import (
    ROWS_LIMIT,
    Bar,
    Page,
    Panel,
    Section,
    render_page,
    write_page,
)
from fabricscope.dashboard.paths import PATHS, describe_spread, list_paths
from fabricscope.dashboard.quantities import format_ratio
from fabricscope.dashboard.summary import (
    Document,
    describe_verdict,
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

FINDINGS_LIMIT: Final = 200
WIDE_MATRIX_HOSTS: Final = 16
"""With more hosts the traffic matrix takes the full width."""
FRAMES_LIMIT: Final = 20
JOBS_LIMIT: Final = 12
"""Jobs with a chapter of their own."""
_WORDS: Final = {"ok": "No fault found", "empty": "Nothing to analyse"}


def write_report(document: Document, path: str) -> None:
    """Write the report on `document` to the file `path`, replacing what is there.

    Raises ConfigError if the file cannot be written.
    """
    write_page(render_report(document), path)


def render_report(document: Document) -> str:
    """Return the report on `document` as the text of one HTML page."""
    verdict = describe_verdict(document)
    page = Page(
        title=verdict.headline,
        word=_WORDS.get(verdict.severity, verdict.severity.capitalize()),
        verdict=verdict,
        totals=list_totals(document),
        sections=build_sections(document),
        definitions=DEFINITIONS,
        remarks_title="Before you trust the numbers",
        remarks=list_caveats(document),
        lost=lost_packets(document),
    )
    return render_page(
        "report.html",
        page,
        capture=document["capture"],
        findings=rank_findings(document)[:FINDINGS_LIMIT],
        findings_total=len(document["findings"]),
        frames_limit=FRAMES_LIMIT,
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
            bars=_measure_protocols(document),
            bars_title=("Protocols", "a packet counts for each protocol it holds"),
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


def _some_tables(*tables: Table) -> tuple[Table, ...]:
    return tuple(table for table in tables if table.rows)


def _measure_protocols(document: Document) -> tuple[Bar, ...]:
    """Return the protocols, most packets first, with their share of the distinct packets."""
    capture = document["capture"]
    packets = capture["packets"] - capture["duplicate_packets"]
    named = sorted(document["protocols"].items(), key=lambda item: -item[1])
    return tuple(
        Bar(
            name,
            count,
            format_ratio(count, packets),
            round(min(1.0, count / packets) * 100, 3) if packets else 0.0,
        )
        for name, count in named
    )
