"""The document of `analyze` in words: verdict, caveats, totals and what to show first.

Shared by the terminal report and the HTML report, so that both say the same. Knows neither
colours nor widths.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fabricscope.dashboard.evidence import describe_evidence
from fabricscope.dashboard.histogram import percentile
from fabricscope.dashboard.quantities import (
    format_bit_rate,
    format_bytes,
    format_count,
    format_duration,
    format_microseconds,
    format_ratio,
    format_share,
    plural,
)

Document = Mapping[str, Any]
"""The JSON document of `analyze`, schema fabricscope/1."""

SEVERITIES: Final = ("critical", "warning", "notice", "info")
"""Of findings, worst first."""
TROUBLED_STATES: Final = ("failed", "stalled")


class Verdict(NamedTuple):
    """The one line that is read first; `severity` is one of SEVERITIES, `ok` or `empty`."""

    severity: str
    headline: str
    reasons: tuple[str, ...]


class Total(NamedTuple):
    """One figure of the whole capture; `distorted` when lost packets make it unsure."""

    label: str
    value: str
    note: str = ""
    distorted: bool = False


def describe_verdict(document: Document) -> Verdict:
    """Return the verdict: how bad it is, and the worst findings in words (at most three)."""
    packets = document["capture"]["packets"] - document["capture"]["duplicate_packets"]
    if not packets:
        return Verdict("empty", "No packet could be read.", ())
    findings = rank_findings(document)
    extent = (
        f"{plural(packets, 'packet')} over {format_duration(document['capture']['duration_s'])}"
    )
    serious = [finding for finding in findings if finding["severity"] in SEVERITIES[:2]]
    if not serious:
        notices = f"; {plural(len(findings), 'remark')}" if findings else ""
        reasons = tuple(str(finding["text"]) for finding in findings[:3])
        return Verdict("ok", f"No fault found in {extent}{notices}.", reasons)
    counts = [
        plural(count, {"critical": "critical finding"}.get(severity, severity))
        for severity in SEVERITIES[:2]
        if (count := sum(finding["severity"] == severity for finding in serious))
    ]
    reasons = tuple(str(finding["text"]) for finding in serious[:3])
    return Verdict(serious[0]["severity"], f"{' and '.join(counts)} in {extent}.", reasons)


def rank_findings(document: Document) -> list[dict[str, Any]]:
    """Return the findings, worst first, otherwise in the order given."""
    order = {severity: rank for rank, severity in enumerate(SEVERITIES)}
    return sorted(document["findings"], key=lambda finding: order.get(finding["severity"], 9))


def lost_packets(document: Document) -> int:
    """Return the lower bound of packets that the capture itself missed."""
    return int(document["capture_loss"]["lower_bound_packets"] or 0)


def list_caveats(document: Document) -> list[str]:
    """Return one sentence for each thing that makes the numbers unsure, none if all is well."""
    capture = document["capture"]
    caveats = []
    lost = lost_packets(document)
    if lost:
        evidence = document["capture_loss"]["evidence"]
        if isinstance(evidence, Mapping):
            evidence = {name: value for name, value in evidence.items() if value}
        evidence = describe_evidence(evidence)
        because = f" ({evidence})" if evidence else ""
        caveats.append(
            f"The capture itself missed at least {plural(lost, 'packet')}{because}, so every "
            "number that this can distort is marked."
        )
    if cut := capture["header_cut_packets"]:
        caveats.append(
            f"The snap length ends inside a header of {plural(cut, 'packet')}: what followed is "
            "unknown."
        )
    if malformed := capture["malformed_packets"]:
        caveats.append(
            f"Headers contradict their own lengths in {plural(malformed, 'packet')}, decoded "
            "only as far as they make sense."
        )
    if capture["unreadable_bytes"]:
        caveats.append(
            f"{format_bytes(capture['unreadable_bytes'])} of the files could not be read."
        )
    caveats.extend(str(sentence) for sentence in capture["ended"])
    caveats.extend(str(sentence) for sentence in document.get("collectives_refused") or [])
    if evicted := document["flows_evicted"]:
        caveats.append(
            f"The flow table was too small for {plural(evicted, 'flow')}, counted in the totals "
            "only."
        )
    return caveats


def list_totals(document: Document) -> list[Total]:
    """Return the totals of the capture, and of RDMA where there is any."""
    capture, unsure = document["capture"], bool(lost_packets(document))
    duration_s, wire_bytes = capture["duration_s"], capture["bytes"]
    duplicates = capture["duplicate_packets"]
    totals = [
        Total(
            "Packets",
            format_count(capture["packets"] - duplicates),
            f"and {plural(duplicates, 'duplicate')} at other taps" if duplicates else "",
            unsure,
        ),
        Total(
            "On the wire",
            format_bytes(wire_bytes),
            ""
            if capture["captured_bytes"] >= wire_bytes
            else f"{format_bytes(capture['captured_bytes'])} captured",
            unsure,
        ),
        Total("Duration", format_duration(duration_s)),
        Total(
            "Mean throughput",
            format_bit_rate(wire_bytes * 8 / duration_s if duration_s else None),
            describe_peak(document),
            unsure,
        ),
        Total("Flows", format_count(document["flows_total"])),
    ]
    return totals + (_rdma_totals(document, unsure) if document["queue_pairs"] else [])


def _rdma_totals(document: Document, unsure: bool) -> list[Total]:
    pairs, duration_s = document["queue_pairs"], document["capture"]["duration_s"]
    packets, payload = _sum(pairs, "packets"), _sum(pairs, "payload_bytes")
    retransmissions, naks = _sum(pairs, "retransmissions"), _sum(pairs, "naks")
    marked, capable = _sum(pairs, "ecn_marked"), _sum(pairs, "ecn_capable")
    messages, cnps = _sum(pairs, "messages"), _sum(pairs, "cnps")
    timeouts, rnr = _sum(pairs, "timeouts"), _sum(pairs, "rnr_naks")
    troubled = sum(pair["state"] in TROUBLED_STATES for pair in pairs)
    totals = [
        Total(
            "Queue pairs",
            format_count(len(pairs)),
            f"{troubled:,} failed or stalled" if troubled else "",
        ),
        Total("RDMA messages", format_count(messages), "", unsure),
        Total(
            "RDMA payload",
            format_bytes(payload),
            f"mean {format_bit_rate(payload * 8 / duration_s)}" if duration_s else "",
            unsure,
        ),
    ]
    for label, name in (("Message time p50", "message_us"), ("ACK round trip p50", "ack_rtt_us")):
        histogram = document["distributions"].get(name) or {"edges": [], "counts": []}
        p50, p99 = (percentile(histogram["edges"], histogram["counts"], q) for q in (0.5, 0.99))
        if p50 is not None:
            note = f"p99 {format_microseconds(p99)}"
            totals.append(Total(label, format_microseconds(p50), note, unsure))
    return [
        *totals,
        Total(
            "Retransmissions",
            format_count(retransmissions),
            f"{format_ratio(retransmissions, packets)} of RDMA packets, {timeouts:,} by timeout"
            if retransmissions
            else "",
            unsure,
        ),
        Total("NAKs", format_count(naks), f"{rnr:,} receiver not ready" if rnr else ""),
        Total(
            "ECN-marked",
            format_share(marked / capable) if capable else format_count(marked),
            f"{marked:,} of {capable:,} packets" if capable else "no ECN-capable RDMA packets",
        ),
        Total("CNPs", format_count(cnps)),
    ]


def peak_bit_rate(document: Document) -> float | None:
    """Return the bits per second of the fullest bin of the timeline."""
    timeline = document["timeline"]
    if not timeline.get("wire_bytes") or not timeline.get("bin_ns"):
        return None
    return float(max(timeline["wire_bytes"]) * 8e9 / timeline["bin_ns"])


def describe_peak(document: Document) -> str:
    """Return the peak and how long it lasted at least, since a shorter bin has a higher peak."""
    peak = peak_bit_rate(document)
    if peak is None:
        return ""
    return (
        f"peak {format_bit_rate(peak)} in {format_duration(document['timeline']['bin_ns'] / 1e9)}"
    )


def rank_queue_pairs(document: Document) -> list[dict[str, Any]]:
    """Return the queue pairs: failed and stalled first, then by trouble, then by payload."""

    def key(pair: Mapping[str, Any]) -> tuple[int, int, int]:
        return (
            -int(pair["state"] in TROUBLED_STATES),
            -trouble(pair),
            -int(pair["payload_bytes"]),
        )

    return sorted(document["queue_pairs"], key=key)


def trouble(pair: Mapping[str, Any]) -> int:
    """Return how many things went wrong on a queue pair."""
    names = ("retransmissions", "naks", "rnr_naks", "timeouts", "network_lost")
    return sum(int(pair[name] or 0) for name in names)


def rank_flows(document: Document) -> list[dict[str, Any]]:
    """Return the listed flows, most bytes first."""
    return sorted(document["flows"], key=lambda flow: -int(flow["bytes"]))


def endpoint(host: object, port: int) -> str:
    """Return `host:port`, the host alone where there is no port, IPv6 in brackets."""
    if not port:
        return str(host)
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


def describe_tunnel(tunnel: Sequence[Mapping[str, Any]]) -> str:
    """Return the encapsulations, outermost first, each with its id."""
    return " / ".join(f"{layer['kind']} {layer['id']}" for layer in tunnel)


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(int(row[name] or 0) for row in rows)
