"""What the traffic is: flows summed up by application (payload) and behaviour (statistics).

The two verdicts come from different evidence and stand side by side; a finding says where they
contradict each other.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fabricscope.dashboard.summary import Document

CONTRADICTION: Final = "behaviour_contradicts_application"
"""Kind of the findings that say so."""


class _Sum(NamedTuple):
    flows: int
    packets: int
    size: int
    application_weight: float
    behaviour_weight: float
    sources: frozenset[str]


_NOTHING: Final = _Sum(0, 0, 0, 0.0, 0.0, frozenset())


def list_applications(document: Document) -> list[dict[str, Any]]:
    """Return a record for each application and behaviour seen together, most bytes first.

    Keys: application, behaviour (None while nothing is known), flows, packets, bytes, share (of
    the listed flows' bytes), sources, application_confidence and confidence (means, weighted by
    bytes; None where unknown), contradicted (number of findings,
    None without any).
    """
    sums: dict[tuple[str, str | None], _Sum] = {}
    for flow in document["flows"]:
        key = (str(flow.get("application") or "unknown"), flow.get("behaviour") or None)
        sums[key] = _add(sums.get(key, _NOTHING), flow)
    total = sum(entry.size for entry in sums.values())
    contradicted = _contradictions(document)
    rows = [
        {
            "application": application,
            "behaviour": behaviour,
            "flows": entry.flows,
            "packets": entry.packets,
            "bytes": entry.size,
            "share": entry.size / total if total else None,
            "sources": ", ".join(sorted(entry.sources)),
            "application_confidence": _mean(entry.application_weight, entry.size),
            "confidence": _mean(entry.behaviour_weight, entry.size) if behaviour else None,
            "contradicted": contradicted.get((application, behaviour)),
        }
        for (application, behaviour), entry in sums.items()
    ]
    return sorted(rows, key=lambda row: -int(str(row["bytes"])))


def _add(entry: _Sum, flow: Mapping[str, Any]) -> _Sum:
    size = int(flow["bytes"])
    source = flow.get("application_source")
    return _Sum(
        entry.flows + 1,
        entry.packets + int(flow["packets"]),
        entry.size + size,
        entry.application_weight + size * float(flow.get("application_confidence") or 0),
        entry.behaviour_weight + size * float(flow.get("confidence") or 0),
        entry.sources | {str(source)} if source else entry.sources,
    )


def _mean(weighted: float, size: int) -> float | None:
    return weighted / size if size and weighted else None


def _contradictions(document: Document) -> dict[tuple[str, str | None], int]:
    """Return how many findings contradict each pair of application and behaviour."""
    counts: dict[tuple[str, str | None], int] = {}
    for finding in document["findings"]:
        evidence = finding["evidence"]
        if finding["kind"] == CONTRADICTION and isinstance(evidence, Mapping):
            key = (str(evidence.get("application")), evidence.get("behaviour"))
            counts[key] = counts.get(key, 0) + 1
    return counts
