"""The JSON document of `analyze`, schema `fabricscope/1`, made from an `Analysis`."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from fabricscope.analyzers.balance import balance_findings, spread_of
from fabricscope.analyzers.behaviour.contradictions import contradictions
from fabricscope.analyzers.connection_manager import Direction
from fabricscope.analyzers.findings import Finding, ranked
from fabricscope.analyzers.findings import capture as capture_findings
from fabricscope.analyzers.findings.connections import (
    cm_findings,
    directions_with_data,
    iwarp_findings,
)
from fabricscope.analyzers.findings.rdma import QueuePairFindings
from fabricscope.analyzers.flows.results import flows_frame
from fabricscope.analyzers.rdma.results import queue_pairs_frame
from fabricscope.pipeline.analysis import Analysis
from fabricscope.pipeline.sections import (
    LISTED_FLOWS,
    connections_section,
    distributions_section,
    flows_section,
    matrix_section,
    queue_pairs_section,
    timeline_section,
)
from fabricscope.tables import FINDINGS

if TYPE_CHECKING:
    from fabricscope.analyzers.policy import Alert, Policy

SCHEMA: Final = "fabricscope/1"
LINK_TYPES: Final = {
    0: "null",
    1: "ethernet",
    9: "ppp",
    12: "raw_ip",
    14: "raw_ip",
    101: "raw_ip",
    108: "loop",
    113: "linux_cooked_v1",
    228: "ipv4",
    229: "ipv6",
    247: "infiniband",
    276: "linux_cooked_v2",
}


def build_document(analysis: Analysis, policy: "Policy | None" = None) -> dict[str, Any]:
    """Return the whole document; every number in it comes from the analyzers' tables.

    policy: the user's rules, if any; their tags and alerts are in the document, not delivered.
    """
    counters = analysis.flows.counters
    start_ns = counters["first_ns"]
    flows = all_flows(analysis)
    pairs = queue_pairs_frame(analysis.queue_pairs, analysis.tap_names, counters["last_ns"])
    used = directions_with_data(pairs)
    capture = _capture(analysis)
    findings = ranked(_findings(analysis, flows, pairs, used, capture))
    alerts: Sequence[Alert] = []
    if policy is not None:
        tables = {"flows": flows, "queue_pairs": pairs, "findings": _findings_frame(findings)}
        outcome = policy.apply(tables)
        alerts = outcome.alerts
        flows = _tagged(flows, outcome.tags["flows"])
        pairs = _tagged(pairs, outcome.tags["queue_pairs"])
    lost = int(pairs["collector_lost"].sum()) if len(pairs) else 0
    taps = capture["taps"] if analysis.taps is not None else []
    tap_lost = sum(tap["lost_packets"] or 0 for tap in taps)
    state = analysis.flows.state
    return {
        "schema": SCHEMA,
        "capture": capture,
        "protocols": _protocols(analysis),
        "flows": flows_section(flows, start_ns),
        "flows_total": counters["flows"],
        "flows_listed": min(len(flows), LISTED_FLOWS),
        "flows_evicted": counters["evicted"],
        "flows_unlisted": analysis.unlisted,
        "queue_pairs": queue_pairs_section(pairs, analysis.queue_pairs, start_ns),
        "connections": connections_section(analysis.connections.connections(), used),
        "iwarp": analysis.iwarp.connections.to_dicts() if analysis.iwarp else [],
        "pause": _pause(analysis, capture["duration_s"]),
        "timeline": timeline_section(
            state.timeline, state.timeline_scale, analysis.queue_pairs, analysis.pause_table
        ),
        "distributions": distributions_section(state.packet_sizes, analysis.queue_pairs),
        "neighbours": analysis.neighbours,
        "traffic_matrix": matrix_section(flows),
        "paths": {"parallel": analysis.parallel_paths, "spread": _spread(pairs)},
        "jobs": analysis.collectives.jobs,
        "collectives": analysis.collectives.collectives,
        "collectives_refused": analysis.collectives.refused,
        "links": [],
        "alerts": [asdict(alert) for alert in alerts],
        "findings": [_finding(finding) for finding in findings],
        "capture_loss": {
            "lower_bound_packets": lost,
            "evidence": {
                "acknowledged_but_never_captured": lost,
                "missed_at_one_tap_seen_at_another": tap_lost,
                "missing_without_evidence": int(pairs["unresolved_lost"].sum())
                if len(pairs)
                else 0,
            },
        },
    }


def all_flows(analysis: Analysis) -> pl.DataFrame:
    """Return the flow table with what each flow is and does: `records.TABLES["flows"]`."""
    flows = pl.concat(
        [
            pl.concat([flows_frame(closed, analysis.tap_names), named], how="horizontal")
            for closed, named in zip(analysis.closed, analysis.applications, strict=True)
        ]
    )
    verdicts = analysis.behaviour
    return flows.with_columns(
        pl.Series("behaviour", verdicts.behaviour, dtype=pl.String),
        pl.Series("behaviour_confidence", verdicts.behaviour_confidence, dtype=pl.Float64),
        pl.Series("behaviour_features", verdicts.behaviour_features, dtype=pl.String),
    )


def _capture(analysis: Analysis) -> dict[str, Any]:
    counters = analysis.flows.counters
    links = analysis.flows.state.link_types.tolist()
    any_packet = counters["packets"] > 0
    start = datetime.datetime.fromtimestamp(counters["first_ns"] // 10**9, datetime.UTC)
    fraction = counters["first_ns"] % 10**9
    return {
        "files": [file.path for file in analysis.files],
        "formats": [file.format for file in analysis.files],
        "packets": counters["packets"],
        "duplicate_packets": counters["duplicates"],
        "bytes": counters["wire_bytes"],
        "captured_bytes": counters["captured_bytes"],
        "truncated_packets": counters["truncated"],
        "malformed_packets": counters["malformed"],
        "header_cut_packets": counters["header_cut"],
        "too_deep_packets": counters["too_deep"],
        "fragments": counters["fragments"],
        "unreadable_bytes": sum(file.unreadable_bytes for file in analysis.files),
        "unreadable_records": sum(file.unreadable_records for file in analysis.files),
        "ended": [f"{file.path}: {file.ended}" for file in analysis.files if file.ended],
        "start": f"{start:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z" if any_packet else None,
        "start_ns": counters["first_ns"],
        "duration_s": (counters["last_ns"] - counters["first_ns"]) / 1e9,
        "link_types": {
            LINK_TYPES.get(number, f"linktype_{number}"): count
            for number, count in enumerate(links)
            if count
        },
        "taps": _taps(analysis),
    }


def _taps(analysis: Analysis) -> list[dict[str, Any]]:
    """Return the taps; one alone has no other clock to differ from."""
    if analysis.taps is None:
        return [
            {
                "name": analysis.tap_names[0],
                "packets": analysis.flows.counters["packets"],
                "clock_offset_us": 0.0,
                "offset_error_us": 0.0,
                "lost_packets": int(analysis.queue_pairs.queue_pairs["collector_lost"].sum()),
            }
        ]
    return [asdict(tap) for tap in analysis.taps.taps]


def _protocols(analysis: Analysis) -> dict[str, int]:
    """Return distinct packets by protocol, each counted at every level it has.

    RoCE v2 is also UDP, CNPs are also RoCE v2, iWARP is also TCP.
    """
    innermost = analysis.flows.protocols
    counts = dict(innermost)
    if "roce_v2" in innermost:
        counts["udp"] = counts.get("udp", 0) + innermost["roce_v2"]
    if analysis.flows.counters["cnp"]:
        counts["cnp"] = analysis.flows.counters["cnp"]
    if analysis.iwarp and analysis.iwarp.packets:
        counts["iwarp"] = analysis.iwarp.packets
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _pause(analysis: Analysis, duration_s: float) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "tap": analysis.tap_names[int(str(row["tap"]))],
            "pause_share": float(str(row["pause_s"])) / duration_s if duration_s > 0 else None,
        }
        for row in analysis.pauses
    ]


def _findings(
    analysis: Analysis,
    flows: pl.DataFrame,
    pairs: pl.DataFrame,
    used: set[Direction],
    capture: dict[str, Any],
) -> list[Finding]:
    table = analysis.queue_pairs
    path = analysis.files[0].path if analysis.files else ""
    duration_s = capture["duration_s"]
    files: Sequence[dict[str, Any]] = [asdict(file) for file in analysis.files]
    return [
        *QueuePairFindings(table, pairs, path if analysis.taps is None else "").all(),
        *cm_findings(
            analysis.connections.connections(),
            used,
            analysis.flows.counters["last_ns"],
            path,
        ),
        *(iwarp_findings(analysis.iwarp, path) if analysis.iwarp else []),
        *analysis.collectives.findings,
        *balance_findings(analysis.parallel_paths),
        *contradictions(flows),
        *capture_findings.collector_loss(table, pairs, capture["packets"], path),
        *capture_findings.pause(analysis.pauses, duration_s, path),
        *capture_findings.damage(files, analysis.flows.counters),
        *capture_findings.taps(capture["taps"]),
    ]


def _spread(pairs: pl.DataFrame) -> dict[str, Any] | None:
    """Return what switches can hash apart of the RoCE v2 data."""
    routed = pairs.filter(pl.col("transport") == "roce_v2")
    columns = (routed[name].to_list() for name in ("src", "dst", "udp_port", "payload_bytes"))
    return spread_of(*columns)


def _findings_frame(findings: Sequence[Finding]) -> pl.DataFrame:
    """Return findings as `records.TABLES["findings"]`, for rules."""
    rows = [asdict(finding) | {"evidence": json.dumps(finding.evidence)} for finding in findings]
    columns = {column.name: getattr(pl, column.dtype, pl.List(pl.Int64)) for column in FINDINGS}
    return pl.DataFrame({name: [row[name] for row in rows] for name in columns}, schema=columns)


def _tagged(frame: pl.DataFrame, tags: list[list[str]]) -> pl.DataFrame:
    return frame.with_columns(pl.Series("tags", tags, dtype=pl.List(pl.String)))


def _finding(finding: Finding) -> dict[str, Any]:
    entry = asdict(finding)
    del entry["weight"]
    return entry
