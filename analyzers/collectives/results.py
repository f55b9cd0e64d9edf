"""What the recognition of collectives hands over: jobs, collectives, findings, in the JSON form."""

from dataclasses import dataclass, field
from typing import Any

from fabricscope.analyzers.findings.finding import Finding


@dataclass(frozen=True)
class CollectiveResult:
    """Jobs and collectives as lists of JSON objects, findings, and what was left out.

    refused: one sentence each for traffic that looked like a job and was not judged, with why.
    """

    jobs: list[dict[str, Any]] = field(default_factory=list)
    collectives: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
