"""The report of `analyze` on a terminal: verdict first, findings last, next to the prompt.

What is said comes from fabricscope.dashboard.summary and its tables; here it is laid out.
"""

from collections.abc import Callable
from typing import Any, Final

from rich.console import Console

from fabricscope.cli.screen import SEVERITY_STYLES, Screen
from fabricscope.cli.training import print_training, print_training_briefly
from fabricscope.dashboard.applications import list_applications
from fabricscope.dashboard.columns import Column, Row, build_table
from fabricscope.dashboard.evidence import describe_evidence
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
    CONNECTIONS,
    FLOWS,
    IWARP,
    NEIGHBOURS,
    PAUSE,
    QUEUE_PAIRS,
    TAPS,
)

FLOWS_LIMIT: Final = 10
QUEUE_PAIRS_LIMIT: Final = 15
ROWS_LIMIT: Final = 10
FINDINGS_LIMIT: Final = 20
BRIEF_ROWS: Final = 3
BRIEF_FINDINGS: Final = 2
FRAMES_LIMIT: Final = 12
PROTOCOLS_LIMIT: Final = 12
_LABEL_WIDTH: Final = 20


def print_report(document: Document, console: Console) -> None:
    """Print the report on `document`, the JSON document of `analyze`."""
    screen = Screen(console)
    for section in SECTIONS:
        section(document, screen)


def print_brief(document: Document, console: Console) -> None:
    """Print what matters most of `document`: taps, a few queue pairs, pauses and findings."""
    screen = Screen(console)
    _print_taps(document, screen)
    print_training_briefly(document, screen)
    _print_queue_pairs(document, screen, BRIEF_ROWS)
    _print_pause(document, screen)
    _print_findings(document, screen, BRIEF_FINDINGS)


def _print_verdict(document: Document, screen: Screen) -> None:
    verdict = describe_verdict(document)
    style = SEVERITY_STYLES.get(verdict.severity, "bold")
    word = {"ok": "OK", "empty": "EMPTY"}.get(verdict.severity, verdict.severity.upper())
    screen.line((word, style), ("  ", ""), (verdict.headline, "bold"))
    for reason in verdict.reasons:
        screen.line(("- ", style), (reason, ""), indent=2, hang=2)
    for caveat in list_caveats(document):
        screen.line(("! ", "yellow"), (caveat, ""), indent=2, hang=2)


def _print_totals(document: Document, screen: Screen) -> None:
    screen.heading("Totals", _source(document))
    for total in list_totals(document):
        mark = "†" if total.distorted else ""
        value = screen.clean(f"{total.value}{mark}")
        screen.line(
            (f"{total.label:<{_LABEL_WIDTH}}", "dim"),
            (f"{value:<14}" if total.note else value, "bold"),
            (total.note, "dim"),
            indent=2,
            hang=_LABEL_WIDTH,
        )
    width = min(60, screen.console.width - _LABEL_WIDTH - 4)
    blocks = screen.sparkline(document["timeline"].get("wire_bytes") or [], width)
    if blocks:
        screen.line(
            (f"{'Over time':<{_LABEL_WIDTH}}", "dim"),
            (blocks, "cyan"),
            indent=2,
        )
    if lost := lost_packets(document):
        screen.line(
            (f"† the capture missed at least {lost:,} packets: can be wrong by their share", "dim"),
            indent=2,
        )


def _source(document: Document) -> str:
    capture = document["capture"]
    files = capture["files"]
    names = ", ".join(str(file) for file in files[:3])
    if len(files) > 3:
        names += f" and {len(files) - 3} more files"
    return f"{names}, from {capture['start']}" if capture["start"] else names


def _print_protocols(document: Document, screen: Screen) -> None:
    capture = document["capture"]
    packets = capture["packets"] - capture["duplicate_packets"]
    named = sorted(document["protocols"].items(), key=lambda item: -item[1])
    if not named:
        return
    screen.heading("Protocols", "distinct packets; a packet counts for each protocol it holds")
    parts = [
        f"{name} {count:,} ({format_ratio(count, packets)})"
        for name, count in named[:PROTOCOLS_LIMIT]
    ]
    if len(named) > PROTOCOLS_LIMIT:
        parts.append(f"{len(named) - PROTOCOLS_LIMIT} more, use --json")
    # A name and its number stay together: only the separators may break.
    line = ""
    for part in parts:
        longer = f"{line} · {part}" if line else part
        if line and len(longer) > screen.console.width - 2:
            screen.line((line, ""), indent=2)
            longer = part
        line = longer
    screen.line((line, ""), indent=2)


