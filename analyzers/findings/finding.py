"""The form of a finding, its ranking and the Wireshark filters that lead to its packets."""

import ipaddress
from dataclasses import dataclass, field
from typing import Final

SEVERITIES: Final = ("critical", "warning", "notice", "info")
MAX_FRAMES: Final = 20
MAX_OF_A_KIND: Final = 10

Evidence = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Finding:
    """One finding.

    severity: of SEVERITIES; kind: stable name; weight: larger comes first among equals; packets:
    frame numbers in `capture`; filter: a Wireshark display filter for the whole story.
    """

    severity: str
    kind: str
    subject: str
    text: str
    action: str
    evidence: Evidence = field(default_factory=dict)
    packets: list[int] = field(default_factory=list)
    capture: str = ""
    filter: str = ""
    weight: float = 0.0


def ranked(findings: list[Finding]) -> list[Finding]:
    """Return findings by severity, then weight; the rest past `MAX_OF_A_KIND` are summed."""
    order = sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -f.weight, f.subject))
    kept: list[Finding] = []
    more: dict[tuple[str, str], list[Finding]] = {}
    for finding in order:
        key = (finding.severity, finding.kind)
        same = sum((f.severity, f.kind) == key for f in kept)
        if same < MAX_OF_A_KIND:
            kept.append(finding)
        else:
            more.setdefault(key, []).append(finding)
    for (severity, kind), rest in more.items():
        kept.append(
            Finding(
                severity,
                kind,
                f"{len(rest):,} more",
                f"{len(rest):,} more subjects have the same finding as the {MAX_OF_A_KIND} above.",
                "See the tables for all of them.",
                {"subjects": len(rest)},
                weight=-1.0,
            )
        )
    return sorted(kept, key=lambda f: (SEVERITIES.index(f.severity), -f.weight, f.subject))


def host_filter(address: str) -> str:
    """Return the display filter that selects one address, '' when Wireshark has none for it."""
    if address.startswith("lid:"):
        lid = address.removeprefix("lid:")
        return f"(infiniband.lrh.slid == {lid} || infiniband.lrh.dlid == {lid})"
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return f"eth.addr == {address}"
    return f"ip.addr == {address}" if version == 4 else f"ipv6.addr == {address}"


def queue_pair_filter(src: str, dst: str, dest_qp: int, paired_qp: int | None) -> str:
    """Return the display filter for a queue pair, with its other direction when that is known."""
    known = dict.fromkeys(number for number in (dest_qp, paired_qp) if number is not None)
    numbers = [f"0x{number:06x}" for number in known]
    which = (
        f"infiniband.bth.destqp == {numbers[0]}"
        if len(numbers) == 1
        else f"infiniband.bth.destqp in {{{', '.join(numbers)}}}"
    )
    return " && ".join([which, *dict.fromkeys((host_filter(src), host_filter(dst)))])


def frames_filter(frames: list[int]) -> str:
    """Return the display filter for these frame numbers."""
    return f"frame.number in {{{', '.join(str(frame) for frame in frames)}}}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s unless there is one of it."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
