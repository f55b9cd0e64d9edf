"""What deserves a person's attention, ranked, with evidence, an action and packets to open."""

from fabricscope.analyzers.findings.finding import Finding, ranked

__all__ = ["Finding", "ranked"]
