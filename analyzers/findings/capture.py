"""Findings about the capture itself: what the mirror missed, damage, pauses, connections."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from fabricscope.analyzers.findings.finding import Finding, counted, frames_filter
from fabricscope.analyzers.rdma import layout
from fabricscope.analyzers.rdma.table import QueuePairTable

Row = dict[str, Any]


def collector_loss(
    table: QueuePairTable, frame: pl.DataFrame, packets: int, capture: str
) -> list[Finding]:
    """Return what acknowledgements prove that the mirror missed."""
    lost = int(frame["collector_lost"].sum()) if len(frame) else 0
    if not lost:
        return []
    events = table.events(layout.EVENT_COLLECTOR_LOSS)
    frames = sorted(set(events["frame"][:10].tolist()))
    pairs = int((frame["collector_lost"] > 0).sum())
    share = lost / (packets + lost)
    return [
        Finding(
            "warning" if share >= 0.001 else "notice",
            "collector_loss",
            "the capture",
            f"At least {counted(lost, 'RDMA packet')} of {counted(pairs, 'queue pair')} "
            f"{'was' if lost == 1 else 'were'} delivered but never captured "
            f"({share:.3%}): counts and rates in this report are that much too low.",
            "The mirror port is oversubscribed or the collector too slow: mirror fewer ports, cut "
            "packets (snap length), or sample.",
            {"lower_bound_packets": lost, "queue_pairs": pairs, "share": share},
            frames,
            capture,
            frames_filter(frames) if frames else "",
            weight=float(lost),
        )
    ]


def pause(rows: Sequence[Row], duration_s: float, capture: str) -> list[Finding]:
    """Return senders of pause frames, worst first; `rows` as `PauseTable.finish` gives them."""
    findings = []
    for row in rows:
        share = row["pause_s"] / duration_s if duration_s > 0 else 0.0
        kind = "PAUSE" if row["priority"] is None else f"PFC priority {row['priority']}"
        severity = "critical" if share >= 0.1 else "warning" if share >= 0.01 else "notice"
        findings.append(
            Finding(
                severity,
                "pause",
                f"{row['source_mac']} {kind}",
                f"{counted(row['frames'], 'pause frame')} ({row['xoff']:,} XOFF, "
                f"{row['xon']:,} XON) stopped the link for {row['pause_s'] * 1e3:,.3f} ms, "
                f"{share:.2%} of the capture, at an assumed {row['assumed_rate_gbps']:g} Gb/s.",
                "The port behind this address cannot take what it is sent: look for a slow "
                "receiver (PCIe, memory) or for congestion that spreads back to it.",
                {
                    "frames": row["frames"],
                    "xoff": row["xoff"],
                    "xon": row["xon"],
                    "pause_s": row["pause_s"],
                    "share": share,
                },
                [row["first_frame"]],
                capture,
                f"macc && eth.src == {row['source_mac']}",
                weight=share,
            )
        )
    return findings


def damage(files: Sequence[Row], counters: dict[str, int]) -> list[Finding]:
    """Return what could not be read: `files` are {path, ended, unreadable_bytes, ...}."""
    findings = []
    for file in files:
        if file["ended"] or file["unreadable_bytes"]:
            findings.append(
                Finding(
                    "warning",
                    "damaged_capture",
                    str(file["path"]),
                    f"{file['ended'] or 'Parts of the file are not readable'} "
                    f"({file['unreadable_bytes']:,} bytes not read).",
                    "What came before is in this report. Capture again if what is missing matters.",
                    {
                        "unreadable_bytes": file["unreadable_bytes"],
                        "unreadable_records": file["unreadable_records"],
                    },
                    capture=str(file["path"]),
                )
            )
    cut = counters["header_cut"]
    if cut:
        findings.append(
            Finding(
                "notice",
                "headers_cut",
                "the capture",
                f"The snap length ended inside the headers of {counted(cut, 'packet')}: only "
                "what came before is counted.",
                "Capture at least 128 bytes a packet, 192 inside tunnels.",
                {"header_cut_packets": cut},
            )
        )
    if counters["evicted"] or counters["unassigned"]:
        findings.append(
            Finding(
                "notice",
                "table_full",
                "flow table",
                f"{counted(counters['evicted'], 'flow')} closed early, "
                f"{counted(counters['unassigned'], 'packet')} without a place: the flow table was "
                "full.",
                "Raise --flow-capacity.",
                {"evicted": counters["evicted"], "unassigned": counters["unassigned"]},
            )
        )
    return findings


def taps(rows: Sequence[Row]) -> list[Finding]:
    """Return what one tap missed of what another saw; `rows` as the document's taps."""
    findings = []
    for row in rows:
        lost = row.get("lost_packets") or 0
        if not lost or "network_lost_packets" not in row:
            continue
        network, collector = row["network_lost_packets"], row["collector_lost_packets"]
        frames = [example["frame"] for example in row["examples"]]
        findings.append(
            Finding(
                "warning",
                "loss_between_taps",
                row["name"],
                f"{counted(lost, 'packet')} seen at other taps passed here without being "
                f"captured: {network:,} sent again (lost in the network before this tap), "
                f"{collector:,} not (missed by this tap's mirror).",
                "Look at the links between the taps for the first kind, at this mirror port's load "
                "for the second.",
                {
                    "lost_packets": lost,
                    "network_lost_packets": network,
                    "collector_lost_packets": collector,
                },
                frames,
                row["examples"][0]["tap"] if row["examples"] else "",
                frames_filter(frames) if frames else "",
                weight=float(lost),
            )
        )
    return findings
