"""Parallel paths in words and numbers: how evenly they are used, and what hashing would give."""

from collections.abc import Mapping
from typing import Any, Final

from fabricscope.dashboard.columns import Column, field, text
from fabricscope.dashboard.quantities import UNKNOWN, format_bytes, format_count
from fabricscope.dashboard.summary import Document

LINKS_SHOWN: Final = ("4", "8", "16")


def _ratio(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


PATHS: Final = (
    Column("Path", "Tap on one of several parallel links", text("name"), False, rank=0),
    Column("Bytes", "Of packets with payload, on the wire", field("bytes", format_bytes),
           unsure=True, rank=0),
    Column("Of the mean", "1 when all paths carry the same", field("ratio", _ratio),
           unsure=True, rank=0),
    Column("MMR", "Busiest path over the mean of all", field("mmr", _ratio), unsure=True, rank=0),
    Column("By chance", "MMR that random hashing of the same flows gives on average",
           field("expected_mmr", _ratio), rank=1),
    Column("At most", "MMR that random hashing exceeds in 5 % of cases",
           field("expected_mmr_p95", _ratio), rank=2),
    Column("JFI", "Jain's fairness index: 1 when all are equal, 1/n when one has it all",
           field("jfi", _ratio), unsure=True, rank=2),
    Column("Flows", "That hashing can tell apart", field("flows"), rank=3),
)  # fmt: skip


def list_paths(document: Document) -> list[Mapping[str, Any]]:
    """Return a row for each path of each group of parallel ones, the busiest first."""
    rows: list[Mapping[str, Any]] = []
    for group in (document.get("paths") or {}).get("parallel") or []:
        mean = sum(tap["bytes"] for tap in group["taps"]) / len(group["taps"])
        rows += [
            {**group, **tap, "ratio": tap["bytes"] / mean if mean else 1.0}
            for tap in sorted(group["taps"], key=lambda tap: -int(tap["bytes"]))
        ]
    return rows


def describe_spread(document: Document) -> str:
    """Return what hashing could make of the RoCE v2 flows, '' where paths or nothing were seen."""
    paths = document.get("paths") or {}
    spread = paths.get("spread")
    if not spread or paths.get("parallel"):
        return ""
    flows = format_count(spread["flows"])
    expected = spread["expected_mmr"]
    ratios = ", ".join(f"{_ratio(expected[n])} over {n}" for n in LINKS_SHOWN if n in expected)
    return (
        f"Switches can hash {flows} RoCE v2 flows apart ({spread['entropy_bits']:.1f} bits by "
        f"bytes); by chance the busiest of parallel links gets, times the mean, {ratios} links."
    )