def _print_taps(document: Document, screen: Screen) -> None:
    taps = document["capture"]["taps"]
    if len(taps) > 1:
        _print_table(document, screen, "Taps", TAPS, taps, ROWS_LIMIT)


def _print_flows(document: Document, screen: Screen) -> None:
    flows = rank_flows(document)
    total = document["flows_total"]
    _print_table(document, screen, "Flows", FLOWS, flows, FLOWS_LIMIT, total, "most bytes first")


def _print_applications(document: Document, screen: Screen) -> None:
    rows = list_applications(document)
    note = "payload beside behaviour, most bytes first"
    _print_table(document, screen, "Applications", APPLICATIONS, rows, ROWS_LIMIT, note=note)


def _print_alerts(document: Document, screen: Screen) -> None:
    alerts = document.get("alerts") or []
    _print_table(document, screen, "Alerts", ALERTS, alerts, ROWS_LIMIT, note="of your rules")


def _print_neighbours(document: Document, screen: Screen) -> None:
    neighbours = document["neighbours"]
    _print_table(document, screen, "LLDP neighbours", NEIGHBOURS, neighbours, ROWS_LIMIT)


def _print_connections(document: Document, screen: Screen) -> None:
    connections = document["connections"]
    _print_table(document, screen, "RDMA CM connections", CONNECTIONS, connections, ROWS_LIMIT)


def _print_queue_pairs(document: Document, screen: Screen, limit: int = QUEUE_PAIRS_LIMIT) -> None:
    pairs = rank_queue_pairs(document)
    note = "most trouble first, then most payload"
    _print_table(document, screen, "Queue pairs", QUEUE_PAIRS, pairs, limit, note=note)


def _print_iwarp(document: Document, screen: Screen) -> None:
    _print_table(document, screen, "iWARP", IWARP, document["iwarp"], ROWS_LIMIT)


def _print_pause(document: Document, screen: Screen) -> None:
    note = "only where a tap sits on the link itself"
    _print_table(document, screen, "Pause", PAUSE, document["pause"], ROWS_LIMIT, note=note)


def _print_table(
    document: Document,
    screen: Screen,
    title: str,
    columns: tuple[Column, ...],
    rows: list[Row] | list[dict[str, Any]],
    limit: int,
    total: int | None = None,
    note: str = "",
) -> None:
    if not rows:
        return
    table = build_table(title.lower(), title, columns, rows, limit, total)
    count = f"{table.total:,}"
    screen.heading(title, f"{count}, {note}" if note and table.total > 1 else count)
    screen.table(table, unsure=bool(lost_packets(document)))


def _print_findings(document: Document, screen: Screen, limit: int = FINDINGS_LIMIT) -> None:
    findings = rank_findings(document)
    if not findings:
        return
    screen.heading("Findings", f"{len(findings):,}, worst first")
    for number, finding in enumerate(findings[:limit], 1):
        severity = str(finding["severity"])
        style = SEVERITY_STYLES.get(severity, "bold")
        screen.line(
            (f"{number}. ", "dim"),
            (severity.upper(), style),
            ("  ", ""),
            (finding["text"], "bold"),
            hang=3,
        )
        for label, value in (
            ("where", finding["subject"]),
            ("seen", describe_evidence(finding["evidence"])),
            ("do", finding["action"]),
            ("frames", _frames(finding)),
        ):
            if value:
                screen.line((f"{label:<8}", "dim"), (value, ""), indent=3, hang=8)
        if finding["filter"]:
            screen.line(("filter  ", "dim"), (finding["filter"], ""), indent=3, wrap=False)
    if len(findings) > limit:
        screen.line((f"{len(findings) - limit:,} more, use --json", "dim"))


def _frames(finding: dict[str, Any]) -> str:
    frames = finding["packets"]
    if not frames:
        return ""
    listed = ", ".join(str(frame) for frame in frames[:FRAMES_LIMIT])
    if len(frames) > FRAMES_LIMIT:
        listed += f" and {len(frames) - FRAMES_LIMIT:,} more"
    return f"{listed} in {finding['capture']}" if finding["capture"] else listed


SECTIONS: Final[tuple[Callable[[Document, Screen], None], ...]] = (
    _print_verdict,
    _print_totals,
    print_training,
    _print_protocols,
    _print_applications,
    _print_taps,
    _print_flows,
    _print_neighbours,
    _print_queue_pairs,
    _print_connections,
    _print_iwarp,
    _print_pause,
    _print_alerts,
    _print_findings,
)
"""The chapters in the order in which they are printed."""
