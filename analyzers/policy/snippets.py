"""Configuration text for whoever is able to block: nftables rules or an access list.

Only addresses and ports that parse as such, and names of rules, get into the text; nothing else
from a packet does.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final

from fabricscope.analyzers.policy.matching import Alert

MAX_ENTRIES: Final = 4_096
_NOTICE: Final = (
    "A passive tap cannot block: Fabricscope only saw this traffic.",
    "Read the entries, then apply them yourself on a device in the path.",
)
_WITH_PORTS: Final = ("tcp", "udp", "sctp")
_UDP_NAMES: Final = ("roce_v2",)

Entry = tuple[str, str, str, int, int, str]  # rule, src, dst, src port, dst port, protocol


def entries_of(alerts: Iterable[Alert], export: str) -> tuple[list[Entry], int]:
    """Return the distinct IP flows of the alerts to be exported as `export`, and those left out.

    Left out: what has no IP addresses, and everything past `MAX_ENTRIES`.
    """
    entries: dict[Entry, None] = {}
    left_out = 0
    for alert in alerts:
        if alert.export != export:
            continue
        entry = _entry(alert)
        if entry is None or (entry not in entries and len(entries) >= MAX_ENTRIES):
            left_out += 1
        else:
            entries[entry] = None
    return list(entries), left_out


def _entry(alert: Alert) -> Entry | None:
    try:
        src = ipaddress.ip_address(str(alert.values.get("src")))
        dst = ipaddress.ip_address(str(alert.values.get("dst")))
    except ValueError:
        return None
    scoped = [end for end in (src, dst) if isinstance(end, ipaddress.IPv6Address) and end.scope_id]
    # A scope is free text after the address: it is nobody's address outside its host.
    if src.version != dst.version or scoped:
        return None
    protocol = str(alert.values.get("protocol") or alert.values.get("transport") or "")
    protocol = "udp" if protocol in _UDP_NAMES else protocol
    if protocol not in _WITH_PORTS:
        return (alert.rule, str(src), str(dst), 0, 0, "")
    ports = [int(alert.values.get(name) or 0) & 0xFFFF for name in ("src_port", "dst_port")]
    return (alert.rule, str(src), str(dst), ports[0], ports[1], protocol)


def nftables(alerts: Iterable[Alert]) -> str:
    """Return a ready nftables file that drops both directions of the alerts' flows."""
    entries, left_out = entries_of(alerts, "nftables")
    lines = [f"# {line}" for line in _NOTICE]
    lines += [f"# {left_out} alerts are left out: no IP addresses, or too many."] * (left_out > 0)
    lines += [
        "table inet fabricscope {",
        "\tchain flagged {",
        "\t\ttype filter hook forward priority 0; policy accept;",
    ]
    for rule, src, dst, src_port, dst_port, protocol in entries:
        for one, other, sport, dport in (
            (src, dst, src_port, dst_port),
            (dst, src, dst_port, src_port),
        ):
            family = "ip6" if ":" in one else "ip"
            parts = [f"{family} saddr {one} {family} daddr {other}"]
            parts += [f"{protocol} sport {sport}"] * (sport > 0)
            parts += [f"{protocol} dport {dport}"] * (dport > 0)
            lines.append(f'\t\t{" ".join(parts)} counter drop comment "{rule}"')
    return "\n".join([*lines, "\t}", "}", ""])


def access_list(alerts: Iterable[Alert]) -> str:
    """Return extended access lists, in the syntax common to switches, IPv4 and IPv6 apart."""
    entries, left_out = entries_of(alerts, "acl")
    lines = [f"! {line}" for line in _NOTICE]
    lines += [f"! {left_out} alerts are left out: no IP addresses, or too many."] * (left_out > 0)
    for version, header in ((4, "ip access-list extended"), (6, "ipv6 access-list")):
        chosen = [entry for entry in entries if (":" in entry[1]) == (version == 6)]
        if not chosen:
            continue
        lines.append(f"{header} FABRICSCOPE-V{version}")
        remark = ""
        for rule, src, dst, src_port, dst_port, protocol in chosen:
            if rule != remark:
                lines.append(f" remark {rule}")
                remark = rule
            kind = protocol or ("ip" if version == 4 else "ipv6")
            left = f"host {src}" + (f" eq {src_port}" if src_port else "")
            right = f"host {dst}" + (f" eq {dst_port}" if dst_port else "")
            lines.append(f" deny {kind} {left} {right}")
        lines.append(" permit ip any any" if version == 4 else " permit ipv6 any any")
    return "\n".join([*lines, ""])
