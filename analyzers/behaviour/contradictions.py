"""Flows whose payload says one thing and whose behaviour says another.

`PLAUSIBLE` declares what applications may behave like; applications that may do anything (HTTP
carries everything) are left out and never contradicted, nor is a victim of congestion, which says
how a flow fares and not what it does. Pure: a table in, findings out.
"""

from typing import Any, Final

import polars as pl

from fabricscope.analyzers.findings.finding import Finding, frames_filter

MIN_CONFIDENCE: Final = 0.5
"""Both verdicts must be at least this sure: a guess contradicts nothing."""
MIN_BYTES: Final = 65_536  # smaller flows do harm to nobody, whatever they are

_QUIET: Final = frozenset({"request_response", "periodic_control", "idle", "scan"})
_TALK: Final = _QUIET | {"interactive"}
_SESSION: Final = _TALK | {"streaming"}

PLAUSIBLE: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(
        ("dns", "mdns", "llmnr", "dhcp", "dhcpv6", "ntp", "ptp", "snmp", "radius", "tacacs_plus",
         "kerberos", "arp", "icmp", "icmpv6", "igmp", "lldp", "lacp", "stp", "vrrp", "hsrp", "pim",
         "ospf", "isis", "bfd", "stun", "ssdp", "netbios", "portmap", "nccl_bootstrap",
         "c10d_store"),
        _QUIET,
    ),
    **dict.fromkeys(("bgp", "syslog", "sflow", "netflow", "mqtt"), _SESSION),
    **dict.fromkeys(("telnet", "irc", "sip", "ldap", "redis", "memcached"), _SESSION),
    **dict.fromkeys(
        ("rtp", "rtcp"), frozenset({"streaming", "periodic_control", "request_response", "idle"})
    ),
}  # fmt: skip
"""Behaviours that agree with an application, by its name in the signature catalogue."""

_ACTION: Final = "Look at the flow's packets: a tunnel or an exfiltration may use this protocol."


def contradictions(flows: pl.DataFrame) -> list[Finding]:
    """Return a finding for each flow whose behaviour its application does not explain.

    flows: `records.TABLES["flows"]` with `application`, `application_confidence`,
    `behaviour`, `behaviour_confidence` and `behaviour_features`.
    """
    size = pl.col("a_to_b_bytes") + pl.col("b_to_a_bytes")
    sure = flows.filter(
        pl.col("application").is_in(list(PLAUSIBLE))
        & ~pl.col("behaviour").fill_null("").is_in(["", "congestion_victim"])
        & (pl.col("application_confidence") >= MIN_CONFIDENCE)
        & (pl.col("behaviour_confidence") >= MIN_CONFIDENCE)
        & (size >= MIN_BYTES)
    ).with_columns(size.alias("bytes"))
    return [
        _finding(row)
        for row in sure.iter_rows(named=True)
        if row["behaviour"] not in PLAUSIBLE[row["application"]]
    ]


def _finding(row: dict[str, Any]) -> Finding:
    subject = f"{row['src']} -> {row['dst']}"
    behaviour = row["behaviour"].replace("_", " ")
    frame = int(row["first_frame"])
    return Finding(
        "warning",
        "behaviour_contradicts_application",
        subject,
        f"{subject} is {row['application']} by its payload but behaves like {behaviour}: "
        f"{row['bytes']:,} bytes ({row['behaviour_features']}).",
        _ACTION,
        {
            "application": row["application"],
            "application_confidence": round(float(row["application_confidence"]), 3),
            "behaviour": row["behaviour"],
            "behaviour_confidence": round(float(row["behaviour_confidence"]), 3),
            "bytes": int(row["bytes"]),
        },
        packets=[frame],
        filter=frames_filter([frame]),
        weight=float(row["bytes"]),
    )
