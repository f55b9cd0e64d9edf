"""What is said of a fabric: its totals, links and checks, for the terminal and the page."""

from collections.abc import Sequence
from typing import Any, Final

from fabricscope.dashboard.columns import Column, field, gbps, text
from fabricscope.dashboard.quantities import format_bit_rate, format_count, format_share
from fabricscope.dashboard.summary import Total
from fabricscope.topology.bisection import Bisection
from fabricscope.topology.checks import Check
from fabricscope.topology.fabric import NVLINK_SWITCH, SWITCH_KINDS, Fabric
from fabricscope.topology.optics import count_links, count_optics

__all__ = ["LINKS", "SEVERITIES", "headline", "link_rows", "list_fabric_totals", "worst_severity"]

SEVERITIES: Final = ("critical", "warning", "notice", "ok")
_RATES_SHOWN: Final = 4


def worst_severity(checks: Sequence[Check]) -> str:
    """Return the most severe outcome; ok when there is none."""
    return min((check.severity for check in checks), key=SEVERITIES.index, default="ok")


def headline(fabric: Fabric, checks: Sequence[Check]) -> str:
    """Return one sentence on the fabric and its checks."""
    kinds = [device.kind for device in fabric.devices]
    parts = [f"{len(fabric.endpoints):,} {_name_endpoints(kinds)}"]
    parts += [
        f"{kinds.count(kind):,} {_plural(kind, kinds.count(kind))}"
        for kind in SWITCH_KINDS
        if kind in kinds
    ]
    counts = [
        f"{count} {word}{'s' if count > 1 and severity != 'critical' else ''}"
        for severity, word in zip(SEVERITIES, ("critical", "warning", "notice"), strict=False)
        if (count := sum(check.severity == severity for check in checks))
    ]
    return f"{', '.join(parts)}: {', '.join(counts) or 'all checks passed'}"


def _name_endpoints(kinds: Sequence[str]) -> str:
    hosts, gpus = kinds.count("host"), kinds.count("gpu")
    if hosts and gpus:
        return "hosts and GPUs"
    return ("GPU" if gpus == 1 else "GPUs") if gpus else ("host" if hosts == 1 else "hosts")


def _plural(kind: str, count: int) -> str:
    return kind if count == 1 else {"leaf": "leaves"}.get(kind, f"{kind}s")


def list_fabric_totals(fabric: Fabric, bisection: Bisection) -> list[Total]:
    """Return the totals in reading order."""
    kinds = [device.kind for device in fabric.devices]
    switches = [kind for kind in kinds if kind in SWITCH_KINDS]
    each = ", ".join(
        f"{switches.count(kind):,} {_plural(kind, switches.count(kind))}"
        for kind in SWITCH_KINDS
        if kind in switches
    )
    optics, per_endpoint = count_optics(fabric)
    servers = len({device.server for device in fabric.devices if device.server >= 0})
    inside = kinds.count(NVLINK_SWITCH)
    bound = "" if bisection.exact else "at most "
    totals = [
        Total(
            "Endpoints", format_count(len(fabric.endpoints)),
            f"{servers:,} servers{', NVLink inside' if inside else ''}" if servers else "",
        ),
        Total("Switches", format_count(len(switches)), each),
        Total("Links", format_count(len(fabric.links)), _list_rates(fabric)),
        Total("Transceivers", format_count(optics), f"{per_endpoint:.3g} for each endpoint"),
        Total(
            "Bisection", f"{bound}{format_bit_rate(bisection.gbps * 1e9)}",
            f"{format_share(bisection.share)} of what half of the endpoints can send",
        ),
    ]  # fmt: skip
    for name, of in (("Pods", "pod"), ("Planes", "plane"), ("Rails", "rail")):
        count = len({getattr(d, of) for d in fabric.devices if getattr(d, of) >= 0})
        if count:
            totals.append(Total(name, format_count(count), ""))
    return totals


def _list_rates(fabric: Fabric) -> str:
    rates = sorted({link.rate_gbps for link in fabric.links})
    shown = ", ".join(format_bit_rate(rate * 1e9) for rate in rates[:_RATES_SHOWN])
    return f"{shown}, ..." if len(rates) > _RATES_SHOWN else shown


def link_rows(fabric: Fabric) -> list[dict[str, Any]]:
    """Return a row for each pair of kinds that links join."""
    return [
        {
            "ends": f"{one.below} - {one.above}",
            "links": one.links,
            "rate": ", ".join(format_bit_rate(r * 1e9) for r in one.rates_gbps[:_RATES_SHOWN]),
            "length": ", ".join(f"{length:g} m" for length in one.lengths_m[:_RATES_SHOWN]),
            "capacity_gbps": one.gbps,
            "optics": one.optics,
        }
        for one in count_links(fabric)
    ]


LINKS: Final = (
    Column("Between", "Kinds of device at the two ends", text("ends"), numeric=False, rank=0),
    Column("Links", "Cables", field("links"), rank=0),
    Column("Rate", "Of one link, each direction", text("rate"), numeric=False, rank=0),
    Column("Length", "Of one cable", text("length"), numeric=False, rank=2),
    Column("Capacity", "Of all, each direction", gbps("capacity_gbps"), rank=1),
    Column("Transceivers", "Optical, two for each fibre", field("optics"), rank=1),
)
"""The table of links by tier."""
