"""Findings about connection set-up: RDMA CM exchanges and iWARP."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from fabricscope.analyzers.connection_manager import Connection, Direction
from fabricscope.analyzers.findings.finding import Finding, counted, frames_filter

if TYPE_CHECKING:
    from fabricscope.analyzers.iwarp.session import IwarpResult

_CM = {
    "refused": (
        "warning",
        "connection_refused",
        "The responder rejected the connection request",
        "See the reason; check that the service listens and that both ends agree on parameters.",
    ),
    "no answer": (
        "warning",
        "connection_unanswered",
        "A connection request was never answered",
        "Check that the peer runs, that its RDMA CM listens, and the path to it.",
    ),
    "not completed": (
        "warning",
        "connection_not_completed",
        "The reply to a connection request was never confirmed",
        "The requester vanished or its confirmation was lost: check both hosts.",
    ),
    "closed before data": (
        "warning",
        "connection_closed_before_data",
        "A connection was set up and closed before any data was carried",
        "Look at the application's log on both hosts: it gave up after connecting.",
    ),
}


def cm_findings(
    connections: Sequence[Connection], with_data: set[Direction], end_ns: int, capture: str
) -> list[Finding]:
    """Return what became of RDMA CM connections that did not work out.

    with_data: directions that carried data; end_ns: end of the capture, to tell how long a
    connection that was set up and then never used has waited.
    """
    findings = []
    for connection in connections:
        outcome = connection.outcome(with_data)
        subject = f"{connection.initiator} -> {connection.responder}"
        both = connection.directions()
        waited_s = (end_ns - max(connection.established_ns, connection.replied_ns)) / 1e9
        unused = outcome == "established" and both and not any(each in with_data for each in both)
        if unused and waited_s >= 1.0:
            findings.append(
                Finding(
                    "critical",
                    "stalled_transfer",
                    subject,
                    f"A queue pair was opened, then {waited_s:,.1f} s passed without any data "
                    "until the capture ended.",
                    "Find out what the application on the initiator waits for, and whether the "
                    "path carries RDMA data at all (MTU, PFC priority, access lists).",
                    {"silence_s": waited_s},
                    connection.frames[:20],
                    capture,
                    frames_filter(connection.frames[:20]),
                    weight=1e5,
                )
            )
        elif outcome in _CM:
            severity, kind, text, action = _CM[outcome]
            reason = f" ({connection.reason})" if connection.reason else ""
            findings.append(
                Finding(
                    severity,
                    kind,
                    subject,
                    f"{text}{reason}.",
                    action,
                    {"retries": connection.retries, "reason": connection.reason or None},
                    connection.frames[:20],
                    capture,
                    frames_filter(connection.frames[:20]) if connection.frames else "",
                )
            )
    return findings


def directions_with_data(pairs: pl.DataFrame) -> set[Direction]:
    """Return the directions of a queue-pair frame that carried messages or payload."""
    used = pairs.filter((pl.col("messages") > 0) | (pl.col("payload_bytes") > 0))
    return {Direction(*row) for row in used.select("src", "dst", "dest_qp").iter_rows()}


def iwarp_findings(result: "IwarpResult", capture: str) -> list[Finding]:
    """Return refused and broken iWARP connections, CRC errors and lost stream parts."""
    findings = []
    for row in result.connections.to_dicts():
        subject = f"{row['src']}:{row['src_port']} -> {row['dst']}:{row['dst_port']}"
        if row["initiator"] and row["state"] in ("refused", "no reply", "terminated", "reset"):
            findings.append(_broken(row, subject, capture))
        if row["crc_errors"]:
            frames = row["crc_error_frames"][:20]
            findings.append(
                Finding(
                    "critical",
                    "iwarp_crc_error",
                    subject,
                    f"{counted(row['crc_errors'], 'FPDU')} with a wrong CRC32c: the data was "
                    "changed on the way.",
                    "Check cables, optics and memory along this path.",
                    {"crc_errors": row["crc_errors"], "crc_good": row["crc_good"]},
                    frames,
                    capture,
                    frames_filter(frames) if frames else "",
                    weight=float(row["crc_errors"]),
                )
            )
    return findings


def _broken(row: dict[str, Any], subject: str, capture: str) -> Finding:
    frames = [row[name] for name in ("start_frame", "refusal_frame", "reset_frame") if row[name]]
    reason = f": {row['reason']}" if row["reason"] else ""
    return Finding(
        "warning",
        "iwarp_" + str(row["state"]).replace(" ", "_"),
        subject,
        f"The iWARP connection ended as '{row['state']}'{reason}.",
        "Check that the service listens there, and that both ends agree on MPA revision, markers "
        "and CRC.",
        {"state": row["state"], "reason": row["reason"] or None},
        frames,
        capture,
        frames_filter(frames) if frames else "",
    )
