"""The terminal report as a reader sees it."""

import io

import pytest
from examples.analysis import empty_document, hostile_document, ring_document
from examples.training import training_document
from rich.console import Console

from fabricscope.cli.terminal import (
    BRIEF_FINDINGS,
    BRIEF_ROWS,
    QUEUE_PAIRS_LIMIT,
    print_brief,
    print_report,
)


def _report(document: dict[str, object], width: int = 100, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    print_report(document, Console(file=file, width=width))
    return raw.getvalue().decode(encoding)


def test_the_verdict_is_the_first_line_and_findings_are_last() -> None:
    lines = _report(ring_document()).splitlines()
    assert lines[0].startswith("CRITICAL  1 critical finding and 1 warning in ")
    titles = [line.split("  ")[0] for line in lines if line and not line.startswith(" ")]
    chapters = [title for title in titles if title in CHAPTERS]
    assert chapters == list(CHAPTERS)
    assert lines[-1].strip() == "filter  ip.dst == 10.77.0.14 && ip.dsfield.ecn == 3"


CHAPTERS = (
    "Totals",
    "Protocols",
    "Applications",
    "Taps",
    "Flows",
    "LLDP neighbours",
    "Queue pairs",
    "RDMA CM connections",
    "iWARP",
    "Pause",
    "Findings",
)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_only_display_filters_exceed_the_width(width: int) -> None:
    for line in _report(ring_document(), width).splitlines():
        assert len(line.rstrip()) <= width or line.strip().startswith("filter")


def test_findings_carry_what_to_do_and_where_to_look() -> None:
    text = _report(ring_document(), 200)
    assert "1. CRITICAL  Queue pair 0x000164" in text
    assert "do      Restart the job from its checkpoint" in text
    assert "frames  412001, 412090, 498112 in leaf1-mirror.pcapng" in text
    assert "seen    timeouts 7, retries 7, silent 2.09 s" in text
    assert "and 18 more in leaf1-mirror.pcapng" in text


def test_what_was_cut_is_counted() -> None:
    document = ring_document()
    text = _report(document)
    left = len(document["queue_pairs"]) - QUEUE_PAIRS_LIMIT
    assert f"{left} more, use --json" in text
    assert "1,194 more, use --json" in text


def test_capture_loss_stands_beside_what_it_distorts() -> None:
    document = ring_document()
    text = _report(document)
    assert "Retx†" in text
    assert "RDMA messages       37,437†" in text
    assert "† the capture missed at least 12 packets" in text
    document["capture_loss"]["lower_bound_packets"] = 0
    assert "†" not in _report(document)


def test_an_empty_capture_gets_a_report() -> None:
    text = _report(empty_document())
    assert text.startswith("EMPTY  No packet could be read.")
    assert "empty.pcap ends after its file header." in text
    assert "Queue pairs" not in text


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_hostile_names_neither_fail_nor_command(width: int, encoding: str) -> None:
    text = _report(hostile_document(), width, encoding)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]x[/red]" in text


def test_colour_is_not_needed_to_read_the_severity() -> None:
    text = _report(ring_document())
    assert all(word in text for word in ("CRITICAL", "WARNING", "NOTICE"))


def test_a_single_tap_needs_no_offsets() -> None:
    document = ring_document()
    document["capture"]["taps"] = document["capture"]["taps"][:1]
    assert "Clock offset" not in _report(document)


def test_a_brief_report_keeps_the_worst_and_counts_the_rest() -> None:
    document = ring_document()
    file = io.StringIO()
    print_brief(document, Console(file=file, width=100))
    text = file.getvalue()
    assert "Totals" not in text
    assert f"{len(document['queue_pairs']) - BRIEF_ROWS} more, use --json" in text
    assert f"{len(document['findings']) - BRIEF_FINDINGS} more, use --json" in text
    assert text.index("CRITICAL") < text.index("WARNING")


def test_matches_of_rules_are_listed_before_the_findings() -> None:
    text = _report(training_document(), 180)
    alerts = text[text.index("Alerts  1") : text.index("Findings")]
    assert "storage-encrypted  notice" in alerts
    assert "Storage traffic that is not in the clear" in alerts
    assert "Training" in text[: text.index("Protocols")]


def test_flows_carry_application_and_behaviour() -> None:
    lines = _report(ring_document(), 100).splitlines()
    header = next(line for line in lines if line.startswith("A  ") and "Proto" in line)
    assert "Application" in header
    assert "Behaviour" in header
